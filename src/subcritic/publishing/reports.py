"""Making one report: its tables and figures on disk, and in MLflow as the results run of its stage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from subcritic.config import Profile, dump
from subcritic.publishing import summary
from subcritic.studies.ablation import report as ablation
from subcritic.studies.asynchronous import report as asynchronous
from subcritic.studies.experiment1 import report as similarity
from subcritic.studies.experiment2 import report as learning
from subcritic.studies.gallery import report as gallery
from subcritic.studies.gradients import report as agreement
from subcritic.studies.lab_book import report as lab_book
from subcritic.studies.recurrent import report as recurrent
from subcritic.studies.references import report as references
from subcritic.studies.scaling import report as scaling
from subcritic.studies.table import report as table
from subcritic.studies.theorem import report as theorem
from subcritic.studies.throughput import report as throughput
from subcritic.tracking import log_results

# Report → (module, the stage whose results it shows).
REPORTS = {
    "similarity": (similarity, "experiment1"),
    "agreement": (agreement, "gradients"),
    "learning": (learning, "experiment2"),
    "ablation": (ablation, "ablation"),
    "lab_book": (lab_book, None),
    "table": (table, "table"),
    "throughput": (throughput, "throughput"),
    "theorem": (theorem, "theorem"),
    "scaling": (scaling, "scaling"),
    "asynchronous": (asynchronous, "asynchronous"),
    "recurrent": (recurrent, "recurrent"),
    "references": (references, "references"),
    "gallery": (gallery, "gallery"),
    "summary": (summary, None),
}


def make(name: str, profile: Profile, results: Path) -> list[Path]:
    """Make the report called `name`; returns its files."""
    module, stage = REPORTS[name]
    files = module.make(profile, results / profile.profile)
    if stage:
        pages = [path.read_text() for path in files if path.suffix == ".md"]
        metrics = HEADLINES[name](results / profile.profile / "table") if name in HEADLINES else {}
        log_results(results, profile.profile, stage, dump(profile), files, metrics, "\n\n".join(pages))
    return files


def _scores(tables: Path) -> dict[str, float]:
    """Normalised average per method and environment, where there is one."""
    rows = pd.read_csv(tables / "table.csv").dropna(subset="normalised_average")
    return {f"score/{row.method}/{row.environment}": row.normalised_average for row in rows.itertuples()}


def _agreement(tables: Path) -> dict[str, float]:
    """EMPIRICALVALUE with its interval, and the controls."""
    found = json.loads((tables / "empirical_value.json").read_text())
    metrics = {f"empirical_value/{name}": found[name] for name in ("value", "low", "high")}
    metrics |= {f"empirical_value/{name}": parts["all"]["value"] for name, parts in found["controls"].items()}
    return {name: value for name, value in metrics.items() if value is not None}


def _ablation(tables: Path) -> dict[str, float]:
    """Interquartile mean of every method of the ablation."""
    rows = pd.read_csv(tables / "ablation.csv").dropna(subset="iqm")
    return {f"interquartile_mean/{row.method}": row.iqm for row in rows.itertuples()}


def _references(tables: Path) -> dict[str, float]:
    """Mean return of random actions and of every planner on every task."""
    rows = pd.read_csv(tables / "references.csv").set_index("environment").filter(regex="_mean$")
    means = rows.rename(columns=lambda name: name.removesuffix("_mean")).unstack().dropna()
    return {f"{player}/{task}": mean for (player, task), mean in means.items()}


def _ratios(tables: Path) -> dict[str, float]:
    """Median ratio of updates per second at every setting."""
    rows = pd.read_csv(tables / "throughput_ratios.csv")
    return {f"{row.ratio.replace(' ', '')}/{row.hidden}/{row.batch}": row.median for row in rows.itertuples()}


def _means(stage: str) -> Callable[[Path], dict[str, float]]:
    """Mean return per method and environment of a comparison."""

    def found(tables: Path) -> dict[str, float]:
        rows = pd.read_csv(tables / f"{stage}.csv").itertuples()
        return {f"return/{row.method}/{row.environment}": row.score for row in rows}

    return found


HEADLINES = {"table": _scores, "ablation": _ablation, "agreement": _agreement, "throughput": _ratios}
HEADLINES["references"] = _references
HEADLINES |= {stage: _means(stage) for stage in ("asynchronous", "recurrent")}
