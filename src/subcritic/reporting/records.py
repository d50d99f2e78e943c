"""Reading what studies recorded under results/<profile>/: long-form frames, and clear errors for missing files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from subcritic.config import Environment, Profile
from subcritic.study import Study

# Columns whose values are names, also where they look like numbers.
NAMES = ("environment", "method", "role", "metric", "critic", "learner", "hidden", "reading")
ANCHORS = (
    "environment", "random_mean", "random_standard_error", "random_episodes", "reference_return", "reference_source",
)  # fmt: skip


class MissingResult(FileNotFoundError):
    """A recorded file that a report needs is not there, or is not what it should be."""


def read(study: Study, name: str, profile: Profile, root: Path) -> pd.DataFrame:
    """The table `name` that the study's jobs recorded, all jobs together.

    Raises:
        MissingResult: a file is missing, or lacks a column that the study declares.
    """
    recorded = study.records[name]
    frames = []
    for job in study.jobs(profile):
        path = root / job.path(recorded.path)
        must_exist(path, study.name)
        frame = pd.read_csv(path, dtype={column: str for column in NAMES if column in recorded.columns})
        _must_have(path, recorded.columns, frame.columns)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def read_json(study: Study, name: str, profile: Profile, root: Path) -> dict[str, dict[str, Any]]:
    """The data `name` that the study's jobs recorded, by the name of the job's method, or else of its environment."""
    found = {}
    for job in study.jobs(profile):
        path = root / job.path(study.records[name].path)
        must_exist(path, study.name)
        found[job.method or job.environment] = json.loads(path.read_text())
    return found


def actions(study: Study, profile: Profile, root: Path) -> dict[str, int]:
    """The dimension of each task's action, of a study whose trainings record it with their method.

    Raises:
        MissingResult: a training recorded before this was.
    """
    found = {}
    for job in study.jobs(profile):
        path = root / job.path(study.records["method"].path)
        must_exist(path, study.name)
        facts = json.loads(path.read_text())
        if "actions" not in facts:
            raise MissingResult(f"{path} lacks the number of actions: train anew")
        found[job.environment] = facts["actions"]
    return found


def anchors(profile: Profile, root: Path, environments: Sequence[Environment] | None = None) -> pd.DataFrame:
    """Random-policy return and reference return per environment (the index); NaN where there is no reference.

    environments: None is all of the profile's.
    """
    chosen = profile.environments if environments is None else environments
    return pd.DataFrame([_anchor(root, e.name) for e in chosen]).set_index("environment")


def _anchor(root: Path, environment: str) -> dict[str, Any]:
    path = root / "anchors" / f"{environment}.json"
    must_exist(path, "anchors")
    anchor = json.loads(path.read_text())
    _must_have(path, ANCHORS, anchor)
    reference = anchor["reference_return"]
    return {**{name: anchor[name] for name in ANCHORS},
            "reference_return": float("nan") if reference is None else float(reference),
            "reference_standard_error": float(anchor.get("reference_standard_error") or 0.0),
            "reference_source": anchor["reference_source"] or ""}  # fmt: skip


def must_exist(path: Path, study: str) -> None:
    """Raise MissingResult, naming the study to run, unless the file is there."""
    if not path.is_file():
        raise MissingResult(
            f"{path} is missing: the study {study!r} makes it; run that study, then the report"
        )


def _must_have(path: Path, columns: Sequence[str], given: Any) -> None:
    missing = [name for name in columns if name not in given]
    if missing:
        raise MissingResult(f"{path} lacks {', '.join(missing)}; expected: {', '.join(columns)}")
