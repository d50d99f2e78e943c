import errno
import json
import math
import subprocess
import sys
import threading
import time

import pytest
from tracking_helpers import CONFIG, identity

from subcritic import provenance
from subcritic.tracking import RecordError, Run, claim, read_metrics, record


def points(folder):
    return [(point.step, point.metric, point.value) for point in read_metrics(folder)[0]]


def test_an_identity_names_its_run_and_its_folder(tmp_path):
    one = identity(seed=3)
    assert one.name == "Pendulum-v1/ddpg/s3"
    assert one.folder(tmp_path) == tmp_path / "tiny/runs/experiment2/Pendulum-v1/ddpg/s3"


def test_logged_values_come_back_exactly_non_finite_ones_included(tmp_path):
    run = Run.open(tmp_path, identity(), CONFIG)
    values = [0.1 + 0.2, math.inf, -math.inf, 1e-300]
    for step, value in enumerate(values):
        run.log(step, {"loss/critic": value})
    run.log(9, {"loss/critic": math.nan})
    run.finish()
    recorded = [value for _, _, value in points(run.folder)]
    assert recorded[:-1] == values
    assert math.isnan(recorded[-1])


def test_the_record_says_what_it_is(tmp_path):
    run = Run.open(tmp_path, identity(), CONFIG)
    run.finish("FINISHED", {"logging_seconds": 1.5})
    content = json.loads((run.folder / "run.json").read_text())
    assert content["config"] == CONFIG
    assert record.params(content) == {
        "environment.id": "Pendulum-v1",
        "method.hidden": "[8, 8]",
        "method.rate": "0.001",
    }
    assert content["status"] == "FINISHED"
    assert content["timing"] == {"logging_seconds": 1.5}
    assert {"commit", "config_hash", "profile", "study", "seed", "version.torch"} <= set(content["tags"])


def test_resuming_cuts_the_metrics_back_to_the_checkpoint(tmp_path):
    run = Run.open(tmp_path, identity(), CONFIG)
    run.log(1, {"a": 1.0})
    position = run.position()
    run.log(2, {"a": 2.0})
    run.flush()
    run._claim.close()  # as a kill does

    again = Run.open(tmp_path, identity(), CONFIG, resume=json.loads(json.dumps(position)))
    again.log(2, {"a": 2.0})
    again.finish()
    assert points(run.folder) == [(1, "a", 1.0), (2, "a", 2.0)]


def test_starting_anew_leaves_nothing_of_the_older_record(tmp_path):
    run = Run.open(tmp_path, identity(), CONFIG)
    run.log(1, {"a": 1.0})
    run.artifact("policy.pt", b"old")
    run.finish()
    again = Run.open(tmp_path, identity(), {"rate": 2})
    again.finish()
    assert points(again.folder) == []
    assert list((again.folder / "artifacts").iterdir()) == []
    assert again.content["record"] != run.content["record"]


def test_a_point_cannot_be_recorded_twice(tmp_path):
    run = Run.open(tmp_path, identity(), CONFIG)
    run.log(5, {"a": 1.0})
    with pytest.raises(ValueError, match="a at step 5: already recorded up to step 5"):
        run.log(5, {"a": 1.0})
    run.finish()


@pytest.mark.parametrize("name", ["a,b", "a#b", "", "a\nb"])
def test_a_metric_name_that_would_break_the_file_or_mlflow_is_refused(tmp_path, name):
    run = Run.open(tmp_path, identity(), CONFIG)
    with pytest.raises(ValueError, match="may hold letters"):
        run.log(0, {name: 1.0})
    run.finish()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda folder, position: position.update(record="other"),
            "not the record the checkpoint belongs to",
        ),
        (lambda folder, position: position.update(bytes=10**6), "shorter than when the checkpoint"),
        (lambda folder, position: (folder / "run.json").unlink(), "No such file"),
        (lambda folder, position: (folder / "run.json").write_text("{"), "is not JSON"),
    ],
)
def test_a_checkpoint_that_does_not_fit_the_record_is_an_error(tmp_path, change, message):
    run = Run.open(tmp_path, identity(), CONFIG)
    position = run.position()
    run.finish()
    change(run.folder, position)
    with pytest.raises(RecordError, match=message):
        Run.open(tmp_path, identity(), CONFIG, resume=position)


def test_resuming_with_another_config_is_an_error(tmp_path):
    run = Run.open(tmp_path, identity(), CONFIG)
    position = run.position()
    run.finish()
    with pytest.raises(RecordError, match="another config"):
        Run.open(tmp_path, identity(), {"rate": 2}, resume=position)


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is a device of Linux")
def test_a_full_disk_is_an_error_that_names_the_file(tmp_path):
    run = Run.open(tmp_path, identity(), CONFIG)
    run.log(1, {"a": 1.0})
    metrics = run.folder / "metrics.csv"
    metrics.unlink()
    metrics.symlink_to("/dev/full")
    with pytest.raises(RecordError, match=r"metrics\.csv: No space left"):
        run.flush()


def test_a_failed_write_of_the_description_keeps_the_older_one(tmp_path, monkeypatch):
    run = Run.open(tmp_path, identity(), CONFIG)

    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(record.os, "fsync", full)
    with pytest.raises(RecordError, match="No space left"):
        run.finish()
    assert json.loads((run.folder / "run.json").read_text())["status"] == "RUNNING"


def test_a_line_cut_short_by_a_kill_is_not_read(tmp_path):
    run = Run.open(tmp_path, identity(), CONFIG)
    run.log(1, {"a": 1.0})
    run.finish()
    with (run.folder / "metrics.csv").open("a") as file:
        file.write("2,a,1.")
    assert points(run.folder) == [(1, "a", 1.0)]


def test_a_second_process_waits_for_the_first_one_to_end(tmp_path, capfd):
    code = (
        "import sys; from pathlib import Path; from subcritic.tracking.claim import claim\n"
        "with claim(Path(sys.argv[1])): print('mine', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], text=True, **pipes)
    assert other.stdout.readline() == "mine\n"
    start, ending = time.monotonic(), threading.Timer(0.5, other.communicate)
    ending.start()
    with claim(tmp_path):
        waited = time.monotonic() - start
    ending.join()
    assert waited >= 0.5
    assert f"process {other.pid} is still working here" in capfd.readouterr().err


def test_nested_configs_become_dotted_params():
    config = {"a": {"b": 1, "c": None}, "list": [{"id": "x"}, {"id": "y"}], "empty": {}, "text": "t"}
    assert record.flatten(config) == {
        "a.b": "1",
        "a.c": "null",
        "list.0.id": "x",
        "list.1.id": "y",
        "empty": "{}",
        "text": "t",
    }


def test_the_commit_of_a_run_leaves_aside_what_publishing_writes(tmp_path, monkeypatch):
    for name in ("results", "docs", "src"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("as committed")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "src")
    (tmp_path / "results" / "file").write_text("published")
    (tmp_path / "docs" / "file").write_text("published")
    commit = record._commit.__wrapped__()
    assert len(commit) == 40
    (tmp_path / "src" / "file").write_text("changed")
    assert record._commit.__wrapped__() == f"{commit}-dirty"
