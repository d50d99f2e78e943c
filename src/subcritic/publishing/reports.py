"""Making the report of a study: its tables and figures on disk, and in MLflow as the study's results run."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from subcritic.config import Profile, dump
from subcritic.reporting import documents
from subcritic.studies import STUDIES
from subcritic.study import Study
from subcritic.tracking import inputs, log_results


def module_of(study: Study) -> ModuleType:
    """The module that shows a study: `make(profile, root)`; where it has them `section`, `headline` and `metrics`."""
    return importlib.import_module(f"subcritic.studies.{study.name}.report")


def make(study: Study, profile: Profile, results: Path) -> list[Path]:
    """Make the report of a study, and web pages of its tables; returns its files."""
    module, root = module_of(study), results / profile.profile
    files = module.make(profile, root)
    tables = {root / file.path: root / file.page for file in study.shown.values() if file.page}
    web = [documents.write(page, documents.html(path.read_text())) for path, page in tables.items()]
    if study.view:
        pages = [path.read_text() for path in files if path.suffix == ".md"]
        metrics = module.metrics(root / "table") if hasattr(module, "metrics") else {}
        note, read = "\n\n".join(pages), reads(study, profile, results)
        log_results(results, profile.profile, study.name, dump(profile), files, metrics, note, read)
    return [*files, *web]


def reads(study: Study, profile: Profile, results: Path) -> list[dict[str, Any]]:
    """What a report reads, as datasets: one for each kind of file that its own jobs and other studies' record or show."""
    root, found = results / profile.profile, []
    for name, pattern, paths, columns in study.report_reads(profile, STUDIES):
        place = f"{profile.profile}/{pattern}"
        found.append(inputs.dataset(name, place, (root / path for path in paths), results, columns))
    return [dataset for dataset in found if dataset["files"]]
