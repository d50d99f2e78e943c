import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tracking_helpers import CONFIG, everything, identity, mlflow_points, mlflow_runs

from subcritic import tracking
from subcritic.tracking import (
    RecordError,
    RunGroup,
    StoreError,
    Terminated,
    process,
    record,
    store,
    ui,
    upkeep,
)
from subcritic.tracking.claim import claimed, owner

HERE = Path(__file__).parent


def fill(results):
    for environment in ("Pendulum-v1", "Hopper-v5"):
        with RunGroup(results, [identity(seed, environment) for seed in range(2)], CONFIG) as group:
            for step in range(20):
                for seed in range(2):
                    group.log(step, seed, {"a": step + seed / 10, "b/c": float(step == 3)})
            group.artifact(1, "policy.pt", b"weights")


def artifacts(results):
    client = store.connect(results)
    return {
        run.info.run_name: Path(client.download_artifacts(run.info.run_id, "policy.pt")).read_bytes()
        for run in mlflow_runs(results)
        if client.list_artifacts(run.info.run_id)
    }


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.1)


def statuses(results):
    runs = mlflow_runs(results)
    recorded = [record.read(folder)["status"] for folder in tracking.records(results)]
    assert [run.info.status for run in runs] == recorded
    return recorded


def test_the_store_written_anew_equals_the_live_one_and_has_no_artifact_of_older_runs(results):
    fill(results)
    live = everything(results)
    (results / "mlflow.db").unlink()
    assert tracking.rebuild(results) == 4
    assert everything(results) == live
    assert len(artifacts(results)) == 2
    tracking.rebuild(results)
    assert len(list((results / "mlartifacts").glob("*/*"))) == 2


def test_rebuilding_leaves_the_artifacts_of_a_named_database(results, tmp_path, template, monkeypatch):
    """Whoever forgets the variable once must not lose what the group's database points to."""
    fill(results)
    tracking.bring_up_to_date(results)
    shutil.copy(template, tmp_path / "group.db")
    with monkeypatch.context() as named:
        named.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'group.db'}")
        kept = artifacts(results)
        assert len(kept) == 2
    tracking.rebuild(results)
    with monkeypatch.context() as named:
        named.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'group.db'}")
        assert artifacts(results) == kept


def test_rebuilding_repairs_a_store_that_cannot_be_read(results):
    fill(results)
    (results / "mlflow.db").write_bytes(b"not a database" * 100)
    tracking.rebuild(results)
    assert len(mlflow_runs(results)) == 4


def test_a_moved_folder_is_noticed_and_written_anew(results, tmp_path, capfd):
    fill(results)
    live = everything(results)
    moved = tmp_path / "a new place" / "results"
    moved.parent.mkdir()
    store.disconnect(store.tracking_uri(results))
    shutil.move(results, moved)

    with pytest.raises(StoreError, match="was moved after it was written"):
        store.connect(moved)
    upkeep.bring_up(moved)
    assert everything(moved) == live
    assert artifacts(moved) == {"Pendulum-v1/ddpg/s1": b"weights", "Hopper-v5/ddpg/s1": b"weights"}
    assert not results.exists()


def test_rebuilding_while_a_run_is_written_loses_nothing(results):
    with RunGroup(results, [identity()], CONFIG) as group:
        group.log(1, 0, {"a": 1.0})
        group.positions()
        assert tracking.rebuild(results) == 1
        group.log(2, 0, {"a": 2.0})
    (run,) = mlflow_runs(results)
    assert [point[1] for point in mlflow_points(results, run)] == [1, 2]
    assert run.info.status == "FINISHED"


def test_an_error_marks_the_runs_failed_and_says_why(results):
    with pytest.raises(ZeroDivisionError), RunGroup(results, [identity()], CONFIG):
        _ = 1 / 0
    assert statuses(results) == ["FAILED"]
    (run,) = mlflow_runs(results)
    assert run.data.tags["error"] == "ZeroDivisionError: division by zero"


def test_a_resumed_run_forgets_the_error(results):
    with pytest.raises(ZeroDivisionError), RunGroup(results, [identity()], CONFIG) as group:
        positions = group.positions()
        _ = 1 / 0
    assert statuses(results) == ["FAILED"]
    with RunGroup(results, [identity()], CONFIG, resume=positions):
        pass
    (run,) = mlflow_runs(results)
    assert "error" not in run.data.tags
    assert statuses(results) == ["FINISHED"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, Terminated])
def test_an_interrupt_marks_the_runs_killed(results, error):
    with pytest.raises(error), RunGroup(results, [identity()], CONFIG):
        raise error
    assert statuses(results) == ["KILLED"]


def test_the_first_error_is_not_hidden_by_a_full_disk(tmp_path, monkeypatch, capfd):
    with pytest.raises(ZeroDivisionError), RunGroup(tmp_path, [identity()], CONFIG, mirror=False):
        monkeypatch.setattr(record, "write_atomically", _full)
        _ = 1 / 0
    assert "disk full" in capfd.readouterr().err


def test_a_full_disk_at_the_end_is_an_error(tmp_path, monkeypatch):
    with (
        pytest.raises(RecordError, match="disk full"),
        RunGroup(tmp_path, [identity()], CONFIG, mirror=False),
    ):
        monkeypatch.setattr(record, "write_atomically", _full)


def _full(path, data):
    raise RecordError(f"{path}: disk full")


def start_training(results, mirror=True):
    """A process that trains for ever, and has begun."""
    code = """
import sys, time
from pathlib import Path
from subcritic.tracking import RunGroup
from tracking_helpers import CONFIG, identity
with RunGroup(Path(sys.argv[1]), [identity()], CONFIG, mirror=sys.argv[2] == "True") as group:
    group.log(1, 0, {"a": 1.0})
    print("begun", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(results), str(mirror)],
        cwd=HERE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout.readline() == "begun\n"
    return process


def test_sigterm_marks_the_run_killed_and_exits_with_143(results):
    training = start_training(results)
    training.send_signal(signal.SIGTERM)
    training.communicate()
    assert training.returncode == 143
    assert statuses(results) == ["KILLED"]


def test_sweeping_marks_what_died_killed_and_leaves_what_lives(results):
    training = start_training(results, mirror=False)
    assert tracking.sweep(results) == []
    training.kill()
    training.communicate()
    folder = identity().folder(results)
    assert record.read(folder)["status"] == "RUNNING"
    assert tracking.sweep(results) == [folder]
    assert statuses(results) == ["KILLED"]


def test_sweeping_passes_over_a_record_that_is_being_made_anew(results, monkeypatch):
    gone = results / "tiny" / "runs" / "gone"
    monkeypatch.setattr(upkeep, "records", lambda _: [gone])
    assert tracking.sweep(results) == []


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("127.0.0.1", r"port \d+ at 127\.0\.0\.1: .*choose another"),
        ("no.such.host.invalid", r"host 'no\.such.* give an"),
    ],
)
def test_a_server_that_cannot_listen_says_why(host, told):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(tracking.StoreError, match=told):
        ui._require_free(host, taken.getsockname()[1])


def test_the_port_of_an_address_of_either_kind_is_looked_at():
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(tracking.StoreError, match=rf"port {port} at ::1: .*in use"):
            ui._require_free("::1", port)
    ui._require_free("::1", port)


def mlflow_status(results):
    """Of the only run; none while there is none."""
    client = store.connect(results)
    experiment = client.get_experiment_by_name("subcritic/3-experiment2").experiment_id
    return [run.info.status for run in client.search_runs([experiment])]


def test_a_training_is_followed_and_found_killed_by_a_process_of_its_own(results):
    training = start_training(results)
    try:
        wait_for(lambda: mlflow_status(results) == ["RUNNING"])
        follower = int(owner(results / process.FOLDER))
        os.kill(follower, signal.SIGKILL)
        wait_for(lambda: not claimed(results / process.FOLDER))
    finally:
        training.kill()
        training.communicate()
    # Neither the training nor the process that followed it is left: the next one finds what happened.
    process.finish(results)
    assert mlflow_status(results) == ["KILLED"]
    assert not claimed(results / process.FOLDER)


def test_what_ends_while_the_mirroring_process_ends_is_mirrored(results, monkeypatch):
    """The run found the folder claimed, and started no process."""
    ending = upkeep.Mirror.left

    def left(mirror):
        if not list(tracking.records(results)):
            with RunGroup(results, [identity()], CONFIG):
                pass
        return ending(mirror)

    monkeypatch.setattr(upkeep.Mirror, "left", left)
    monkeypatch.setattr(process, "IDLE_SECONDS", -1)
    process.follow(results)
    assert mlflow_status(results) == ["FINISHED"]


def test_the_signal_handler_is_put_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with RunGroup(tmp_path, [identity()], CONFIG, mirror=False):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_time_spent_logging_is_kept_with_the_run(results):
    with RunGroup(results, [identity()], CONFIG) as group:
        group.log(1, 0, {"a": 1.0})
        time.sleep(0.2)
    timing = record.read(identity().folder(results))["timing"]
    assert 0 < timing["logging_seconds"] < timing["wall_seconds"]
    assert timing["wall_seconds"] > 0.2


def test_a_study_has_one_results_run_with_its_tables(results, tmp_path):
    table = tmp_path / "table.md"
    for text in ("| old |", "| new |"):
        table.write_text(text)
        tracking.log_results(results, "tiny", "table", CONFIG, [table], {"score/ddpg": 0.5}, "**better**")
    (run,) = mlflow_runs(results, "table")
    assert run.info.run_name == "results (tiny)"
    assert run.data.metrics == {"score/ddpg": 0.5}
    assert run.data.tags["mlflow.note.content"] == "**better**"
    client = store.connect(results)
    assert Path(client.download_artifacts(run.info.run_id, "table.md")).read_text() == "| new |"


def test_the_links_open_the_model_training_view(results, tmp_path):
    table = tmp_path / "table.md"
    table.write_text("| a |")
    for study in ("table", "experiment2"):
        tracking.log_results(results, "tiny", study, CONFIG, [table])
    tracking.bring_up_to_date(results)
    found = dict(tracking.links(results, "http://host:1"))
    assert all(link.startswith("http://host:1/#/experiments/") for link in found.values())
    assert all("workflowType=machine_learning" in link for link in found.values())
    assert "viewStateShareKey=all" in found["subcritic/3-experiment2"]
    assert "/artifacts/table.md?" in found["subcritic/4-table"]
    assert set(found) == {"subcritic/3-experiment2", "subcritic/4-table"}, (
        "studies without runs have no page worth opening"
    )


def test_each_environment_of_a_study_has_a_link_unless_there_are_many(results):
    names = [f"Task{number}-v0" for number in range(ui.MANY)]
    for name in names:
        record.Run.open(results, identity(environment=name), CONFIG).finish()
    tracking.bring_up_to_date(results)
    found = dict(tracking.links(results, "http://host:1"))
    study = next(iter(found))
    assert list(found)[1:] == [f"  {name}" for name in names]
    for name in names:
        assert found[f"  {name}"].endswith(f"compareRunsMode=CHART&viewStateShareKey={name}")
    record.Run.open(results, identity(environment="One-more"), CONFIG).finish()
    tracking.bring_up_to_date(results)
    assert list(dict(tracking.links(results, "http://host:1"))) == [study]


def test_a_taken_port_is_a_clear_error(results):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StoreError, match=f"port {port} .*--port {port + 1}"):
            tracking.serve(results, port)


@pytest.mark.slow
def test_the_page_answers_and_ends_with_sigterm(results):
    import socket
    import urllib.request

    record.Run.open(results, identity(), CONFIG).finish()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = "import sys, subcritic.studies; from pathlib import Path; from subcritic.tracking import serve\n"
    code += "serve(Path(sys.argv[1]), int(sys.argv[2]))"
    server = subprocess.Popen(
        [sys.executable, "-c", code, str(results), str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert any("subcritic/3-experiment2" in server.stdout.readline() for _ in range(10))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=20) as answer:
            assert answer.status == 200
    finally:
        server.terminate()
        server.communicate()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("127.0.0.1", "only this machine can open it"),
        ("localhost", "only this machine can open it"),
        ("0.0.0.0", "warning: it listens at 0.0.0.0 and asks for no password: whoever reaches port 5000 can"),
        ("192.0.2.1", "warning: it listens at 192.0.2.1"),
    ],
)
def test_it_is_said_who_can_open_the_page(host, words):
    from subcritic.tracking.ui import _reached_by

    assert words in _reached_by(host, 5000)
