"""The closing screen: the results table, the EMPIRICALVALUE, the speed, and where everything lies."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from subcritic.config import Profile
from subcritic.reporting import documents, records
from subcritic.studies.table.report import readable
from subcritic.studies.throughput import report as throughput

PLACES = (
    ("results table", "table/table.md (csv, tex)"),
    ("figures", "figures/ (png, svg, pdf)"),
    ("gradient agreement", "table/agreement.md, table/empirical_value.json"),
    ("draws it takes, by width", "table/scaling.md"),
    ("local rules side by side", "table/ablation.md, figures/diagnostics.png"),
    ("throughput", "table/throughput.md"),
    ("Theorem 2.2.4, when it holds", "table/theorem.md"),
    ("threads, recurrent networks", "table/asynchronous.md, table/recurrent.md"),
    ("learning curves and scores", "experiment2/<environment>/<method>.csv"),
    ("sub-critics along training", "experiment1/<environment>/curves.csv"),
    ("run records, mirrored to MLflow", "runs/<stage>/<environment>/<method>/s<seed>/"),
)


def make(profile: Profile, root: Path) -> list[Path]:
    """Write summary.md. Needs what the reports table, agreement and throughput made."""
    return [documents.write(root / "summary.md", text(profile, root))]


def text(profile: Profile, root: Path) -> str:
    """The summary as Markdown, which reads well on a terminal too."""
    results = pd.read_csv(_made(root / "table" / "table.csv", "table"), dtype={"note": str})
    results["note"] = results["note"].fillna("")
    speeds = pd.read_csv(_made(root / "table" / "throughput.csv", "throughput"))
    ratios = pd.read_csv(_made(root / "table" / "throughput_ratios.csv", "throughput"))
    value = json.loads(_made(root / "table" / "empirical_value.json", "agreement").read_text())
    width = max(len(name) for name, _ in PLACES)
    places = "\n".join(f"    {name.ljust(width)}  {root / place}" for name, place in PLACES)
    return "\n".join([
        f"# subcritic: profile {profile.profile}, {profile.seeds} seed{'s' if profile.seeds > 1 else ''}\n",
        "## Results\n", documents.markdown(readable(results)),
        "## Do local gradients agree with the true one?\n", value["sentence"] + "\n",
        "## Throughput\n", throughput.headline(speeds, ratios) + "\n",
        "## Where everything lies\n", places + "\n",
    ])  # fmt: skip


def _made(path: Path, report: str) -> Path:
    if not path.is_file():
        raise records.MissingResult(
            f"{path} is missing: the report {report!r} makes it; run that report first"
        )
    return path
