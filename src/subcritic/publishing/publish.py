"""Publishing: the tables and figures of a finished profile kept in the repository, and pages made from them."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

from subcritic.config import Profile
from subcritic.publishing import page, provenance
from subcritic.publishing.check import check, chosen, recorded_files
from subcritic.reporting import documents


def publish(name: str, results: Path, published: Path, docs: Path) -> list[Path]:
    """Copy the tables and figures of profile `name` to published/<name>/, and make the pages in `docs` anew.

    Beside them, provenance.json says which code, packages, config and machine they come from, and facts.json what of the
    config pages tell, so that they can be made again when config keys have new names. Studies with a publish.py keep more.
    Nothing is changed unless everything is there. Returns the files written.

    Raises:
        MissingResult: a file is missing or older than what it was made from, or a run is not FINISHED or not of this config.
    """
    folder = published / name
    profile, sources, runs = check(results / name)
    new = published / f".{name}.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for source in sources:
        shutil.copyfile(source, new / source.name)
    recorded = [path for study in chosen(profile) for path in recorded_files(study, profile, results / name)]
    documents.write(new / "provenance.json", provenance.describe(profile, runs, recorded))
    documents.write(new / "facts.json", facts(profile))
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)
    written = sorted(folder.iterdir())
    for study in chosen(profile):
        if study.publishes:
            module = importlib.import_module(f"subcritic.studies.{study.name}.publish")
            written += module.publish(profile, results, folder, docs)
    return [*written, documents.write(docs / page.PAGE, page.page(published, docs))]


def facts(profile: Profile) -> dict[str, Any]:
    """What pages tell of a profile, in words that stay true of it."""
    studies = chosen(profile)
    lines = [line for study in studies if study.described for line in study.described(profile)]
    own_pages = [study.page for study in studies if study.page != page.PAGE]
    return {
        "format": page.FORMAT,
        "profile": profile.profile,
        "page": own_pages[0] if own_pages else page.PAGE,
        "studies": [study.name for study in studies],
        "seeds": profile.seed_list(),
        "described": list(dict.fromkeys(lines)),
    }
