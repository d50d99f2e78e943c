"""Stopping `subcritic reproduce`, and starting it again while something of a killed one is still at work."""

import os
import signal

import psutil
import pytest

from subcritic.tracking import records
from subcritic.tracking.record import read

from .conftest import wait_for
from .test_kill import RUNTIME, trainers

pytestmark = pytest.mark.slow
# So long that it is stopped in the middle, whatever the machine.
TRAINING = "training={steps: 200000, evaluate_every: 1000}"
COMMAND = ("subcritic", "reproduce", "--profile", "tiny", "--cores", "1", "--config", TRAINING, RUNTIME,
           "--until", "experiment2")  # fmt: skip


def start(workspace):
    """A chain of which a training has saved a checkpoint; with its Snakemake and its training, a forked process."""
    chain = workspace.start(*COMMAND)
    wait_for(lambda: list(workspace.results.rglob("checkpoint.pt")), seconds=180)
    snakemake = next(c for c in psutil.Process(chain.pid).children() if "snakemake" in c.cmdline())
    (client,) = wait_for(lambda: trainers(chain))
    trainer = psutil.Process(read(next(records(workspace.results)))["process"]["pid"])
    assert trainer.pid != client.pid and "subcritic.forkserver" in trainer.cmdline()
    return chain, snakemake, trainer


@pytest.mark.parametrize(
    ("number", "ignoring"), [(signal.SIGINT, False), (signal.SIGINT, True), (signal.SIGTERM, False)]
)
def test_a_signal_to_the_command_alone_stops_all_that_it_has_started(workspace, number, ignoring):
    """Also where it was started as a shell starts a background job, which ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignoring else signal.default_int_handler)
    try:
        chain, snakemake, trainer = start(workspace)
    finally:
        signal.signal(signal.SIGINT, before)
    chain.send_signal(number)
    assert chain.wait(timeout=60) != 0
    assert not snakemake.is_running() and not trainer.is_running()
    # What a shell has started besides may end a moment later.
    wait_for(lambda: not workspace.working(), seconds=5)
    assert {read(folder)["status"] for folder in records(workspace.results)} == {"KILLED"}
    assert "the same command goes on from there" in workspace.said()


def test_no_chain_starts_beside_snakemake_or_jobs_that_outlived_theirs(workspace):
    chain, snakemake, trainer = start(workspace)
    server = trainer.parent()
    trainer.suspend()
    try:
        chain.kill()
        chain.wait()
        second = workspace.start(*COMMAND)
        waiting = "process {} is still working here; waiting for it to end"
        wait_for(lambda: waiting.format(snakemake.pid) in workspace.said())
        snakemake.kill()
        wait_for(lambda: waiting.format(trainer.pid) in workspace.said())
        assert "Building DAG" not in workspace.said()
    finally:
        trainer.kill()
    wait_for(lambda: "Building DAG" in workspace.said())
    assert not trainer.is_running()
    wait_for(lambda: not server.is_running(), seconds=5)
    second.send_signal(signal.SIGINT)
    second.wait()


def test_snakemake_itself_waits_for_a_chain_too(workspace):
    chain, *_ = start(workspace)
    with (workspace.folder / "output.txt").open() as kept:
        beside = workspace.start("snakemake", "--configfile", "configs/tiny.yaml", "--until", "anchors")
        wait_for(lambda: "waiting for it to end" in workspace.said())
        assert "rule anchors" not in kept.read()
    for process in (chain, beside):
        os.killpg(process.pid, signal.SIGINT)
    chain.wait()
    beside.wait()
