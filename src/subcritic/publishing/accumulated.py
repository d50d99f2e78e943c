"""Published runs: scores and curves of single seeds, which stay from one publishing to the next and can be taken as given.

A profile whose trainings take more than one sitting (`runtime.seeds_at_a_time`) is published in parts. `runs.csv`,
`curves.csv` and `methods.json` in results/published/<profile>/ hold every finished seed of the studies that keep runs
(`Study.keeps`), with digests of the config and the code it depended on. Tables and figures show the part in which methods
can be compared, see `fair_part`. A run of earlier code counts as one of later code that repeated part of it with the same
numbers: its `code` is then the later one's, `verified` names the commit of that and says how far, and `commit` is still the
one that trained it.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from subcritic import profiles
from subcritic.config import ConfigError, Profile, dump
from subcritic.measuring.kept import FACTS, SCORE, TAKEN, depends_on, identity_of, is_kept
from subcritic.measuring.tables import read_curves, write_csv
from subcritic.publishing.check import chosen, sources
from subcritic.reporting import documents
from subcritic.reporting.records import MissingResult
from subcritic.studies import STUDIES
from subcritic.study import Job
from subcritic.tracking import Run, record

KEY = ["study", "environment", "method", "seed"]
# The files of a published profile.
RUNS, CURVES, METHODS = "runs.csv", "curves.csv", "methods.json"
NAMES = dict.fromkeys(("environment", "method", "critic", "config_hash", "code", "commit", "verified"), str)

# Study, environment, method and seed of a run.
Key = tuple[Any, ...]


class Published(NamedTuple):
    """The runs of a published profile: rows and curves by their keys, what tables say of methods by the names of jobs."""

    rows: dict[Key, dict[str, Any]]
    curves: dict[Key, pd.DataFrame]
    facts: dict[str, Any]


def load(folder: Path) -> Published:
    """The runs in results/published/<profile>/; nothing where there are none."""
    rows = _read(folder / RUNS)
    if rows.empty:
        return Published({}, {}, {})
    return Published(
        {_key(row): row for row in rows.to_dict("records")},
        dict(iter(_read(folder / CURVES).groupby(KEY))),
        json.loads((folder / METHODS).read_text()),
    )


def trainings_of(profile: Profile) -> list[Job]:
    """The trainings of a profile whose runs are published one by one; none of a profile that is not made in parts."""
    if profile.runtime.seeds_at_a_time is None:
        return []
    studies = [source for study in chosen(profile) for source in sources(study, profile) if source.keeps]
    return [
        job for name in dict.fromkeys(study.name for study in studies) for job in STUDIES[name].jobs(profile)
    ]


def take(profile: Profile, published: Path, results: Path, *, dry_run: bool = False) -> tuple[int, int]:
    """Write published runs as finished records, where they are of this config and code and none is there.

    Returns how many, and how many of them are of earlier code that was repeated in part. dry_run: whether to only count.
    """
    known, taken = load(published / profile.profile), []
    for job, seed in _seeds(trainings_of(profile)):
        key = (*job_key(job), seed)
        row = known.rows.get(key)
        if row and _current(row, job, seed) and not is_kept(job, seed, results):
            if not dry_run:
                _write_record(job, seed, row, known.curves.get(key), known.facts[job.name], results)
            taken.append(row)
    return len(taken), sum(_verified(row) is not None for row in taken)


def outdated(profile: Profile, published: Path, results: Path) -> int:
    """How many published runs are of another config or version of the code, and were not made again."""
    known = load(published / profile.profile).rows
    return sum(
        not _current(known[key], job, seed) and not is_kept(job, seed, results)
        for job, seed in _seeds(trainings_of(profile))
        if (key := (*job_key(job), seed)) in known
    )


def of_earlier_code(profile: Profile, published: Published) -> tuple[list[Job], int]:
    """Jobs of the seeds whose published runs are of this config and another code; and how many runs are of other configs."""
    found, of_config = [], 0
    for job in trainings_of(profile):
        there = {seed: row for seed in job.seeds if (row := published.rows.get((*job_key(job), seed)))}
        now = {seed: depends_on(job, seed) for seed in there}
        same = [seed for seed, row in there.items() if row["config_hash"] == now[seed]["config_hash"]]
        earlier = tuple(seed for seed in same if there[seed]["code"] != now[seed]["code"])
        of_config += len(same)
        if earlier:
            found.append(job.of_seeds(earlier))
    return found, len(published.rows) - of_config


def mark_verified(folder: Path, job: Job, code: str, text: str) -> None:
    """Say of a job's published runs that they are of this code, and in `text` how that is known; all else stays as it is."""
    path = folder / RUNS
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    keys = {(*job_key(job), str(seed)) for seed in job.seeds}
    which = [key in keys for key in rows[KEY].itertuples(index=False, name=None)]
    rows.loc[which, ["code", "verified"]] = [code, text]
    write_csv(path, rows)


def verified(folder: Path) -> tuple[int, dict[str, int]]:
    """How many runs are published in a folder; and how many of them are of earlier code, by what their `verified` says."""
    rows = _read(folder / RUNS)
    counts = rows["verified"].value_counts().sort_index() if "verified" in rows else {}
    return len(rows), {str(text): int(count) for text, count in counts.items()}


def forget_taken(profile: Profile, results: Path) -> int:
    """Delete the records that `take` wrote, so that their seeds are trained; how many."""
    taken = [
        folder
        for job, seed in _seeds(trainings_of(profile))
        if (folder := identity_of(job, seed).folder(results)).is_dir()
        and TAKEN in record.read(folder)["tags"]
    ]
    for folder in taken:
        shutil.rmtree(folder)
    return len(taken)


def rounds_left(profile: Profile, results: Path) -> Callable[[Job], int | None]:
    """How many times a training whose runs are published one by one will still run until all of its seeds are done; None for
    other jobs.
    """
    trainings, together = {job.name for job in trainings_of(profile)}, profile.runtime.seeds_at_a_time or 1

    def rounds(job: Job) -> int | None:
        if job.name not in trainings:
            return None
        return math.ceil(sum(not is_kept(job, seed, results) for seed in job.seeds) / together)

    return rounds


def finished(profile: Profile, results: Path) -> dict[str, int]:
    """How many seeds, from the first on, all methods have on each task."""
    done = {environment.name: profile.seeds for environment in profile.environments}
    for job in trainings_of(profile):
        there = len(list(takewhile(lambda seed, job=job: is_kept(job, seed, results), job.seeds)))  # type: ignore[misc]
        done[job.environment] = min(done[job.environment], there)
    return done


def fair_part(profile: Profile, results: Path) -> Profile:
    """The part of a profile in which methods can be compared: the whole of it, if all is done.

    Else the tasks on which every method has at least the first seed, and as many seeds, from the first on, as all methods
    have on all of these tasks. Raises MissingResult if there is no such task.
    """
    done = finished(profile, results)
    tasks = [name for name, seeds in done.items() if seeds]
    if not tasks:
        raise MissingResult(
            f"{results / profile.profile}: there is no task yet on which all methods have a finished seed of this "
            "config and this version of the code"
        )
    seeds = min(done[name] for name in tasks)
    if seeds == profile.seeds and len(tasks) == len(done):
        return profile
    data = dump(profile)
    data |= {"seeds": seeds, "environments": [e for e in data["environments"] if e["name"] in tasks]}
    try:
        return profiles.parse(data)
    except ConfigError as error:
        raise MissingResult(
            f"{results / profile.profile}: a study of this config needs more than the {len(tasks)} tasks that are done, so "
            f"that no part can be published ({error})"
        ) from None


def missing(goal: Profile, part: Profile) -> list[str]:
    """What a config asks for beyond the part that is published, in words; nothing if that is all."""
    there = {environment.name for environment in part.environments}
    tasks = [environment.name for environment in goal.environments if environment.name not in there]
    found = []
    if tasks:
        names = ", ".join(name.removesuffix("-v0") for name in tasks)
        found.append(f"Not there yet: {len(tasks)} of {len(goal.environments)} tasks ({names}).")
    if part.seeds < goal.seeds:
        found.append(f"Not there yet: {goal.seeds - part.seeds} of {goal.seeds} seeds.")
    return found


def write(goal: Profile, results: Path, folder: Path, before: Path, *, replace: bool = False) -> list[Path]:
    """Write the runs of all finished seeds to `folder`, and those published in `before` that were not made again.

    goal: the profile with all its tasks and seeds. replace: whether to leave out published runs that are of another config
    or code and were not made again.

    Raises:
        MissingResult: there are such runs, and `replace` does not say that they may go; or nothing is finished.
    """
    jobs = trainings_of(goal)
    if not jobs:
        if (before / RUNS).is_file() and not replace:
            raise MissingResult(
                f"{before / RUNS}: these runs would be lost, since the config has no `runtime.seeds_at_a_time` any more; "
                "set it, or publish with --replace to drop them"
            )
        return []
    done = [(job, seed) for job, seed in _seeds(jobs) if is_kept(job, seed, results)]
    if not done:
        raise MissingResult(
            f"{results / goal.profile}: no finished run is of the config and the code as they are now; run the profile "
            "again"
        )
    runs = pd.DataFrame([row_of(job, seed, results) for job, seed in done])
    curves = pd.concat([curves_of(job, seed, results) for job, seed in done], ignore_index=True)
    facts = {job.name: json.loads(_artifact(job, seed, results, FACTS)) for job, seed in done}
    old = _read(before / RUNS)
    if not old.empty:
        mine, by_key = (
            set(map(_key, runs.to_dict("records"))),
            {(*job_key(job), s): job for job, s in _seeds(jobs)},
        )
        others = [row for row in old.to_dict("records") if _key(row) not in mine]
        current = [
            row for row in others if _key(row) in by_key and _current(row, by_key[_key(row)], row["seed"])
        ]
        if len(current) < len(others) and not replace:
            lost = next(row for row in others if row not in current)
            raise MissingResult(
                f"{len(others) - len(current)} published runs are of another config or code and would be lost, such as "
                f"{'/'.join(map(str, _key(lost)))}; run the profile again, `subcritic verify` them if only the code is "
                "another, or publish with --replace to drop them"
            )
        keys = {_key(row) for row in current}
        runs = pd.concat([runs, pd.DataFrame(current)], ignore_index=True)
        old_curves = _read(before / CURVES)
        stay = [key in keys for key in old_curves[KEY].itertuples(index=False, name=None)]
        curves = pd.concat([curves, old_curves[stay]], ignore_index=True)
        facts = json.loads((before / METHODS).read_text()) | facts
    used = {"/".join(key) for key in runs[KEY[:3]].itertuples(index=False, name=None)}
    return [
        documents.write(folder / RUNS, runs.sort_values(KEY, kind="stable")),
        documents.write(folder / CURVES, curves.sort_values([*KEY, "metric", "step"], kind="stable")),
        documents.write(folder / METHODS, {name: facts[name] for name in sorted(facts) if name in used}),
    ]


def _seeds(jobs: list[Job]) -> Iterator[tuple[Job, int]]:
    return ((job, seed) for job in jobs for seed in job.seeds)


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=NAMES) if path.is_file() else pd.DataFrame()


def job_key(job: Job) -> tuple[str, str, str]:
    return job.study, job.environment, job.method


def _key(row: dict[str, Any]) -> Key:
    return tuple(row[name] for name in KEY)


def _current(row: dict[str, Any], job: Job, seed: int) -> bool:
    return all(row[name] == value for name, value in depends_on(job, seed).items())


def _verified(row: dict[str, Any]) -> str | None:
    """Which code repeated part of a published run, if one did."""
    found = row.get("verified")
    return None if pd.isna(found) else found


def _artifact(job: Job, seed: int, results: Path, name: str) -> str:
    return (identity_of(job, seed).folder(results) / "artifacts" / name).read_text()


def row_of(job: Job, seed: int, results: Path) -> dict[str, Any]:
    tags = record.read(identity_of(job, seed).folder(results))["tags"]
    score = json.loads(_artifact(job, seed, results, SCORE))
    known = {name: tags[name] for name in ("config_hash", "code", "commit")}
    return {"study": job.study} | score | known | {"verified": tags.get("verified")}


def curves_of(job: Job, seed: int, results: Path) -> pd.DataFrame:
    """The metrics that the study keeps, in long form."""
    curves = read_curves([identity_of(job, seed)], results)
    curves = curves[curves["metric"].isin(STUDIES[job.study].keeps)]
    curves.insert(0, "study", job.study)
    return curves


def _write_record(
    job: Job,
    seed: int,
    row: dict[str, Any],
    curves: pd.DataFrame | None,
    facts: dict[str, Any],
    results: Path,
) -> None:
    tags = depends_on(job, seed) | {"commit": row["commit"], TAKEN: "published"}
    if text := _verified(row):
        tags["verified"] = text
    run = Run.open(results, identity_of(job, seed), dump(job.runs[0].config_of(seed)), tags=tags)
    try:
        for step, found in [] if curves is None else curves.groupby("step"):
            run.log(int(step), dict(zip(found["metric"], found["value"], strict=True)))
        columns = STUDIES[job.study].records["scores"].columns
        score = {name: None if pd.isna(row.get(name)) else row[name] for name in columns}
        run.artifact(SCORE, json.dumps(score).encode())
        run.artifact(FACTS, json.dumps(facts).encode())
        run.finish("FINISHED")
    except BaseException:
        run.finish("FAILED")
        raise
