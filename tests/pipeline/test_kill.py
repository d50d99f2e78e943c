"""`kill -9` of a training job, of Snakemake, or of both, then the same command again."""

import os
import signal

import pandas as pd
import psutil
import pytest

from .conftest import Workspace, wait_for

pytestmark = pytest.mark.slow
TARGET = "results/tiny/experiment2/Pendulum-v1/ddpg.csv"
# Long enough to be hit in the middle, with a checkpoint twice a second.
TRAINING = "training={steps: 8000, evaluate_every: 1000}"
RUNTIME = "runtime={log_every: 100, checkpoint_seconds: 0.5}"
COMMAND = ("snakemake", "--configfile", "configs/tiny.yaml", "--config", TRAINING, RUNTIME, "--", TARGET)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The curves of a run that nobody disturbs."""
    workspace = Workspace(tmp_path_factory.mktemp("undisturbed"))
    done = workspace.run(*COMMAND)
    assert done.returncode == 0, done.stdout + done.stderr
    return (workspace.folder / TARGET).read_bytes()


def trainers(workflow):
    try:
        children = psutil.Process(workflow.pid).children(recursive=True)
        return [child for child in children if child.cmdline()[2:3] == ["experiment2"]]
    except psutil.Error:
        return []


@pytest.mark.parametrize("victims", ["trainer", "snakemake", "both"])
def test_the_same_command_again_ends_bit_for_bit_as_if_nothing_had_happened(victims, workspace, reference):
    workflow = workspace.start(*COMMAND)
    checkpoint = workspace.results / "tiny/runs/experiment2/Pendulum-v1/ddpg/checkpoint.pt"
    wait_for(checkpoint.exists)
    trainer = wait_for(lambda: trainers(workflow))[0]
    # A survivor is held still until the second workflow has met it.
    trainer.suspend()
    if victims in ("snakemake", "both"):
        os.kill(workflow.pid, signal.SIGKILL)
    if victims in ("trainer", "both"):
        trainer.kill()
    workflow.wait()
    assert not (workspace.folder / TARGET).exists(), "the kill came too late to test anything"

    again = workspace.start(*COMMAND)
    if victims == "snakemake":
        wait_for(lambda: "waiting for it to end" in workspace.said())
        trainer.resume()
    assert again.wait() == 0, workspace.said()
    assert "resuming at step" in workspace.said() or victims == "snakemake"
    assert (workspace.folder / TARGET).read_bytes() == reference

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{workspace.results / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments)
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


def test_a_killed_training_shows_as_killed_once_the_workflow_has_stopped(workspace):
    workflow = workspace.start(*COMMAND)
    wait_for((workspace.results / "tiny/runs/experiment2/Pendulum-v1/ddpg/checkpoint.pt").exists)
    wait_for(lambda: trainers(workflow))[0].kill()
    assert workflow.wait() != 0

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{workspace.results / 'mlflow.db'}")
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    assert {run.info.status for run in runs} == {"KILLED"}


def test_a_changed_config_between_runs_starts_anew_and_mixes_nothing(workspace):
    workflow = workspace.start(*COMMAND)
    wait_for((workspace.results / "tiny/runs/experiment2/Pendulum-v1/ddpg/checkpoint.pt").exists)
    wait_for(lambda: trainers(workflow))[0].kill()
    workflow.wait()
    shorter = TRAINING.replace("8000", "300")
    again = workspace.run(
        "snakemake", "--configfile", "configs/tiny.yaml", "--config", shorter, RUNTIME, "--", TARGET
    )
    said = again.stdout + again.stderr
    assert again.returncode == 0, said
    assert "made by another configuration" in said, said
    curves = pd.read_csv(workspace.folder / TARGET)
    assert curves.step.max() == 300
    assert not curves.duplicated(["seed", "step", "metric"]).any()
