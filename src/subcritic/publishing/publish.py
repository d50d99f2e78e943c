"""Publishing: the tables and figures of a finished profile kept in the repository, and pages made from them."""

from __future__ import annotations

import contextlib
import importlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from subcritic import config, profiles
from subcritic.config import Profile
from subcritic.measuring.kept import TAKEN
from subcritic.publishing import accumulated, page, provenance, reports
from subcritic.publishing.check import check, chosen, recorded_files, sources
from subcritic.publishing.folders import replaced
from subcritic.reporting import documents, records
from subcritic.reporting.records import MissingResult
from subcritic.studies import STUDIES
from subcritic.study import Job
from subcritic.tracking import record
from subcritic.tracking.process import instead

# Of a profile whose runs are not kept one by one.
SCORES = "scores.csv"


def publish(
    name: str,
    results: Path,
    published: Path,
    docs: Path,
    goal: Profile | None = None,
    *,
    replace: bool = False,
) -> list[Path]:
    """Copy the tables and figures of profile `name` to published/<name>/, and make the pages in `docs` anew.

    Beside them, provenance.json says which code, packages, config and machine they come from, and facts.json what of the
    config pages tell, so that they can be made again when config keys have new names. Studies with a publish.py keep more.
    Nothing is changed unless everything is there. Returns the files written.

    Of a profile that is made in parts, the part is published in which methods can be compared, with the runs of all finished
    seeds beside it, see `accumulated`. goal: the profile as its config asks for it; none given, as it was run last.
    replace: whether published runs of another config or code may go that were not made again.

    Raises:
        MissingResult: a file is missing or not made from what is there now, a run is not FINISHED or not of this config, or
            published runs would be lost.
        ConfigError: the config names what no page can show; the message names the field.
    """
    path = results / name / "config.yaml"
    if not path.is_file():
        raise MissingResult(f"{path} is missing: run the profile first, `make reproduce PROFILE={name}`")
    goal = goal or profiles.load(path)
    with _comparable(results / name, goal) as part:
        return _publish(name, part, results, published, docs, goal, replace)


def _publish(
    name: str, part: Path, results: Path, published: Path, docs: Path, goal: Profile, replace: bool
) -> list[Path]:
    """Publish the results in the folder `part`, and of those in the folder `results` the runs of all finished seeds."""
    folder = published / name
    profile, sources, runs = check(part / name)
    with replaced(folder, lambda: page.check(folder)) as new:
        for source in sources:
            shutil.copyfile(source, new / source.name)
        if any(TAKEN in run["tags"] for run in runs):
            _keep_figures_of_whole_runs(profile, folder, new)
        # Trainings whose runs are published one by one have their times there; here their files were written just now.
        timed = {part / name / path for job in accumulated.trainings_of(profile) for path in _files(job)}
        recorded = [path for study in chosen(profile) for path in recorded_files(study, profile, part / name)]
        before = folder / "provenance.json"
        earlier = json.loads(before.read_text()) if before.exists() else None
        made = provenance.describe(profile, runs, [path for path in recorded if path not in timed], earlier)
        documents.write(new / "provenance.json", made)
        documents.write(new / "facts.json", facts(profile, accumulated.missing(goal, profile)))
        accumulated.write(goal, results, new, folder, replace=replace)
        _write_scores(profile, part / name, new)
    written = sorted(folder.iterdir())
    for study in chosen(profile):
        if study.publishes:
            module = importlib.import_module(f"subcritic.studies.{study.name}.publish")
            written += module.publish(profile, part, folder, docs)
    return [*written, documents.write(docs / page.PAGE, page.page(published, docs))]


def _keep_figures_of_whole_runs(profile: Profile, before: Path, new: Path) -> None:
    """Leave figures that show more of a run than is kept as they were published, if they were: some runs were taken."""
    for study in chosen(profile):
        for file in study.shown.values():
            if file.published and file.of_whole_runs:
                name = Path(file.path).name
                (new / name).unlink()
                if (before / name).is_file():
                    shutil.copyfile(before / name, new / name)


def _write_scores(profile: Profile, root: Path, folder: Path) -> None:
    """Write the scores of all trainings whose runs are not published one by one, a row for each seed, if there are any: so
    any two methods can be compared.
    """
    by_run = {job.study for job in accumulated.trainings_of(profile)}
    studies = dict.fromkeys(source.name for study in chosen(profile) for source in sources(study, profile))
    frames = [
        records.read(STUDIES[name], "scores", profile, root).assign(study=name)
        for name in studies
        if name not in by_run
        and "scores" in STUDIES[name].records
        and STUDIES[name].records["scores"].columns
    ]
    if frames:
        scores = pd.concat(frames, ignore_index=True)
        documents.write(folder / SCORES, scores[["study", *scores.columns.drop("study")]])


@contextlib.contextmanager
def _comparable(root: Path, goal: Profile) -> Iterator[Path]:
    """The folder of results to publish from: that of `root`, unless the profile is made in parts.

    Then another one, with the part of the profile that can be published, its tables and figures. Nothing changes in `root`,
    where a chain may be running, nor in MLflow.
    """
    if not accumulated.trainings_of(goal):
        yield root.parent
        return
    part = accumulated.fair_part(goal, root.parent)
    with tempfile.TemporaryDirectory() as folder, instead(Path(folder)):
        results = Path(folder)
        new = results / root.name
        new.mkdir()
        (new / "config.yaml").write_text(yaml.safe_dump(config.dump(part), sort_keys=False))
        for runs in (root / "runs").glob("*/*"):
            if runs.name != record.RESULTS:
                _link(runs, new / runs.relative_to(root))
        _write_files(part, root, results)
        for study in chosen(part):
            reports.make(study, part, results)
        yield results


def _write_files(part: Profile, root: Path, results: Path) -> None:
    """What the jobs of a profile write, in another folder of results, where the records of its runs are."""
    from subcritic.measuring.method import write_records

    kept = {job.name for job in accumulated.trainings_of(part)}
    studies = dict.fromkeys(source.name for study in chosen(part) for source in sources(study, part))
    for study in (STUDIES[name] for name in studies):
        for job in study.jobs(part):
            if job.name in kept:
                write_records(job, study, results)
                continue
            for path in _files(job):
                if not (root / path).is_file():
                    raise MissingResult(
                        f"{root / path} missing: the profile {root.name!r} has not been run to its end"
                    )
                _link(root / path, results / root.name / path)


def _files(job: Job) -> list[str]:
    """What a job records, below the folder of its profile."""
    return [job.path(file.path) for file in STUDIES[job.study].records.values()]


def _link(to: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(to.resolve())


def facts(profile: Profile, missing: list[str]) -> dict[str, Any]:
    """What pages tell of a profile, in words that stay true of it. missing: what of its config is not there yet."""
    studies = chosen(profile)
    lines = [line for study in studies if study.described for line in study.described(profile)]
    own_pages = [study.page for study in studies if study.page != page.PAGE]
    return {
        "format": page.FORMAT,
        "profile": profile.profile,
        "page": own_pages[0] if own_pages else page.PAGE,
        "studies": [study.name for study in studies],
        "seeds": profile.seed_list(),
        "confidence": profile.statistics.confidence,
        "described": [*dict.fromkeys(lines), *missing],
    }
