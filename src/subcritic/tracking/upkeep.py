"""Maintenance of MLflow: create the store, rebuild it from the records, mark dead runs as KILLED, add a study's results."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import process, store
from .claim import claim
from .group import RunGroup
from .mirror import Mirror, agree
from .record import RESULTS, Identity, RecordError, mark_killed, records

# MLflow's folder of an experiment's models, beside those of its runs.
MODELS = "models"

__all__ = ["bring_up", "bring_up_to_date", "log_results", "rebuild", "sweep"]


def bring_up(results: Path) -> Mirror:
    """The MLflow store, made where there is none, with all experiments, their descriptions and saved views; and its mirror.

    If the results folder has been moved, the store is rebuilt. For the process that mirrors, and what stands `instead`.
    """
    results = Path(results).resolve()
    if store.local_database(results):
        store.create(results)
    client = store.client_of(store.tracking_uri(results))
    if store.local_database(results) and store.moved(client, results):
        _rebuild(results)
    store.describe_experiments(client, results)
    return Mirror(client, results)


def bring_up_to_date(results: Path) -> None:
    """Write to MLflow, in this process, what it lacks of the records."""
    with process.instead(results):
        bring_up(results).catch_up()


def rebuild(results: Path) -> int:
    """Rebuild MLflow from the records of all profiles; returns the number of records.

    The local store is replaced: anything else in it is lost, and an open UI must be restarted. A store named by
    MLFLOW_TRACKING_URI is not emptied; only what it lacks is added. Runs may be written meanwhile.
    """
    results = Path(results).resolve()
    with process.instead(results):
        sweep(results)
        return _rebuild(results)


def _rebuild(results: Path) -> int:
    folders, database = list(records(results)), store.local_database(results)
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
        held = [agree(client, results, folder) for folder in folders]
    store.replace_database(new, database)
    kept = {MODELS} | {name for one in held for name in (one.run_id, one.model)}
    for pattern in ("*/*", f"*/{MODELS}/*"):
        for folder in (results / store.ARTIFACTS).glob(pattern):
            if folder.name not in kept:
                shutil.rmtree(folder)


def sweep(results: Path) -> list[Path]:
    """Mark records as KILLED whose status is RUNNING although their process has ended; returns their folders."""
    found = []
    for folder in records(results):
        # A job may be making a record anew meanwhile.
        with contextlib.suppress(RecordError):
            if mark_killed(folder):
                found.append(folder)
    return found


def log_results(
    results: Path,
    profile: str,
    study: str,
    config: dict[str, Any],
    files: Sequence[Path] = (),
    metrics: Mapping[str, float] | None = None,
    note: str = "",
    inputs: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Record the results of a study, its tables, figures and main numbers, as one run called `results`.

    Args:
        files: the run's artifacts; a missing file raises RecordError.
        metrics: name to number, recorded at step 0.
        note: markdown, shown as the run's description.
        inputs: what the results were made from, see `inputs.dataset`.
    """
    identity = Identity(profile, study, RESULTS, RESULTS, 0)
    with RunGroup(results, [identity], config, note=note) as group:
        group.log(0, 0, metrics or {})
        group.inputs(0, inputs)
        for file in files:
            group.artifact(0, file)
