"""Where MLflow keeps its data: SQLite with WAL under `results/`, or what MLFLOW_TRACKING_URI says."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import views
from .claim import claim

# Set before mlflow is imported: no telemetry, and a server that is down is noticed within seconds.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class StoreError(RuntimeError):
    """The MLflow store cannot be used as it is; the message says what repairs it."""


def local_database(results: Path) -> Path | None:
    """The SQLite file under `results`, or None where MLFLOW_TRACKING_URI names another store."""
    return None if os.environ.get("MLFLOW_TRACKING_URI") else Path(results).resolve() / "mlflow.db"


def tracking_uri(results: Path) -> str:
    """The MLflow tracking URI; MLFLOW_TRACKING_URI wins."""
    database = local_database(results)
    return f"sqlite:///{database}" if database else os.environ["MLFLOW_TRACKING_URI"]


def connect(results: Path) -> Any:
    """An MlflowClient on the store, which is created where it is missing.

    Raises:
        StoreError: the results folder was moved, so that the store points to files elsewhere.
    """
    database = local_database(results)
    if database and not database.exists():
        create(results)
    client = client_of(tracking_uri(results))
    if database and moved(client, results):
        raise StoreError(
            f"{database}: was written at another place; `subcritic tracking rebuild` writes it anew"
        )
    return client


def create(results: Path) -> None:
    """Create the local store, where it is missing, with WAL and all experiments; safe among parallel processes."""
    database = local_database(results)
    with claim(database.parent / ".mlflow"):
        if not database.exists():
            with new_database(results) as (client, new):
                describe_experiments(client, results)
            replace_database(new, database)


@contextlib.contextmanager
def new_database(results: Path) -> Iterator[tuple[Any, Path]]:
    """A client on an empty database in a file of its own, closed at the end: ready to be moved into place."""
    folder = Path(results).resolve() / ".mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob("new-*"):
        leftover.unlink()
    # A name never used before, since MLflow keeps connections by the name of the file.
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
    """Put `new` in the place of `database`, with nothing of the old one left beside it."""
    disconnect(f"sqlite:///{database}")
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    new.replace(database)


def disconnect(uri: str) -> None:
    """Close this process's connections to a database; the last to close folds SQLite's write-ahead log into it."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    if uri in SqlAlchemyStore._engine_map:
        SqlAlchemyStore._engine_map[uri].dispose()


def client_of(uri: str) -> Any:
    """An MlflowClient on `uri`. MLflow is imported here and not before: that takes over a second."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


def describe_experiments(client: Any, results: Path) -> None:
    """Create or bring up to date every study's experiment: description and saved views."""
    # MLflow lists the newest experiment first, so that the first study is created last.
    for study, view in reversed(views.VIEWS.items()):
        experiment_id = experiment(client, results, study)
        held = client.get_experiment(experiment_id).tags
        for name, value in views.experiment_tags(view).items():
            if held.get(name) != value:
                client.set_experiment_tag(experiment_id, name, value)


def experiment(client: Any, results: Path, study: str) -> str:
    """The id of a study's experiment, created (or taken back from the bin) where needed."""
    name = views.experiment_name(study)
    found = client.get_experiment_by_name(name)
    if found is None:
        return client.create_experiment(name, artifact_location=artifact_location(results, study))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return found.experiment_id


def artifact_location(results: Path, study: str) -> str | None:
    """Where the artifacts of a study go; None leaves it to the server."""
    if local_database(results) is None:
        return None
    return (Path(results).resolve() / "mlartifacts" / study).as_uri()


def moved(client: Any, results: Path) -> bool:
    """Whether the store was written while `results` lay elsewhere (MLflow keeps absolute paths)."""
    for study in views.VIEWS:
        found = client.get_experiment_by_name(views.experiment_name(study))
        if found and found.artifact_location != artifact_location(results, study):
            return True
    return False
