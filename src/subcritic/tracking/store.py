"""MLflow's store: SQLite with a write-ahead log (WAL) under `results/`, or the store that MLFLOW_TRACKING_URI names.

That is a database, `postgresql://…`, whose artifacts are files in `results/mlartifacts-shared/`; or a server, `http://…`,
that keeps artifacts too. Results folders may share a store: each has an id, and touches no run of another.
"""

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
from .redaction import Redacting, redact

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Tags by which a run is found: the identity, and the ids of its record and of its results folder.
IDENTITY, RECORD, RESULTS_ID = "subcritic.identity", "subcritic.record", "subcritic.results"
# Set before mlflow is imported: no telemetry, no links printed (with the server's password in them), and a server that is
# down is noticed within seconds.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "PGCONNECT_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


# Folders of artifacts below the results: of the local store, and of a database that MLFLOW_TRACKING_URI names. Rebuilding
# the local store removes what it does not know from its own folder, and from no other.
ARTIFACTS, SHARED_ARTIFACTS = "mlartifacts", "mlartifacts-shared"
DATABASES = ("postgresql", "mysql", "mssql")
# Packages whose errors are about the store.
LIBRARIES = {"mlflow", "sqlalchemy", "alembic", "psycopg2", "requests", "urllib3"}
# Of the lock that those take who may make the tables of a database.
TABLES_LOCK = 0x5B_C417


class StoreError(RuntimeError):
    """The MLflow store cannot be used; the message says how to repair it. It holds no password."""

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))


def describe(error: BaseException) -> str:
    """An error in one line, without passwords."""
    text = str(error) if isinstance(error, StoreError) else f"{type(error).__name__}: {error}"
    return redact(text.strip()).split("\n")[0]


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Raise what MLflow and the libraries below it raise as a StoreError: one line for the user, without passwords."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in LIBRARIES:
            raise
        raise StoreError(f"MLflow: {describe(error)}") from None


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
    """An MlflowClient for `uri`. MLflow is imported here because the import takes over a second.

    Raises StoreError where `uri` is no address, or a database does not answer.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        for handler in logger.handlers:
            if not any(isinstance(known, Redacting) for known in handler.filters):
                handler.addFilter(Redacting())
    # MLflow makes the tables of an empty database here.
    try:
        with _alone(uri) if uri.startswith(DATABASES) else contextlib.nullcontext():
            return MlflowClient(tracking_uri=uri)
    except ValueError:
        # Its text may hold a part of the password.
        raise StoreError(f"{uri}: is not an address; one is http://user:password@host:port") from None


@contextlib.contextmanager
def _alone(uri: str) -> Iterator[None]:
    """One process at a time, because two that make tables at once fail (PostgreSQL only).

    Also sees to it that the database answers: MLflow would try for minutes to reach one that is down.
    """
    import sqlalchemy
    from sqlalchemy.pool import NullPool

    try:
        # Without a pool the connection ends at once, and the lock with it.
        engine = sqlalchemy.create_engine(uri, poolclass=NullPool)
    except ValueError:
        # Its text may hold a part of the password, where that has a slash.
        raise StoreError(
            f"{uri}: is not postgresql://user:password@host:port/database, where other characters of the password than "
            "letters and digits are written as % and two hexadecimal digits"
        ) from None
    except ModuleNotFoundError as error:
        # PostgreSQL's driver is in an extra of this package, others are not.
        extra = ": pip install -e '.[postgres]'" if uri.startswith("postgresql") else ""
        raise StoreError(f"{uri} needs the package {error.name}{extra}") from None
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise StoreError(f"{uri}: {describe(error)}") from None
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({TABLES_LOCK})"))
            yield
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise StoreError(f"{uri}: {describe(error)}") from None


def describe_experiments(client: MlflowClient, results: Path) -> None:
    """Create or bring up to date every study's experiment: description and saved views."""
    # MLflow lists the newest experiment first, so that the first study is created last.
    for study, view in reversed(views.VIEWS.items()):
        experiment_id = experiment(client, results, study)
        held = client.get_experiment(experiment_id).tags
        for name, value in views.experiment_tags(view).items():
            if held.get(name) != value:
                set_experiment_tag(client, experiment_id, name, value)


def set_experiment_tag(client: MlflowClient, experiment_id: str, name: str, value: str) -> None:
    """Set a tag, which another process may set at the same time."""
    from mlflow.exceptions import MlflowException

    try:
        client.set_experiment_tag(experiment_id, name, value)
    except MlflowException:
        if client.get_experiment(experiment_id).tags.get(name) != value:
            raise


def experiment(client: MlflowClient, results: Path, study: str) -> str:
    """The id of a study's experiment, which is created, or restored from MLflow's trash, if necessary."""
    from mlflow.exceptions import MlflowException

    name = views.experiment_name(study)
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name, artifact_location=artifact_location(results, study))
        except MlflowException:
            # Another process may have created it at the same time.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return found.experiment_id


def artifact_location(results: Path, study: str) -> str | None:
    """Where the artifacts of a study are stored; None: the server decides."""
    if tracking_uri(results).startswith("http"):
        return None
    folder = ARTIFACTS if local_database(results) else SHARED_ARTIFACTS
    return (Path(results).resolve() / folder / study).as_uri()


def results_id(results: Path) -> str:
    """What tells this results folder from others that use the same store; it stays when the folder is moved."""
    path = Path(results).resolve() / ".mlflow" / "id"
    with contextlib.suppress(FileExistsError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x") as file:
            file.write(f"{uuid.uuid4().hex}\n")
    return path.read_text().strip()


def ended(client: MlflowClient) -> dict[str, tuple[str, int]]:
    """What MLflow has in full, by the id of its record: status, and when it ended. Without what it has twice.

    The status is what is written last. A record that is continued ends at another time.
    """
    found = [client.get_experiment_by_name(views.experiment_name(study)) for study in views.VIEWS]
    experiments = [experiment.experiment_id for experiment in found if experiment]
    complete: dict[str, tuple[str, int]] = {}
    seen: set[str] = set()
    token = None
    while experiments:
        page = client.search_runs(experiments, max_results=1000, page_token=token)
        for run in page:
            record = run.data.tags.get(RECORD)
            if record in seen:
                complete.pop(record, None)
            elif record:
                seen.add(record)
                if run.info.end_time:
                    complete[record] = (run.info.status, run.info.end_time)
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
