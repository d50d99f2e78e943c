"""`kill -9` of a training, of Snakemake, or of both, then the same command again."""

import pandas as pd
import psutil
import pytest
import yaml

from subcritic.tracking import claim

from .conftest import TINY, Workspace, wait_for

pytestmark = pytest.mark.slow
TARGET = "results/tiny/experiment2/Pendulum-v1/ddpg.csv"
RUN = "tiny/runs/experiment2/Pendulum-v1/ddpg"
COMMAND = ("snakemake", "--configfile=configs/tiny.yaml", "--", TARGET)
# The job alone, without Snakemake.
JOB = (
    "subcritic",
    "experiment2",
    "--config",
    "configs/tiny.yaml",
    "--environment",
    "Pendulum-v1",
    "--method",
    "ddpg",
)
# An environment in which a training waits once it has saved a checkpoint, so that no kill comes too late on a busy machine.
WAITING = f"""
import time
from pathlib import Path

import gymnasium
from gymnasium.envs.classic_control.pendulum import PendulumEnv

CHECKPOINT = Path("results/{RUN}/checkpoint.pt")
START = time.time()


class WaitingPendulum(PendulumEnv):
    def step(self, action):
        while not Path("go").exists() and CHECKPOINT.exists() and CHECKPOINT.stat().st_mtime > START:
            time.sleep(0.05)
        return super().step(action)


gymnasium.register("Waiting-v0", WaitingPendulum, max_episode_steps=200)
"""


def prepare(workspace, steps=2000):
    """Give this workspace's profile the environment that waits, and a checkpoint every moment."""
    (workspace.folder / "site" / "waiting.py").write_text(WAITING)
    profile = yaml.safe_load(TINY.read_text())
    profile["environments"] = [{"id": "waiting:Waiting-v0", "name": "Pendulum-v1"}]
    profile["training"] |= {"steps": steps, "evaluate_every": min(steps, 500)}
    profile["runtime"] |= {"checkpoint_seconds": 0.2}
    (workspace.folder / "configs" / "tiny.yaml").write_text(yaml.safe_dump(profile))


def let_go(workspace):
    """From now on, no training of this workspace waits."""
    (workspace.folder / "go").touch()


def unmirrored(workspace):
    """As long as this is held, no process copies to MLflow."""
    return claim(workspace.results / ".mlflow" / "mirror")


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The curves of a job that nobody disturbs."""
    workspace = Workspace(tmp_path_factory.mktemp("undisturbed"))
    prepare(workspace)
    let_go(workspace)
    with unmirrored(workspace):
        done = workspace.run(*JOB)
    assert done.returncode == 0, done.stdout + done.stderr
    return (workspace.folder / TARGET).read_bytes()


def trainers(workflow):
    try:
        children = psutil.Process(workflow.pid).children(recursive=True)
        return [child for child in children if child.cmdline()[2:3] == ["experiment2"]]
    except psutil.Error:
        return []


def saved(workspace):
    """When the training has saved its checkpoint last; 0 if never."""
    path = workspace.results / RUN / "checkpoint.pt"
    return path.stat().st_mtime_ns if path.exists() else 0


def mlflow_runs(workspace):
    """MLflow's client, and all runs."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{workspace.results / 'mlflow.db'}")
    return client, client.search_runs(
        [experiment.experiment_id for experiment in client.search_experiments()]
    )


def test_the_same_command_again_ends_bit_for_bit_as_if_nothing_had_happened(workspace, reference):
    """The training is killed, then Snakemake with it, then Snakemake alone, whose training goes on."""
    prepare(workspace)
    for victims in ("trainer", "both", "snakemake"):
        before = saved(workspace)
        workflow = workspace.start(*COMMAND)
        wait_for(lambda before=before: saved(workspace) != before)
        (trainer,) = wait_for(lambda workflow=workflow: trainers(workflow))
        assert not before or "resuming at step" in workspace.said()
        if victims != "trainer":
            workflow.kill()
        if victims != "snakemake":
            trainer.kill()
        assert workflow.wait() != 0
        assert not (workspace.folder / TARGET).exists(), "the kill came too late to test anything"
        if victims == "trainer":
            assert {run.info.status for run in mlflow_runs(workspace)[1]} == {"KILLED"}

    again = workspace.start(*COMMAND)
    # The survivor has stood still until the next workflow has met it.
    wait_for(lambda: "waiting for it to end" in workspace.said())
    let_go(workspace)
    assert again.wait() == 0, workspace.said()
    assert (workspace.folder / TARGET).read_bytes() == reference

    client, runs = mlflow_runs(workspace)
    assert sorted(run.data.tags["seed"] for run in runs) == ["0", "1"], "one run per seed"
    curves = pd.read_csv(workspace.folder / TARGET)
    for run in runs:
        assert run.info.status == "FINISHED"
        mine = curves[curves.seed == int(run.data.tags["seed"])]
        for metric in ("return/evaluation", "loss/critic"):
            points = client.get_metric_history(run.info.run_id, metric)
            expected = mine[mine.metric == metric]
            assert sorted(point.step for point in points) == sorted(expected.step), (
                "no point twice, none missing"
            )


def test_a_changed_config_between_runs_starts_anew_and_mixes_nothing(workspace):
    prepare(workspace)
    with unmirrored(workspace):
        job = workspace.start(*JOB)
        wait_for(lambda: saved(workspace))
        job.kill()
        job.wait()
        assert not (workspace.folder / TARGET).exists(), "the kill came too late to test anything"
        prepare(workspace, steps=300)
        let_go(workspace)
        again = workspace.run(*JOB)
    said = again.stdout + again.stderr
    assert again.returncode == 0, said
    assert "made by another configuration" in said, said
    curves = pd.read_csv(workspace.folder / TARGET)
    assert curves.step.max() == 300
    assert not curves.duplicated(["seed", "step", "metric"]).any()
