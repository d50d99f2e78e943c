"""Reading run records into long tables, and writing tables whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from subcritic import files
from subcritic.config import dump
from subcritic.study import Job, Study
from subcritic.tracking import Identity, RunGroup


def read_curves(identities: Sequence[Identity], results: Path) -> pd.DataFrame:
    """The recorded metrics of some runs: columns environment, method, seed, step, metric, value."""
    frames = []
    for identity in identities:
        frame = pd.read_csv(identity.folder(results) / "metrics.csv")[["step", "metric", "value"]]
        frame.insert(0, "environment", identity.environment)
        frame.insert(1, "method", identity.method)
        frame.insert(2, "seed", identity.seed)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def write_csv(path: Path, frame: pd.DataFrame) -> Path:
    """Write a table, whole or not at all."""
    with files.whole(path) as file:
        frame.to_csv(file, index=False)
    return path


def write_json(path: Path, data: Any) -> Path:
    """Write data, whole or not at all."""
    with files.whole(path) as file:
        file.write_text(json.dumps(data, indent=2) + "\n")
    return path


def record(job: Job, results: Path, rows: pd.DataFrame) -> None:
    """Record measured values as the job's one run, for every seed. rows: columns seed, step, metric, value."""
    (run,) = job.runs
    identities = [Identity(job.profile, job.study, run.environment, run.method, seed) for seed in job.seeds]
    with RunGroup(results, identities, dump(run.config)) as group:
        for (seed, step), found in rows.groupby(["seed", "step"]):
            metrics = dict(zip(found["metric"], found["value"], strict=True))
            group.log(int(step), job.seeds.index(seed), metrics)


def paths(job: Job, study: Study, results: Path) -> dict[str, Path]:
    """Where a job's records go, by the names that its study declares."""
    return {name: results / job.profile / job.path(file.path) for name, file in study.records.items()}
