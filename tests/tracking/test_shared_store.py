"""A store that several results folders share: a real PostgreSQL, and MLflow's server over it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cluster import servers
from tracking_helpers import CONFIG, identity, mlflow_points, mlflow_runs

from subcritic import commands, tracking
from subcritic.tracking import RunGroup, StoreError, process, store, views

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(bool(servers.missing()), reason=servers.missing() or "-")


@pytest.fixture(scope="module")
def postgres():
    """With MLflow's tables in the database `made`: making them takes seconds, a copy does not."""
    with servers.postgres() as server:
        address = server.database("made")
        store.client_of(address)
        store.disconnect(address)
        yield server


@pytest.fixture(scope="module")
def server(postgres, tmp_path_factory):
    with servers.mlflow_server(
        postgres.database("served", "made"), tmp_path_factory.mktemp("server")
    ) as found:
        yield found


@pytest.fixture(scope="module")
def addresses(postgres, server):
    """A database with tables, and the server."""
    return {"postgresql": postgres.database("direct", "made"), "http": server.address}


@pytest.fixture(params=["postgresql", "http"])
def shared(request, addresses, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", addresses[request.param])
    return request.param


def fill(results, steps=5, seeds=2):
    with RunGroup(results, [identity(seed) for seed in range(seeds)], CONFIG, mirror=False) as group:
        for step in range(steps):
            for seed in range(seeds):
                group.log(step, seed, {"a": step + seed / 10})
        group.artifact(0, "policy.pt", b"weights")


def own(results, deleted=False):
    """The runs of one results folder: others have theirs in the same store."""
    mine = store.results_id(results)
    return [run for run in mlflow_runs(results, deleted=deleted) if run.data.tags[store.RESULTS_ID] == mine]


RECORDING = """
import sys
from pathlib import Path
from subcritic.tracking import RunGroup
from tracking_helpers import CONFIG, identity
seed = int(sys.argv[2])
with RunGroup(Path(sys.argv[1]), [identity(seed=seed, environment=f"E{seed}")], CONFIG) as group:
    for step in range(500):
        group.log(step, 0, {"a": float(step)})
    group.artifact(0, "policy.pt", str(seed).encode())
"""


def test_four_jobs_write_at_once_and_nothing_is_lost_or_doubled(shared, tmp_path):
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", RECORDING, str(tmp_path), str(seed)],
            cwd=HERE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for seed in range(4)
    ]  # fmt: skip
    assert [job.communicate()[1] for job in jobs] == [""] * 4
    process.finish(tmp_path)
    client, runs = store.connect(tmp_path), own(tmp_path)
    assert sorted(run.info.run_name for run in runs) == [f"E{seed}/ddpg/s{seed}" for seed in range(4)]
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        assert [step for _, step, *_ in mlflow_points(tmp_path, run)] == list(range(500))
        kept = Path(client.download_artifacts(run.info.run_id, "policy.pt"))
        assert kept.read_text() == run.data.tags["seed"]


def test_artifacts_of_a_database_are_beside_the_results_and_those_of_a_server_are_its_own(
    shared, tmp_path, capfd
):
    fill(tmp_path, seeds=1)
    (run,) = own(tmp_path)
    said = capfd.readouterr()
    assert servers.QUOTED not in said.out + said.err, "MLflow prints links to runs, with the login in them"
    if shared == "http":
        assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
        assert not list(tmp_path.glob("mlartifacts*"))
    else:
        assert "/mlartifacts-shared/experiment2/" in run.info.artifact_uri
    assert not (Path.cwd() / "mlruns").exists()


def test_folders_that_share_a_store_leave_each_others_runs_alone(shared, tmp_path):
    """Both have a run of the same name, which is another training."""
    one, two = tmp_path / "one", tmp_path / "two"
    for results in (one, two, one):
        fill(results)
        assert len(own(results)) == 2
    assert len(own(one)) == len(own(two)) == 2
    assert len(own(one, deleted=True)) == 2, "what the first had recorded before"
    assert own(two, deleted=True) == []
    assert tracking.rebuild(two) == 2
    assert len(own(one)) == len(own(two)) == 2


def test_what_was_deleted_in_mlflow_comes_back(shared, tmp_path):
    fill(tmp_path)
    client, runs = store.connect(tmp_path), own(tmp_path)
    client.delete_run(runs[0].info.run_id)
    client.delete_experiment(runs[0].info.experiment_id)
    tracking.rebuild(tmp_path)
    assert sorted(run.data.tags["seed"] for run in own(tmp_path)) == ["0", "1"]


def test_what_is_there_twice_is_made_one(shared, tmp_path):
    """As two processes make it that mirror the same folder at once, on hosts that do not share their locks."""
    fill(tmp_path, seeds=1)
    (run,) = own(tmp_path)
    client = store.connect(tmp_path)
    twin = client.create_run(run.info.experiment_id, tags=dict(run.data.tags), start_time=run.info.start_time)
    client.set_terminated(twin.info.run_id, run.info.status, run.info.end_time)
    assert len(own(tmp_path)) == 1


def test_a_database_that_goes_away_stops_no_training_and_is_made_whole(
    postgres, tmp_path, monkeypatch, capfd
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", postgres.database("comes_and_goes", "made"))
    monkeypatch.setattr(process, "RETRY_SECONDS", 0)
    with RunGroup(tmp_path, [identity()], CONFIG, mirror=False) as group:
        group.log(1, 0, {"a": 1.0})
        group.positions()
        tracking.bring_up_to_date(tmp_path)
        postgres.stop()
        try:
            group.log(2, 0, {"a": 2.0})
            process.follow(tmp_path)
            said = process.failure(tmp_path, 0)
        finally:
            postgres.start()
    assert "stopped mirroring to MLflow" in said and "Connection refused" in said
    assert servers.PASSWORD not in said and servers.QUOTED not in said
    (run,) = own(tmp_path)
    assert run.info.status == "FINISHED"
    assert [step for _, step, *_ in mlflow_points(tmp_path, run)] == [1, 2]


def test_a_server_that_goes_away_is_made_whole(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
    fill(tmp_path, seeds=1)
    assert len(own(tmp_path)) == 1
    server.stop()
    try:
        fill(tmp_path, steps=8)
        with pytest.raises(StoreError, match="MLflow: MlflowException: API request") as failed:
            tracking.rebuild(tmp_path)
        assert servers.QUOTED not in str(failed.value) and "***@127.0.0.1" in str(failed.value)
    finally:
        server.start()
    tracking.rebuild(tmp_path)
    assert [len(mlflow_points(tmp_path, run)) for run in own(tmp_path)] == [8, 8]


# Imports what takes long once, and then forks a process for every folder.
MIRRORING = """
import os, sys
from pathlib import Path
import mlflow, subcritic.studies
from subcritic.tracking import bring_up_to_date
children = []
for results in sys.argv[1:]:
    children.append(os.fork())
    if not children[-1]:
        bring_up_to_date(Path(results))
        os._exit(0)
sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
"""


def test_three_folders_begin_with_the_same_empty_database_at_once(postgres, tmp_path, monkeypatch):
    address = postgres.database("empty")
    folders = [tmp_path / str(number) for number in range(3)]
    for results in folders:
        fill(results)
    mirrored = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MIRRORING, *map(str, folders)],
        cwd=HERE, env=os.environ | store.ENVIRONMENT | {"MLFLOW_TRACKING_URI": address},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert (mirrored.stderr, mirrored.returncode) == ("", 0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    client = store.connect(folders[0])
    names = [found.name for found in client.search_experiments() if found.name != "Default"]
    assert sorted(names) == sorted(map(views.experiment_name, views.VIEWS))
    assert [len(own(results)) for results in folders] == [2] * 3


def test_a_wrong_password_is_one_clear_line_that_does_not_repeat_it(postgres, tmp_path, monkeypatch, capfd):
    fill(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", postgres.address(password="wr0ng%2Fpassword"))
    assert commands.run(["tracking", "mirror", "--results", str(tmp_path)]) == 2
    output, error = capfd.readouterr()
    assert "password authentication failed" in error and error.count("\n") == 1, error
    assert "wr0ng" not in output + error
