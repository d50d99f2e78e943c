"""What MLflow shows beside the metrics of a run: the system's metrics, the policy as a model, what a report read."""

import base64
import io
import json
import sys
import zlib
from types import SimpleNamespace as Names

import gymnasium as gym
import mlflow
import numpy as np
import pytest
import torch
from tracking_helpers import everything, identity, mlflow_points, mlflow_runs

from subcritic import seeding, tracking
from subcritic.agents.pictures import PictureAgent
from subcritic.config import parse_method
from subcritic.measuring import kept
from subcritic.nn import MLP
from subcritic.studies import STUDIES
from subcritic.tracking import (
    RunGroup,
    group,
    inputs,
    mirror,
    policy,
    read_metrics,
    record,
    store,
    system,
    views,
)

PENDULUM = {"environment": {"id": "Pendulum-v1", "name": "Pendulum-v1", "kwargs": {}}}
ACTOR = MLP((3, 8, 1), "tanh", "tanh")


def saved(network=ACTOR):
    parameters = network.init(seeding.generators([0], "test")).flat[0]
    names = {"sizes": network.sizes, "hidden": network.hidden, "output": network.output}
    return {"seed": 0, **names, "parameters": parameters, "diverged_at": None}


def as_file(content):
    data = io.BytesIO()
    torch.save(content, data)
    return data.getvalue()


def train(results, seeds=(0,), resume=None, policies=True, steps=(1, 2)):
    with RunGroup(results, [identity(seed) for seed in seeds], PENDULUM, resume=resume) as runs:
        positions = runs.positions()
        for index in range(len(seeds)):
            for step in steps:
                runs.log(step, index, {"return/evaluation": 1.0})
            if policies:
                runs.artifact(index, "policy.pt", as_file(saved()))
    return positions


def models(results, study="experiment2"):
    client = store.connect(results)
    experiment = client.get_experiment_by_name(views.experiment_name(study)).experiment_id
    return client.search_logged_models([experiment])


@pytest.fixture
def at_every_call(monkeypatch):
    """Metrics of the system are read whenever something is logged."""
    monkeypatch.setattr(group, "SYSTEM_SECONDS", -1.0)
    monkeypatch.setattr(group, "FLUSH_SECONDS", -1.0)


def test_what_the_process_uses_is_recorded_once_for_all_its_runs(results, at_every_call):
    train(results, seeds=(0, 1))
    first, second = (read_metrics(identity(seed).folder(results), name="system.csv")[0] for seed in (0, 1))
    assert [point[:3] for point in first] == [point[:3] for point in second]
    assert {point.step for point in first} == {0, 1, 2, 3, 4}, "four calls, and the end"
    used = {point.metric: point.value for point in first}
    assert 10 < used["system/process_memory_usage_megabytes"] < used["system/system_memory_usage_megabytes"]
    assert 0 < used["system/system_memory_usage_percentage"] < 100
    (*_, run) = mlflow_runs(results)
    assert {name for name in run.data.metrics if name.startswith("system/")} == used.keys()
    assert "system" not in (identity().folder(results) / "metrics.csv").read_text()


def test_a_continued_run_goes_on_counting_its_readings(results, at_every_call):
    positions = train(results)
    mlflow_runs(results)
    file = identity().folder(results) / "system.csv"
    with file.open("a") as torn:
        torn.write("3,system/cpu_util")
    train(results, resume=positions)
    (run,) = mlflow_runs(results)
    points = mlflow_points(results, run, system=True)
    assert sorted({step for _, step, _, _ in points}) == [0, 1, 2, 3, 4, 5]
    assert len({point[:2] for point in points}) == len(points) == file.read_text().count("\n") - 1
    assert mlflow_runs(results, deleted=True) == []


def test_what_trains_nothing_has_no_readings(results):
    train(results)
    folder = identity().folder(results)
    before = (folder / "system.csv").read_text()
    position = {"record": record.read(folder)["record"], "bytes": (folder / "metrics.csv").stat().st_size}
    with RunGroup(results, [identity()], PENDULUM, resume=[position]):
        pass
    tracking.log_results(results, "tiny", "table", PENDULUM, metrics={"score": 1.0})
    assert (folder / "system.csv").read_text() == before
    assert len(list(results.glob("tiny/runs/**/system.csv"))) == 1


@pytest.fixture
def nvml(monkeypatch):
    """A stand-in for NVIDIA's library: one GPU."""
    library = Names(
        NVMLError=OSError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetMemoryInfo=lambda handle: Names(used=2e9, total=8e9),
        nvmlDeviceGetUtilizationRates=lambda handle: Names(gpu=40),
        nvmlDeviceGetPowerUsage=lambda handle: 150_000,
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    return library


def test_metrics_of_gpus_have_the_names_of_mlflow(nvml):
    read = system.Usage().read()
    assert {name: value for name, value in read.items() if "gpu" in name} == {
        "system/gpu_0_memory_usage_megabytes": 2000,
        "system/gpu_0_memory_usage_percentage": 25,
        "system/gpu_0_utilization_percentage": 40,
        "system/gpu_0_power_usage_watts": 150,
    }


def test_a_driver_that_fails_takes_only_the_metrics_of_gpus(nvml):
    def fails(*_):
        raise nvml.NVMLError("GPU is lost")

    usage = system.Usage()
    for name in ("nvmlDeviceGetHandleByIndex", "nvmlDeviceGetCount"):
        setattr(nvml, name, fails)
        for used in (usage, system.Usage()):
            read = used.read()
            assert "system/process_memory_usage_megabytes" in read and "gpu" not in str(read)


@pytest.fixture
def tracking_uri(results):
    """MLflow's own functions look at these results."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(store.tracking_uri(results))
    yield
    mlflow.set_tracking_uri(before)


@pytest.mark.filterwarnings("ignore")  # of what MLflow imports
def test_a_policy_acts_as_it_was_trained_between_the_bounds_of_its_environment(results, tracking_uri):
    train(results)
    (run,) = mlflow_runs(results)
    (model,) = models(results)
    assert run.data.tags["model"] == f"models:/{model.model_id}"
    assert model.params == {
        name: str(value) for name, value in record.read(identity().folder(results))["identity"].items()
    }
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    observation = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    ours = ACTOR.forward(ACTOR.views(saved()["parameters"][None]), torch.from_numpy(observation)[None]).output
    for address in (f"models:/{model.model_id}", f"runs:/{run.info.run_id}/policy"):
        loaded = mlflow.pyfunc.load_model(address)
        action = loaded.predict(observation)
        np.testing.assert_array_equal(action, 2 * ours[0].numpy())
        assert loaded.metadata.signature.inputs.inputs[0].shape == (-1, 3)
        assert loaded.input_example.shape == (1, 3)
    assert np.abs(action).max() > 0.1
    with gym.make("Pendulum-v1") as environment:
        seen, _ = environment.reset(seed=0)
        assert environment.action_space.contains(loaded.predict(seen[None])[0])
    with loaded.get_raw_model().environment() as environment:
        assert environment.action_space.high == [1.0]


def test_a_run_has_one_model_however_often_it_is_mirrored(results, monkeypatch):
    train(results)
    (run,) = mlflow_runs(results)
    folder = identity().folder(results)
    (made,) = models(results)
    assert mirror.agree(store.connect(results), results, folder).model == made.model_id
    assert [model.model_id for model in models(results)] == [made.model_id], (
        "as after a restart: it is not made anew"
    )
    live, artifacts = (
        everything(results),
        sorted(path.name for path in results.glob("mlartifacts/*/models/*")),
    )
    assert tracking.rebuild(results) == 1
    assert everything(results) == live and len(models(results)) == 1
    left = [path.name for path in results.glob("mlartifacts/*/models/*")]
    assert left == [models(results)[0].model_id] and left != artifacts
    # Killed before the run knew of it.
    (run,) = mlflow_runs(results)
    store.connect(results).delete_tag(run.info.run_id, "model")
    mirror.agree(store.connect(results), results, folder)
    assert len(models(results)) == 1 and models(results)[0].model_id != left[0]


def test_the_model_of_a_replaced_run_goes_with_it(results):
    train(results)
    mlflow_runs(results)
    train(results, policies=False)
    mlflow_runs(results)
    assert models(results) == []


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"weights", {"encoder": None, **saved()}, {"parameters": torch.ones(3)}, [1.0], torch.ones(3)),
        *(saved() | wrong for wrong in ({"sizes": "abc"}, {"hidden": "none"}, {"parameters": torch.ones(3)})),
        *(saved() | wrong for wrong in ({"sizes": 3}, {"parameters": [1.0]}, {"encoder": [1.0]})),
    ],
)
def test_a_file_that_holds_no_policy_is_kept_as_it_is(results, content):
    with RunGroup(results, [identity()], PENDULUM) as runs:
        runs.artifact(0, "policy.pt", content if isinstance(content, bytes) else as_file(content))
    (run,) = mlflow_runs(results)
    assert run.info.status == "FINISHED" and models(results) == []
    assert policy.FILE == kept.POLICY


class Pictures(gym.Env):
    observation_space = gym.spaces.Box(0, 255, (8, 8, 1), np.uint8)
    action_space = gym.spaces.Box(-3.0, 5.0, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}


def test_a_policy_that_reads_pictures_acts_as_its_agent(monkeypatch):
    monkeypatch.setitem(gym.registry, "Pictures-v0", gym.envs.registration.EnvSpec("Pictures-v0", Pictures))
    encoder = {"trained": "by_critic", "filters": 2, "kernels": [3], "strides": [2]}
    settings = parse_method({"algorithm": "ddpg", "hidden": [4], "encoder": encoder})
    from subcritic.agents import make_agent

    agent = make_agent(settings, 64, 2, [0], (8, 8, 1))
    assert isinstance(agent, PictureAgent)
    kept_encoder = {"picture": (8, 8, 1), "filters": 2, "kernels": (3,), "strides": (2,)}
    one = saved(agent.actor) | {"parameters": agent.policy().flat[0]}
    one["encoder"] = kept_encoder | agent.encoders[-1].of_seed(0)
    loaded = policy.Policy(one, {"id": "Pictures-v0", "kwargs": {}})
    seen = np.random.default_rng(0).random((4, 64), dtype=np.float32)
    theirs = agent.act(torch.from_numpy(seen)[None]).output[0].detach().numpy()
    np.testing.assert_allclose(loaded.act(seen), theirs, rtol=1e-6)
    np.testing.assert_allclose(loaded.predict(seen), 1 + 4 * theirs, rtol=1e-5)


def test_a_policy_of_another_task_is_refused():
    with pytest.raises(
        ValueError, match=r"'MountainCarContinuous-v0' has .* \(2, 1\), the policy .* \(3, 1\)"
    ):
        policy.Policy(saved(), {"id": "MountainCarContinuous-v0", "kwargs": {}})


def test_a_report_names_what_it_read(results):
    file = results / "tiny" / "experiment2" / "E" / "ddpg.csv"
    file.parent.mkdir(parents=True)
    file.write_text("seed,value\n0,1\n")
    found = inputs.dataset(
        "experiment2/curves", "tiny/*", [file, file.with_name("no")], results, ("seed", "value")
    )
    for _ in range(2):
        tracking.log_results(results, "tiny", "table", PENDULUM, inputs=[found])
        (run,) = mlflow_runs(results, "table")
    mirror.agree(store.connect(results), results, next(results.glob("tiny/runs/table/*/*/s0")))
    (run,) = mlflow_runs(results, "table")
    (read,) = run.inputs.dataset_inputs
    assert (read.dataset.name, read.dataset.digest) == ("experiment2/curves", found["digest"])
    assert json.loads(read.dataset.profile) == {"files": 1, "bytes": file.stat().st_size}
    file.write_text("seed,value\n0,2\n")
    assert inputs.dataset("", "", [file], results)["digest"] != found["digest"]


def test_metrics_that_nobody_looks_at_stay_in_the_files(results):
    one = identity(study="gradients")
    with RunGroup(results, [one], PENDULUM) as runs:
        runs.log(1, 0, {"agreement/drafts/layer_1/cosine": 1.0, "agreement/drafts/layer_1/scale": 2.0})
    (run,) = mlflow_runs(results, "gradients")
    assert [name for name in run.data.metrics if "system" not in name] == ["agreement/drafts/layer_1/cosine"]
    assert len(read_metrics(one.folder(results))[0]) == 2


def test_main_numbers_have_a_saved_view_with_a_column_for_each_profile(results):
    """MLflow's format is not documented: this is what was seen to work in its page."""
    tracking.log_results(results, "tiny", "films", PENDULUM)
    tracking.log_results(results, "tiny", "table", PENDULUM, metrics={"score/ddpg/E": 1.0})
    tracking.bring_up_to_date(results)
    client, saved = store.connect(results), "mlflow.sharedViewState.profiles"
    films, table = (client.get_experiment_by_name(views.experiment_name(name)) for name in ("films", "table"))
    assert saved not in films.tags
    packed = json.loads(table.tags[saved])["state"].removeprefix("deflate;")
    state = json.loads(zlib.decompress(base64.b64decode(packed)))
    (chart,) = state["compareRunCharts"]
    assert (chart["type"], chart["compareGroups"]) == ("DIFFERENCE", ["Model metrics"])
    assert chart["metricSectionId"] == state["compareRunSections"][0]["uuid"]
    assert state["searchFilter"] == "tags.environment = 'results'" and not state["groupBy"]
    assert len(client.search_runs([table.experiment_id], filter_string=state["searchFilter"])) == 1


def test_mlflow_gets_every_metric_that_a_view_shows():
    for name, study in STUDIES.items():
        if study.view:
            charts = [metric for charts in study.view.charts.values() for metric in charts.values()]
            assert all(views.shows(name, metric) for metric in (*charts, *study.view.columns, *study.keeps))
