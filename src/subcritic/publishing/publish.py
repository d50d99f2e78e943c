"""Publishing: the tables and figures of a finished profile kept in the repository, and pages made from them."""

from __future__ import annotations

import contextlib
import importlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from subcritic import config, profiles
from subcritic.config import Profile
from subcritic.publishing import accumulated, page, provenance, reports
from subcritic.publishing.check import check, chosen, recorded_files
from subcritic.publishing.folders import replaced
from subcritic.reporting import documents
from subcritic.studies import STUDIES


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
    seeds beside it, see `accumulated`. goal: the profile as its config asks for it. replace: whether published runs of
    another config or code may go that were not made again.

    Raises:
        MissingResult: a file is missing or older than what it was made from, a run is not FINISHED or not of this config, or
            published runs would be lost.
    """
    with _settled(results / name):
        return _publish(name, results, published, docs, goal, replace)


def _publish(
    name: str, results: Path, published: Path, docs: Path, goal: Profile | None, replace: bool
) -> list[Path]:
    folder = published / name
    profile, sources, runs = check(results / name)
    goal = goal or profile
    with replaced(folder) as new:
        for source in sources:
            shutil.copyfile(source, new / source.name)
        recorded = [
            path for study in chosen(profile) for path in recorded_files(study, profile, results / name)
        ]
        documents.write(new / "provenance.json", provenance.describe(profile, runs, recorded))
        documents.write(new / "facts.json", facts(profile, accumulated.missing(goal, profile)))
        accumulated.write(goal, results, new, folder, replace=replace)
    written = sorted(folder.iterdir())
    for study in chosen(profile):
        if study.publishes:
            module = importlib.import_module(f"subcritic.studies.{study.name}.publish")
            written += module.publish(profile, results, folder, docs)
    return [*written, documents.write(docs / page.PAGE, page.page(published, docs))]


@contextlib.contextmanager
def _settled(root: Path) -> Iterator[None]:
    """While it lasts, a profile made in parts is the part of it that can be published, with its tables and figures."""
    path = root / "config.yaml"
    whole = profiles.load(path) if path.is_file() else None
    part = accumulated.fair_part(whole, root.parent) if whole and accumulated.jobs_of(whole) else whole
    if whole is None or part is None or part is whole:
        yield
        return
    from subcritic.measuring.method import write_records

    text = path.read_text()
    try:
        path.write_text(yaml.safe_dump(config.dump(part), sort_keys=False))
        for job in accumulated.jobs_of(part):
            write_records(job, STUDIES[job.study], root.parent)
        for study in chosen(part):
            reports.make(study, part, root.parent)
        yield
    finally:
        # A chain that is still running reads its jobs there.
        path.write_text(text)


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
        "described": [*dict.fromkeys(lines), *missing],
    }
