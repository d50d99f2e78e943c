"""Stopping `subcritic reproduce`, and starting it again while something of a killed one is still at work."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from subcritic import reproduce
from subcritic.tracking import records
from subcritic.tracking.record import read

from .conftest import wait_for
from .test_kill import trainers

pytestmark = pytest.mark.slow
# So long that it is stopped in the middle, whatever the machine.
TRAINING = "training={steps: 200000, evaluate_every: 1000}"
RUNTIME = "runtime={log_every: 100, checkpoint_seconds: 0.5}"
COMMAND = ("subcritic", "reproduce", "--profile", "tiny", "--cores", "1", "--config", TRAINING, RUNTIME,
           "--until", "experiment2")  # fmt: skip
# In the place of Snakemake: sends a signal to the command that has started it, and waits.
STAND_IN = "import os, sys, time; time.sleep(0.2); os.kill(os.getppid(), int(sys.argv[1])); time.sleep(60)"


def start(workspace):
    """A chain of which a training has saved a checkpoint; with its Snakemake and its training, a forked process."""
    chain = workspace.start(*COMMAND)
    wait_for(lambda: list(workspace.results.rglob("checkpoint.pt")), seconds=180)
    snakemake = next(c for c in psutil.Process(chain.pid).children() if "snakemake" in c.cmdline())
    (client,) = wait_for(lambda: trainers(chain))
    trainer = psutil.Process(read(next(records(workspace.results)))["process"]["pid"])
    assert trainer.pid != client.pid and "subcritic.forkserver" in trainer.cmdline()
    return chain, snakemake, trainer


@pytest.fixture
def ignored():
    """As a shell starts a background job: it ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_signal_to_the_command_alone_stops_all_that_it_has_started(workspace, ignored):
    chain, snakemake, trainer = start(workspace)
    chain.send_signal(signal.SIGINT)
    assert chain.wait(timeout=60) != 0
    assert not snakemake.is_running() and not trainer.is_running()
    # What a shell has started besides may end a moment later.
    wait_for(lambda: not workspace.working())
    assert {read(folder)["status"] for folder in records(workspace.results)} == {"KILLED"}
    assert "the same command goes on from there" in workspace.said()


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN, signal.SIG_DFL])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_signal_that_stops_the_command_is_ctrl_c_for_snakemake(number, handler):
    """Whatever the command did with it when it was started, and does again afterwards."""
    before = signal.signal(number, handler)
    try:
        with reproduce.CommandRunner() as commands:
            ended = commands.run([sys.executable, "-c", STAND_IN, str(int(number))])
            assert commands.run(["true"]) != 0, "nothing is started after a signal"
        assert signal.getsignal(number) == handler
    finally:
        signal.signal(number, before)
    assert ended == -signal.SIGINT


def test_a_signal_while_the_command_is_being_started_stops_it_too(monkeypatch):
    popen = subprocess.Popen

    def interrupted(*arguments, **options):
        process = popen(*arguments, **options)
        os.kill(os.getpid(), signal.SIGTERM)
        return process

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    with reproduce.CommandRunner() as commands:
        assert commands.run(["sleep", "60"]) == -signal.SIGINT


def test_a_command_that_ends_in_good_order_in_spite_of_a_signal_is_the_last():
    with reproduce.CommandRunner() as commands:
        assert commands.run(["true"]) == 0
        os.kill(os.getpid(), signal.SIGTERM)
        assert commands.run(["true"]) == -signal.SIGINT
    deaf = "import os, signal; signal.signal(2, signal.SIG_IGN); os.kill(os.getppid(), 15)"
    with reproduce.CommandRunner() as commands:
        assert commands.run([sys.executable, "-c", deaf]) == -signal.SIGINT


def test_nothing_starts_beside_a_chain_or_beside_what_has_outlived_it(workspace):
    chain, snakemake, trainer = start(workspace)
    server = trainer.parent()
    waiting = "process {} is still working here; waiting for it to end"
    trainer.suspend()
    try:
        beside = workspace.start("snakemake", "--configfile", "configs/tiny.yaml", "--until", "anchors")
        wait_for(lambda: "waiting for it to end" in workspace.said())
        assert "rule anchors" not in workspace.said()
        beside.kill()
        beside.wait()
        second = workspace.start(*COMMAND)
        wait_for(lambda: "waiting for it to end" in workspace.said())
        chain.kill()
        chain.wait()
        wait_for(lambda: waiting.format(snakemake.pid) in workspace.said())
        snakemake.kill()
        wait_for(lambda: waiting.format(trainer.pid) in workspace.said())
        assert "Building DAG" not in workspace.said()
    finally:
        trainer.kill()
    wait_for(lambda: "Building DAG" in workspace.said())
    assert not trainer.is_running()
    wait_for(lambda: not server.is_running())
    second.send_signal(signal.SIGINT)
    second.wait()
