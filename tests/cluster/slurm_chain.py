"""The tiny profile through a real SLURM, with jobs killed in three ways, against the same profile run here.

`tests/cluster/run slurm` starts SLURM on loopback, its files in a temporary folder; /etc/slurm/slurm.conf is put back at the
end. It needs root, the packages munge, slurmctld, slurmd and slurm-client, and the extra `slurm`. While the chain runs,
one job is cancelled (`scancel`), of another the training is killed (SIGKILL), and at last the node fails: its daemon and all
that it has started are killed, and it comes back a while later. Then every file of the studies must be the same, byte for
byte, as without SLURM, and MLflow must have every run once. Only what measures time may differ: the files of the studies
that need a machine to themselves (`throughput`, `asynchronous`).

With --all it runs all studies instead of three.
"""

from __future__ import annotations

import importlib.util
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

from subcritic.studies import STUDIES
from tests.cluster import slurm
from tests.cluster.parts import compare, once_in_mlflow, skip
from tests.pipeline.conftest import Workspace, wait_for

# Long enough to be hit in the middle, with a checkpoint twice a second.
LONG = ("training={steps: 8000, evaluate_every: 1000}", "runtime={log_every: 100, checkpoint_seconds: 0.5}")
CUT = "studies=[experiment1, gradients, experiment2, table]"
# SLURM as it is started here has no accounting, and nobody wants to wait.
HASTE = (
    *("--slurm-status-command", "squeue", "--seconds-between-status-checks", "2"),
    *("--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10"),
)


def main(all_studies: bool = False) -> int:
    plugin = importlib.util.find_spec("snakemake_executor_plugin_slurm")
    if reason := slurm.missing() or ("" if plugin else "no SLURM plugin: pip install -e '.[slurm]'"):
        return skip("slurm", reason)
    config = ["--config", *LONG, *([] if all_studies else [CUT])]
    command = ["subcritic", "reproduce", "--profile", "tiny"]
    with tempfile.TemporaryDirectory(prefix="subcritic-slurm-") as name:
        folder = Path(name)
        here, there = (_workspace(folder / part) for part in ("here", "there"))
        print("slurm: the chain without SLURM", flush=True)
        done = here.run(*command, *config)
        assert done.returncode == 0, done.stdout + done.stderr
        with slurm.loopback(folder / "slurm") as cluster:
            print("slurm: the chain through SLURM", flush=True)
            start = time.monotonic()
            chain = there.start(*command, "--workflow-profile", "profiles/slurm", *HASTE, *config)
            try:
                _disturb(cluster, there)
                assert chain.wait(1800) == 0, there.said()
            finally:
                there.kill()
            print(f"slurm: done in {time.monotonic() - start:.0f} s", flush=True)
            _show(cluster)
        _resumed(there)
        compare(here, there, measured=[study for study in STUDIES.values() if study.threads == "all"])
        once_in_mlflow(there)
    print("slurm: as without it")
    return 0


def _workspace(folder: Path) -> Workspace:
    folder.mkdir()
    return Workspace(folder)


def _disturb(cluster: slurm.Slurm, workspace: Workspace) -> None:
    """Cancel a job, kill the process of another, and let the node fail under one."""
    victim = wait_for(lambda: _running(cluster, workspace, "Pendulum-v1", "ddpg"), 600)
    subprocess.run(["scancel", victim], check=True)
    print(f"slurm: job {victim} is cancelled", flush=True)
    wait_for(lambda: _running(cluster, workspace, "MountainCarContinuous-v0", "ddpg"), 600)
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        here = Path(process.info["cwd"] or "/").is_relative_to(workspace.folder)
        if here and words[2:3] == ["experiment2"] and "MountainCarContinuous-v0" in words and "ddpg" in words:
            process.kill()
            print(f"slurm: the training of process {process.pid} is killed", flush=True)
    # Both start again from their checkpoints; where one is at work, the node fails.
    wait_for(lambda: _running(cluster, workspace, "Pendulum-v1", "ddpg", but=victim), 600)
    cluster.kill_node()
    print("slurm: the node fails", flush=True)
    wait_for(lambda: cluster.state() == "down", 120)
    cluster.start_node()
    print("slurm: the node is back", flush=True)


def _running(
    cluster: slurm.Slurm, workspace: Workspace, environment: str, method: str, but: str = ""
) -> str | None:
    """The SLURM job that trains, once it has a checkpoint to go on from."""
    checkpoint = workspace.results / "tiny/runs/experiment2" / environment / method / "checkpoint.pt"
    asked = f"rule_experiment2_wildcards_{environment}_{method}"
    for job, (state, comment) in cluster.jobs().items():
        if comment == asked and state == "RUNNING" and job != but and checkpoint.exists():
            return job
    return None


def _resumed(workspace: Workspace) -> None:
    """What was killed went on from a checkpoint, and started no training anew."""
    for environment in ("Pendulum-v1", "MountainCarContinuous-v0"):
        log = (workspace.results / f"tiny/logs/experiment2/{environment}/ddpg.log").read_text()
        assert "resuming at step" in log, f"{environment}: {log}"


def _show(cluster: slurm.Slurm) -> None:
    states = [state for state, _ in cluster.jobs().values()]
    print("slurm: jobs:", ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states))))
