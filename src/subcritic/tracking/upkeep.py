"""Maintenance of MLflow: create the store, rebuild it from the records, mark dead runs as KILLED, add a study's results."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import store
from .claim import claim, claimed
from .group import RunGroup
from .mirror import Mirror, agree
from .record import RESULTS, Identity, mark_killed, read, records

__all__ = ["initialise", "log_results", "rebuild", "sweep"]


def initialise(results: Path) -> None:
    """Create the MLflow store with all experiments, their descriptions and saved views.

    To be called once before parallel runs start; harmless to call again. If the results folder has been moved, the store is
    rebuilt.
    """
    results = Path(results).resolve()
    database = store.local_database(results)
    if database:
        store.create(results)
    client = store.client_of(store.tracking_uri(results))
    if database and store.moved(client, results):
        rebuild(results)
    store.describe_experiments(client, results)


def rebuild(results: Path) -> int:
    """Rebuild MLflow from the records of all profiles; returns the number of records.

    The local store is replaced: anything else in it is lost, and an open UI must be restarted. A store named by
    MLFLOW_TRACKING_URI is not emptied; only what it lacks is added.

    Raises:
        StoreError: runs are still being written.
    """
    results = Path(results).resolve()
    busy = [folder for folder in records(results) if claimed(folder.parent)]
    if busy:
        names = ", ".join(str(folder.relative_to(results)) for folder in busy[:3])
        raise store.StoreError(
            f"{len(busy)} runs are still being written ({names} …): wait for them or stop them"
        )
    sweep(results, mirror=False)
    folders = list(records(results))
    database = store.local_database(results)
    if database is None:
        client = store.client_of(store.tracking_uri(results))
        store.describe_experiments(client, results)
        for folder in folders:
            agree(client, results, folder)
    else:
        with claim(results / ".mlflow"):
            _rebuild_local(results, database, folders)
    return len(folders)


def _rebuild_local(results: Path, database: Path, folders: Sequence[Path]) -> None:
    with store.new_database(results) as (client, new):
        store.describe_experiments(client, results)
        kept = {agree(client, results, folder).run_id for folder in folders}
    store.replace_database(new, database)
    for folder in (results / "mlartifacts").glob("*/*"):
        if folder.name not in kept:
            shutil.rmtree(folder)


def sweep(results: Path, mirror: bool = True) -> list[Path]:
    """Mark records as KILLED whose status is RUNNING although their process has ended; returns their folders."""
    dead = [
        folder
        for folder in records(results)
        if read(folder)["status"] == "RUNNING" and not claimed(folder.parent)
    ]
    for folder in dead:
        mark_killed(folder)
    if dead and mirror:
        Mirror(results).synchronise(dead, now=True)
    return dead


def log_results(
    results: Path,
    profile: str,
    study: str,
    config: dict[str, Any],
    files: Sequence[Path] = (),
    metrics: Mapping[str, float] | None = None,
    note: str = "",
) -> None:
    """Record the results of a study, its tables, figures and main numbers, as one run called `results`.

    Args:
        files: the run's artifacts; a missing file raises RecordError.
        metrics: name to number, recorded at step 0.
        note: markdown, shown as the run's description.
    """
    identity = Identity(profile, study, RESULTS, RESULTS, 0)
    with RunGroup(results, [identity], config, note=note) as group:
        group.log(0, 0, metrics or {})
        for file in files:
            group.artifact(0, file)
