"""A results folder that several hosts share: who holds it, who mirrors it, and who is known to be dead."""

import fcntl
import importlib
import os
import socket
import subprocess
import sys
import threading
import time

import pytest
from tracking_helpers import CONFIG, identity

from subcritic import tracking, workflow
from subcritic.config import ConfigError
from subcritic.tracking import Run, claim, claim_chain, process, record
from subcritic.tracking.claim import CHAIN, CHAIN_ID, UNSUPPORTED

# `tracking.claim` is the function.
claims = importlib.import_module("subcritic.tracking.claim")
# On another host, for all that its process can tell.
HOLDING = """
import socket, sys
socket.gethostname = lambda: "node7"
from pathlib import Path
from subcritic.tracking import {claim}
with {claim}(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def no_chain(monkeypatch):
    for name in (CHAIN, CHAIN_ID):
        monkeypatch.delenv(name, raising=False)


def hold(folder, claim="claim_chain"):
    """A process of node7 that holds a folder until its input is closed."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDING.format(claim=claim), str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout.readline() == "held\n"
    return holder


@pytest.mark.parametrize("held_by", ["claim_chain", "claim_job"])
def test_who_waits_is_told_of_the_process_and_its_host(held_by, tmp_path, capfd):
    holder = hold(tmp_path, held_by)
    ending = threading.Timer(0.5, holder.communicate)
    start = time.monotonic()
    ending.start()
    with claim_chain(tmp_path):
        assert time.monotonic() - start > 0.4
    ending.join()
    assert (
        f"process {holder.pid} of node7 is still working here; waiting for it to end (`kill {holder.pid}` there stops it)"
        in capfd.readouterr().err
    )


def test_mlflow_is_left_to_the_host_of_the_chain(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(process, "_start", lambda results: started.append(results))
    monkeypatch.setattr(process, "_started", {})
    holder = hold(tmp_path / "tiny")
    process.keep_mirrored(tmp_path)
    assert started == []
    with claim_chain(tmp_path / "other"):
        process.keep_mirrored(tmp_path)
        assert started.pop() == tmp_path, "each of two chains sees to it"
    process._started.clear()
    holder.communicate()
    with claim_chain(tmp_path / "tiny"):
        process.keep_mirrored(tmp_path)
    assert started == [tmp_path]


@pytest.mark.parametrize("left_to_it", [None, "no locks", "own chain"])
def test_what_a_killed_chain_of_another_host_left_counts_only_where_locks_tell_nothing(
    left_to_it, tmp_path, monkeypatch
):
    started = []
    monkeypatch.setattr(process, "_start", lambda results: started.append(results))
    monkeypatch.setattr(process, "_started", {})
    holder = hold(tmp_path / "tiny")
    holder.kill()
    holder.communicate()
    chain = (tmp_path / "tiny" / "lock").read_text().split()[2]
    if left_to_it == "no locks":
        monkeypatch.setattr(claims, "locks", lambda folder: False)
    if left_to_it == "own chain":
        monkeypatch.setenv(CHAIN_ID, chain)
    process.keep_mirrored(tmp_path)
    assert started == ([] if left_to_it else [tmp_path])


def test_the_process_that_mirrors_stays_for_as_long_as_the_chain(results, monkeypatch):
    monkeypatch.setattr(process, "IDLE_SECONDS", 0.1)
    monkeypatch.setattr(process, "SECONDS_BETWEEN", 0.05)
    monkeypatch.setattr(process, "LONGEST_BETWEEN", 0.1)
    follower = threading.Thread(target=process.follow, args=[results])
    with claim_chain(results / "tiny"):
        follower.start()
        time.sleep(2)
        assert follower.is_alive()
    follower.join(20)
    assert not follower.is_alive()


def test_a_job_whose_chain_was_killed_before_it_began_does_nothing(tmp_path, monkeypatch):
    with claim_chain(tmp_path) as chain:
        for name, value in chain.environment.items():
            monkeypatch.setenv(name, value)
        assert not tracking.chain_ended(tmp_path)
        chain.name(12345)
        assert not tracking.chain_ended(tmp_path), "Snakemake is the process of the chain that is named"
    assert tracking.chain_ended(tmp_path)
    assert not tracking.chain_ended(tmp_path / "other"), "that of another profile is no concern of it"
    with pytest.raises(ConfigError, match="has ended"):
        workflow.enter_node(None, tmp_path)
    monkeypatch.delenv(CHAIN)
    with claim_chain(tmp_path) as another:
        monkeypatch.setenv(CHAIN, str(tmp_path))
        assert tracking.chain_ended(tmp_path)
        assert another.environment[CHAIN_ID] != os.environ[CHAIN_ID]


@pytest.mark.parametrize(("locks", "status"), [(True, "KILLED"), (False, "RUNNING")])
def test_where_files_have_no_locks_a_run_of_another_host_is_not_called_dead(
    locks, status, tmp_path, monkeypatch
):
    run = Run.open(tmp_path, identity(), CONFIG)
    run.content["process"]["host"] = "node7"
    run._save()
    run._claim.close()
    monkeypatch.setattr(record, "locks", lambda folder: locks)
    tracking.sweep(tmp_path)
    assert record.read(run.folder)["status"] == status


def test_who_holds_a_folder_is_on_disk_before_anything_is_done_there(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(os, "fsync", lambda file: written.append((tmp_path / "lock").read_text().split()))
    with claim_chain(tmp_path) as chain:
        assert written == [
            [str(os.getpid()), socket.gethostname()],
            [*written[0], chain.environment[CHAIN_ID]],
        ]
        chain.name(12345)
        assert written[-1][0] == "12345" and len(written) == 3


def test_a_file_system_without_locks_is_warned_of(tmp_path, monkeypatch, capfd):
    def flock(file, kind):
        raise OSError(next(iter(UNSUPPORTED)), "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    with claim_chain(tmp_path), claim(tmp_path / "run"):
        assert "its file system has no locks" in capfd.readouterr().err
