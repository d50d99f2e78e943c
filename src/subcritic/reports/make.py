"""Making one report: its tables and figures on disk, and in MLflow as the results run of its stage."""

from __future__ import annotations

from pathlib import Path

from subcritic.config import Profile, dump
from subcritic.reports import agreement, learning, similarity, summary, table, throughput
from subcritic.tracking import log_results

# Report → (module, the stage whose results it shows).
REPORTS = {
    "similarity": (similarity, "experiment1"),
    "agreement": (agreement, "gradients"),
    "learning": (learning, "experiment2"),
    "table": (table, "table"),
    "throughput": (throughput, "throughput"),
    "summary": (summary, None),
}


def make(name: str, profile: Profile, results: Path) -> list[Path]:
    """Make the report called `name`; returns its files."""
    module, stage = REPORTS[name]
    files = module.make(profile, results / profile.profile)
    if stage:
        pages = [path.read_text() for path in files if path.suffix == ".md"]
        log_results(results, profile.profile, stage, dump(profile), files=files, note="\n\n".join(pages))
    return files
