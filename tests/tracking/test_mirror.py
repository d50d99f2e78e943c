import math
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tracking_helpers import CONFIG, everything, identity, mlflow_points, mlflow_runs

from subcritic import tracking
from subcritic.tracking import Identity, Run, RunGroup, mirror, process, store, upkeep, views
from subcritic.tracking import group as group_module

HERE = Path(__file__).parent


def record_some(results, one, steps=5, config=CONFIG):
    with RunGroup(results, [one], config) as group:
        for step in range(steps):
            group.log(step, 0, {"return/evaluation": float(step), "loss/critic": 1 / (step + 1)})
        group.artifact(0, "policy.pt", b"weights")


def test_mlflow_shows_what_was_recorded(results):
    record_some(results, identity(seed=2))
    (run,) = mlflow_runs(results)
    assert run.info.run_name == "Pendulum-v1/ddpg/s2"
    assert run.info.status == "FINISHED"
    assert run.data.params["method.hidden"] == "[8, 8]"
    assert run.data.params["seed"] == "2"
    assert run.data.params["curve"] == "ddpg Pendulum-v1 (tiny)"
    assert run.data.tags["profile"] == "tiny"
    assert [point[:3] for point in mlflow_points(results, run)][5:] == [
        ("return/evaluation", step, float(step)) for step in range(5)
    ]
    client = store.connect(results)
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["policy.pt"]


def test_a_run_is_visible_while_it_trains(results):
    with RunGroup(results, [identity()], CONFIG) as group:
        (run,) = mlflow_runs(results)
        assert run.info.status == "RUNNING"
        group.log(1, 0, {"a": 1.0})
        (run,) = mlflow_runs(results)
        assert run.data.metrics == {"a": 1.0}


def test_a_pass_reads_and_writes_only_what_has_changed(results, monkeypatch):
    for seed in range(3):
        record_some(results, identity(seed))
    mirror_ = upkeep.bring_up(results)
    assert mirror_.catch_up() and not mirror_.catch_up()
    asked = []
    monkeypatch.setattr(mirror, "agree", lambda client, results, folder, held: asked.append(folder))
    upkeep.bring_up(results).catch_up()
    assert asked == [], "MLflow has all, as a new process finds"
    record_some(results, identity(1), steps=2)
    assert mirror_.left(), "it has ended, so that nobody else asks for it"
    assert mirror_.catch_up()
    assert asked == [identity(1).folder(results)]


def test_nothing_is_asked_of_mlflow_when_nothing_is_new(results, monkeypatch):
    run = Run.open(results, identity(), CONFIG)
    client = store.connect(results)
    held = mirror.agree(client, results, run.folder)
    assert mirror.agree(None, results, run.folder, held) == held
    run.finish()


def test_a_run_killed_after_mlflow_was_written_has_no_doubled_points(results):
    with RunGroup(results, [identity()], CONFIG) as group:
        group.log(1, 0, {"a": 1.0})
        positions = group.positions()
        group.log(2, 0, {"a": math.inf})
        group.log(3, 0, {"a": math.nan})
    mlflow_runs(results)
    # All three points are in MLflow, the checkpoint knows of the first one only.
    with RunGroup(results, [identity()], CONFIG, resume=positions) as group:
        group.log(2, 0, {"a": math.inf})
        group.log(3, 0, {"a": math.nan})
        group.log(4, 0, {"a": 4.0})
    (run,) = mlflow_runs(results)
    assert [step for _, step, _, _ in mlflow_points(results, run)] == [1, 2, 3, 4]
    assert mlflow_runs(results, deleted=True) == []


def test_points_that_contradict_the_record_are_superseded(results):
    with RunGroup(results, [identity()], CONFIG) as group:
        positions = group.positions()
        group.log(1, 0, {"a": 1.0})
    mlflow_runs(results)
    with RunGroup(results, [identity()], CONFIG, resume=positions) as group:
        group.log(1, 0, {"a": 7.0})
    (run,) = mlflow_runs(results)
    assert [point[:3] for point in mlflow_points(results, run)] == [("a", 1, 7.0)]


def test_points_beyond_a_finished_record_are_superseded(results):
    with RunGroup(results, [identity()], CONFIG) as group:
        positions = group.positions()
        group.log(1, 0, {"a": 1.0})
    mlflow_runs(results)
    with RunGroup(results, [identity()], CONFIG, resume=positions):
        pass
    (run,) = mlflow_runs(results)
    assert mlflow_points(results, run) == []


def test_a_record_started_anew_supersedes_the_older_run(results):
    record_some(results, identity())
    mlflow_runs(results)
    record_some(results, identity(), steps=2, config={"rate": 2})
    (run,) = mlflow_runs(results)
    (old,) = mlflow_runs(results, deleted=True)
    assert run.data.params["rate"] == "2"
    assert old.data.tags["superseded"] == "true"


def test_other_seeds_and_profiles_supersede_nothing(results):
    record_some(results, identity(seed=0), steps=1)
    record_some(results, identity(seed=1), steps=1)
    record_some(results, identity(seed=0, profile="other"), steps=1)
    assert len(mlflow_runs(results)) == 3


def test_an_interrupted_mirror_catches_up_without_doubled_points(results, monkeypatch):
    run = Run.open(results, identity(), CONFIG)
    for step in range(5):
        run.log(step, {"a": float(step)})
    run.flush()
    client = store.connect(results)
    monkeypatch.setattr(mirror, "BATCH", 2)
    writes = iter([None, None, KeyboardInterrupt()])
    log_batch = client.log_batch

    def interrupted(run_id, metrics=(), **rest):
        if metrics and (error := next(writes)):
            raise error
        log_batch(run_id, metrics=metrics, **rest)

    # Not undone as a whole, which would bring back a variable of the environment that chooses another store.
    with monkeypatch.context() as interrupting, pytest.raises(KeyboardInterrupt):
        interrupting.setattr(client, "log_batch", interrupted)
        mirror.agree(client, results, run.folder)
    mirror.agree(client, results, run.folder)
    run.finish()
    (shown,) = mlflow_runs(results)
    assert [step for _, step, _, _ in mlflow_points(results, shown)] == [0, 1, 2, 3, 4]


def test_a_failing_mlflow_is_told_and_stops_no_run(results, monkeypatch, capfd):
    (results / "mlflow.db").write_bytes(b"not a database" * 100)
    monkeypatch.setattr(group_module, "keep_mirrored", process.follow)
    record_some(results, identity())
    folder = identity().folder(results)
    assert len(tracking.read_metrics(folder)[0]) == 10
    assert tracking.record.read(folder)["status"] == "FINISHED"
    warnings = capfd.readouterr().err
    assert warnings.count("subcritic tracking rebuild") == 1
    assert "The results on disk are complete" in warnings


def test_a_process_that_failed_is_not_started_again_at_once(results, monkeypatch):
    started = []
    monkeypatch.setattr(process, "_start", started.append)
    monkeypatch.setattr(process, "_started", {})
    folder = results / process.FOLDER
    folder.mkdir(parents=True)
    (folder / process.FAILURE).write_text("no server")
    process.keep_mirrored(results)
    assert started == []
    os.utime(folder / process.FAILURE, (0, time.time() - process.RETRY_SECONDS - 1))
    process.keep_mirrored(results)
    assert started == [results]


def test_a_server_that_is_down_costs_seconds_not_minutes(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    Run.open(tmp_path, identity(), CONFIG).finish()
    start = time.monotonic()
    process.follow(tmp_path)
    assert time.monotonic() - start < 30
    assert "stopped mirroring to MLflow" in process.failure(tmp_path, 0)


def test_a_store_named_by_the_environment_is_used_and_nothing_local_is_made(tmp_path, template, monkeypatch):
    other = template.parent / "other.db"
    other.write_bytes(template.read_bytes())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other}")
    monkeypatch.chdir(tmp_path)
    results = tmp_path / "results"
    with RunGroup(results, [identity()], CONFIG) as group:
        group.log(1, 0, {"a": 1.0})
    assert [run.info.run_name for run in mlflow_runs(results)] == ["Pendulum-v1/ddpg/s0"]
    assert sorted(path.name for path in results.iterdir()) == [".mlflow", "tiny"]


def test_the_store_uses_a_write_ahead_log(results):
    with sqlite3.connect(results / "mlflow.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_every_study_has_an_experiment_with_a_description_and_a_view(results):
    client = store.connect(results)
    for study in views.VIEWS:
        found = client.get_experiment_by_name(views.experiment_name(study))
        assert len(found.tags["mlflow.note.content"]) > 100
        assert "mlflow.sharedViewState.all" in found.tags
        assert max(map(len, found.tags.values())) <= 5000


def test_each_environment_gets_a_view_of_its_own(results):
    record_some(results, identity(environment="Hopper-v5"), steps=1)
    tracking.bring_up_to_date(results)
    client = store.connect(results)
    tags = client.get_experiment_by_name(views.experiment_name("experiment2")).tags
    assert "mlflow.sharedViewState.Hopper-v5" in tags


def test_initialising_again_changes_nothing(results):
    record_some(results, identity())
    before = everything(results)
    upkeep.bring_up(results)
    assert everything(results) == before


RECORDING = """
import sys
from pathlib import Path
from subcritic.tracking import RunGroup
from tracking_helpers import CONFIG, identity
seed = int(sys.argv[2])
with RunGroup(Path(sys.argv[1]), [identity(seed=seed, environment=f"E{seed}")], CONFIG) as group:
    for step in range(1000):
        group.log(step, 0, {"a": float(step)})
assert "mlflow" not in sys.modules and "sqlalchemy" not in sys.modules
"""


def test_four_processes_write_at_once_and_a_fifth_mirrors_them_all(results):
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", RECORDING, str(results), str(seed)],
            cwd=HERE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for seed in range(4)
    ]  # fmt: skip
    assert [job.communicate()[1] for job in jobs] == [""] * 4
    process.finish(results)
    client = store.connect(results)
    experiment = client.get_experiment_by_name(views.experiment_name("experiment2")).experiment_id
    runs = client.search_runs([experiment])
    assert sorted(run.info.status for run in runs) == ["FINISHED"] * 4
    assert [len(mlflow_points(results, run)) for run in runs] == [1000] * 4


def test_an_unknown_study_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="study 'x' is unknown; known: experiment1, gradients"):
        views.experiment_name("x")


def test_an_identity_has_one_key():
    one = Identity("p", "table", "e", "m", 1)
    assert one.key == "p/table/e/m/s1"
