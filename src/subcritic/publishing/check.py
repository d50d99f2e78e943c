"""Is a profile finished? All its files are there, all its runs FINISHED and of its config, its tables made from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from subcritic import profiles
from subcritic.config import Profile, digest, dump
from subcritic.publishing import reports
from subcritic.reporting.records import MissingResult
from subcritic.studies import STUDIES
from subcritic.study import Study
from subcritic.tracking import Identity, record


def check(root: Path) -> tuple[Profile, list[Path], list[dict[str, Any]]]:
    """The profile of results/<profile>, its config and published files, and the content of all its run records.

    Raises:
        MissingResult: a file is missing or not made from what is there now, or a run is not FINISHED or not of this config.
    """
    path = root / "config.yaml"
    profile = profiles.load(path)
    files, runs = [path], []
    for study in chosen(profile):
        runs += measurements(study, profile, root)
        recorded_files(study, profile, root)
        files += published_files(study, root)
        if study.view:
            runs.append(_shown(study, profile, root))
    return profile, files, list({_key(run): run for run in runs}.values())


def _shown(study: Study, profile: Profile, root: Path) -> dict[str, Any]:
    """The record of a study's tables and figures, made from the files that its jobs have written by now.

    By their content: a job that has run again and written the same has changed nothing.
    """
    found = _finished(Identity(profile.profile, study.name, record.RESULTS, record.RESULTS, 0), root)
    then = {entry["name"]: entry["digest"] for entry in found["inputs"]}
    for entry in reports.reads(study, profile, root.parent):
        if then.get(entry["name"]) != entry["digest"]:
            raise MissingResult(
                f"{root.name}: the tables and figures of {study.name} were not made from {entry['source']} as it is now; "
                f"make them again: `subcritic report {study.name} --config {root / 'config.yaml'}`"
            )
    return found


def chosen(profile: Profile) -> list[Study]:
    """The studies that a profile runs, in reading order."""
    return [study for name, study in STUDIES.items() if name in profile.studies]


def sources(study: Study, profile: Profile) -> list[Study]:
    """A study, and the studies whose records its report or its jobs read."""
    read = {path for job in study.jobs(profile) for path in job.reads}
    writers = [
        other
        for other in STUDIES.values()
        if any(job.path(file.path) in read for job in other.jobs(profile) for file in other.records.values())
    ]
    names = dict.fromkeys([study.name, *study.reads, *(other.name for other in writers)])
    return [STUDIES[name] for name in names]


def measurements(study: Study, profile: Profile, root: Path) -> Iterator[dict[str, Any]]:
    """The records of all runs of a study and of those it reads, each checked against the config and the files of its job."""
    for other in sources(study, profile):
        for job in other.jobs(profile):
            written = [
                path for file in other.records.values() if (path := root / job.path(file.path)).is_file()
            ]
            for run in job.runs:
                for seed in job.seeds:
                    expected = digest(dump(run.config_of(seed)))
                    identity = Identity(job.profile, job.study, run.environment, run.method, seed)
                    found = _finished(identity, root)
                    if found["tags"]["config_hash"] != expected:
                        raise MissingResult(
                            f"{identity.key}: was made with another config than {root / 'config.yaml'}; run the profile "
                            "again"
                        )
                    for path in written:
                        if path.stat().st_mtime * 1000 < found["end_ms"]:
                            raise MissingResult(
                                f"{path} is older than the run {identity.key}; run the profile again"
                            )
                    yield found


def recorded_files(study: Study, profile: Profile, root: Path) -> list[Path]:
    """What a study's jobs have written, and those of the studies that it reads.

    Raises:
        MissingResult: a file is missing; the message names it.
    """
    paths = [
        root / job.path(file.path)
        for other in sources(study, profile)
        for job in other.jobs(profile)
        for file in other.records.values()
    ]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise MissingResult(
            f"{', '.join(missing[:3])} missing: the profile {root.name!r} has not been run to its end"
        )
    return paths


def published_files(study: Study, root: Path) -> list[Path]:
    """The files of a study that publishing keeps; raises MissingResult, naming all that are missing."""
    paths = [root / file.path for file in study.shown.values() if file.published]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise MissingResult(
            f"{', '.join(missing)} missing: the profile {root.name!r} has not been run to its end"
        )
    return paths


def _key(run: dict[str, Any]) -> str:
    return Identity.of(run).key


def _finished(identity: Identity, root: Path) -> dict[str, Any]:
    path = identity.folder(root.parent) / "run.json"
    if not path.is_file():
        raise MissingResult(f"{path} is missing: run the profile to its end before publishing it")
    run = record.read(path.parent)
    if run["status"] != "FINISHED":
        raise MissingResult(
            f"{path}: the run is {run['status']}, only FINISHED runs are published; run the profile again"
        )
    return run
