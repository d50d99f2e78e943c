"""Making the report of a study: its tables and figures on disk, and in MLflow as the study's results run."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from subcritic.config import Profile, dump
from subcritic.study import Study
from subcritic.tracking import log_results


def module_of(study: Study) -> ModuleType:
    """The module that shows a study: `make(profile, root)`; where it has them `section`, `headline` and `metrics`."""
    return importlib.import_module(f"subcritic.studies.{study.name}.report")


def make(study: Study, profile: Profile, results: Path) -> list[Path]:
    """Make the report of a study; returns its files."""
    module, root = module_of(study), results / profile.profile
    files = module.make(profile, root)
    if study.view:
        pages = [path.read_text() for path in files if path.suffix == ".md"]
        metrics = module.metrics(root / "table") if hasattr(module, "metrics") else {}
        log_results(results, profile.profile, study.name, dump(profile), files, metrics, "\n\n".join(pages))
    return files
