"""MLflow's store: SQLite with a write-ahead log (WAL) under `results/`, or the store that MLFLOW_TRACKING_URI names."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from . import views
from .claim import claim

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Tags by which a run is found: the identity and the id of its record.
IDENTITY, RECORD = "subcritic.identity", "subcritic.record"
# Set before mlflow is imported: no telemetry, and a server that is down is noticed within seconds.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class StoreError(RuntimeError):
    """The MLflow store cannot be used; the message says how to repair it."""


def local_database(results: Path) -> Path | None:
    """The SQLite file under `results`, or None where MLFLOW_TRACKING_URI names another store."""
    return None if os.environ.get("MLFLOW_TRACKING_URI") else Path(results).resolve() / "mlflow.db"


def tracking_uri(results: Path) -> str:
    """The MLflow tracking URI; MLFLOW_TRACKING_URI wins."""
    database = local_database(results)
    return f"sqlite:///{database}" if database else os.environ["MLFLOW_TRACKING_URI"]


def connect(results: Path) -> MlflowClient:
    """An MlflowClient for the store, which is created if there is none.

    Raises:
        StoreError: the results folder was moved, so that the store points to files elsewhere.
    """
    database = local_database(results)
    if database and not database.exists():
        create(results)
    client = client_of(tracking_uri(results))
    if database and moved(client, results):
        raise StoreError(
            f"{database}: its folder was moved after it was written; `subcritic tracking rebuild` rebuilds it"
        )
    return client


def create(results: Path) -> None:
    """Create the local store, if there is none, with WAL and all experiments; parallel processes may call it at once."""
    database = local_database(results)
    if database is None:
        return
    with claim(database.parent / ".mlflow"):
        if not database.exists():
            with new_database(results) as (client, new):
                describe_experiments(client, results)
            replace_database(new, database)


@contextlib.contextmanager
def new_database(results: Path) -> Iterator[tuple[MlflowClient, Path]]:
    """A client for a new, empty database file. At the end its connections are closed, so that it can be moved into place."""
    folder = Path(results).resolve() / ".mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob("new-*"):
        leftover.unlink()
    # A name never used before, because MLflow caches connections by file name.
    new = folder / f"new-{uuid.uuid4().hex}.db"
    # WAL before the tables: it persists in the file, and the migrations are faster with it.
    with contextlib.closing(sqlite3.connect(new)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    uri = f"sqlite:///{new}"
    try:
        yield client_of(uri), new
    finally:
        disconnect(uri)


def replace_database(new: Path, database: Path) -> None:
    """Replace `database` by `new`, and delete the files that SQLite keeps beside the old one."""
    disconnect(f"sqlite:///{database}")
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    new.replace(database)


def disconnect(uri: str) -> None:
    """Close this process's connections to a database; SQLite merges its write-ahead log when the last one closes."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    if uri in SqlAlchemyStore._engine_map:
        SqlAlchemyStore._engine_map[uri].dispose()


def client_of(uri: str) -> MlflowClient:
    """An MlflowClient for `uri`. MLflow is imported here because the import takes over a second."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


def describe_experiments(client: MlflowClient, results: Path) -> None:
    """Create or bring up to date every study's experiment: description and saved views."""
    # MLflow lists the newest experiment first, so that the first study is created last.
    for study, view in reversed(views.VIEWS.items()):
        experiment_id = experiment(client, results, study)
        held = client.get_experiment(experiment_id).tags
        for name, value in views.experiment_tags(view).items():
            if held.get(name) != value:
                client.set_experiment_tag(experiment_id, name, value)


def experiment(client: MlflowClient, results: Path, study: str) -> str:
    """The id of a study's experiment, which is created, or restored from MLflow's trash, if necessary."""
    name = views.experiment_name(study)
    found = client.get_experiment_by_name(name)
    if found is None:
        return client.create_experiment(name, artifact_location=artifact_location(results, study))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return found.experiment_id


def artifact_location(results: Path, study: str) -> str | None:
    """Where the artifacts of a study are stored; None: the server decides."""
    if local_database(results) is None:
        return None
    return (Path(results).resolve() / "mlartifacts" / study).as_uri()


def ended(client: MlflowClient) -> dict[str, tuple[str, str, int]]:
    """The runs that MLflow has in full, by their identity: record, status, and when it ended.

    The status is what is written last. A record that is continued ends at another time.
    """
    found = [client.get_experiment_by_name(views.experiment_name(study)) for study in views.VIEWS]
    experiments = [experiment.experiment_id for experiment in found if experiment]
    complete, token = {}, None
    while experiments:
        page = client.search_runs(experiments, max_results=1000, page_token=token)
        for run in page:
            tags = run.data.tags
            if IDENTITY in tags and RECORD in tags and run.info.end_time:
                complete[tags[IDENTITY]] = (tags[RECORD], run.info.status, run.info.end_time)
        token = page.token
        if not token:
            break
    return complete


def moved(client: MlflowClient, results: Path) -> bool:
    """Whether `results` was moved after the store was written (MLflow stores absolute paths)."""
    for study in views.VIEWS:
        found = client.get_experiment_by_name(views.experiment_name(study))
        if found and found.artifact_location != artifact_location(results, study):
            return True
    return False
