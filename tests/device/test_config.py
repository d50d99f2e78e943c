"""Where the setting stands, what it changes, and what is refused before anything runs."""

import json

import pytest
import torch

from subcritic import cli, profiles, workflow
from subcritic.config import ConfigError, dump
from subcritic.nn import devices
from subcritic.publishing import provenance
from subcritic.studies import STUDIES
from subcritic.tracking import record

BASE = {"profile": "p", "environments": ["Pendulum-v1"], "studies": ["experiment2"]}
METHODS = [{"algorithm": "ddpg"}, {"algorithm": "linear"}]


def profile(device=None, **changes):
    training = {"steps": 40} if device is None else {"steps": 40, "device": device}
    return profiles.parse(BASE | {"methods": METHODS, "training": training} | changes)


def digests(found):
    return [job.digest for name in found.studies for job in STUDIES[name].jobs(found)]


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


def test_the_cpu_is_left_out_of_the_data_and_cuda_gives_other_digests():
    assert "device" not in dump(profile())["training"]
    assert digests(profile("cpu")) == digests(profile())
    on_gpu = profile("cuda")
    assert dump(on_gpu)["training"]["device"] == "cuda"
    assert not set(digests(on_gpu)) & set(digests(profile()))


def test_auto_is_what_the_machine_has_before_anything_depends_on_it(monkeypatch):
    for there, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        found = profile("auto")
        assert found.training.device == device
        assert digests(found) == digests(profile(device))
        assert "auto" not in workflow.written_out(found)


def test_another_device_is_refused_with_what_is_allowed():
    with pytest.raises(ConfigError, match=r"training\.device = 'tpu'.*'cpu', 'cuda' or 'auto'"):
        profile("tpu")


@pytest.mark.parametrize(
    "method", [{"algorithm": "ars"}, {"algorithm": "stable_baselines3", "learner": "SAC", "name": "sac"}]
)
def test_methods_that_train_on_the_cpu_alone_are_refused_by_name(method):
    name = method.get("name", method["algorithm"])
    message = rf"training\.device = 'cuda': the method {name}: {method['algorithm']} trains on cpu alone"
    with pytest.raises(ConfigError, match=message):
        profile("cuda", methods=[*METHODS, method])
    profile("cpu", methods=[*METHODS, method])


def test_an_encoder_is_refused():
    methods = [{"algorithm": "ddpg", "name": "seeing", "encoder": {"trained": "by_critic"}}]
    environment = {"id": "Pendulum-v1", "kwargs": {"pixels": True}}
    found = profile("cpu", methods=methods, environments=[environment])
    with pytest.raises(ConfigError, match=r"the method seeing: an encoder trains on the CPU alone"):
        profile("cuda", methods=methods, environments=[environment])
    assert found.methods[0].encoder is not None


def test_methods_of_the_ablation_are_refused_too():
    changes = {"studies": ["ablation"], "ablation": {"methods": [{"algorithm": "ars"}]}}
    with pytest.raises(ConfigError, match="the method ars: ars trains on cpu alone"):
        profile("cuda", **changes)


@pytest.mark.parametrize("study", ["experiment1", "gradients", "agreement"])
def test_studies_that_train_on_the_cpu_alone_are_refused_by_name(study):
    with pytest.raises(
        ConfigError, match=r"training\.device = 'cuda': the study \w+ trains on the CPU alone"
    ):
        profile("cuda", studies=[study])


@pytest.mark.parametrize("study", ["asynchronous", "recurrent", "clocks"])
def test_so_are_those_with_a_section_of_their_own(study):
    with pytest.raises(ConfigError, match=rf"{study}\.training\.device = 'cuda': the study {study} trains"):
        profile("cpu", studies=[study], **{study: {"training": {"device": "cuda"}}})
    # Theirs is another section, so that of Experiment 2 does not concern them.
    profile("cuda", studies=["experiment2", study])


@pytest.mark.skipif(devices.available(), reason="here is a GPU")
def test_without_a_gpu_cuda_is_refused_before_anything_runs(tmp_path, capsys, monkeypatch):
    path = tmp_path / "gpu.yaml"
    path.write_text(json.dumps(BASE | {"methods": METHODS, "training": {"steps": 40, "device": "cuda"}}))
    reason = r"training\.device = 'cuda': .*: must be cpu here, or auto"
    with pytest.raises(ConfigError, match=reason):
        workflow.resolve(json.loads(path.read_text()), str(path))
    commands = (
        ["config", str(path)],
        [
            "experiment2", "--config", str(path), "--results", str(tmp_path / "results"),
            "--environment", "Pendulum-v1", "--method", "ddpg",
        ],
    )  # fmt: skip
    for command in commands:
        assert cli.main(command) == 2
        assert f"{path}: training.device = 'cuda': " in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
    # What was trained elsewhere can be read here.
    assert profiles.load(path, recorded=True).training.device == "cuda"


@pytest.mark.skipif(devices.available(), reason="here is a GPU")
def test_a_training_without_its_device_stops_before_it_begins(tmp_path):
    from subcritic.measuring.method import train

    (job, _) = STUDIES["experiment2"].jobs(profile("cuda", seeds=1))
    with pytest.raises(ConfigError, match=r"training\.device = 'cuda'"):
        train(job, STUDIES["experiment2"], tmp_path)


def test_records_say_where_a_run_was_made(tmp_path, monkeypatch):
    from subcritic.measuring.method import train

    (job, _) = STUDIES["experiment2"].jobs(profile(seeds=1))
    train(job, STUDIES["experiment2"], tmp_path)
    runs = [record.read(folder) for folder in record.records(tmp_path)]
    assert [run["tags"]["device"] for run in runs] == ["cpu"]
    assert provenance.describe(profile(), runs, [])["devices"] == ["cpu"]


def test_a_gpu_goes_by_its_name(gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    assert devices.name("cuda") == "cuda: Some GPU" and devices.name("cpu") == "cpu"
    assert devices.missing("cuda") == ""
