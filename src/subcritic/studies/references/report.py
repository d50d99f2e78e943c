"""What scores 0 and 1 on the tasks of the suite: random actions and planners, and how far apart they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from subcritic import published
from subcritic.config import Profile
from subcritic.reporting import documents
from subcritic.reporting.estimates import MISSING, number
from subcritic.reporting.records import MissingResult
from subcritic.stats import CLEAR
from subcritic.studies.references.settings import References

UNCLEAR = f"planner within {CLEAR:g} standard errors of random: scores are shown raw only"


def make(profile: Profile, root: Path) -> list[Path]:
    """Write table/references.{csv,md}."""
    table = results(profile, root)
    return [
        documents.write(root / "table" / "references.csv", table),
        documents.write(root / "table" / "references.md", markdown(profile, table)),
    ]


def results(profile: Profile, root: Path) -> pd.DataFrame:
    """One row per environment: mean, standard error and episodes of every player; `mppi_clearance`, `ilqg_clearance`: how
    many standard errors of the difference a planner exceeds random; `note` where MPPI's is too small; versions; speed.
    """
    return pd.DataFrame([_row(_read(root, environment.name)) for environment in profile.environments])


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The table as readers see it."""
    return pd.DataFrame([{
        "environment": row["environment"], "Lillicrap et al.": row["paper"],
        "random (0)": _score(row, "random"), "MPPI (1)": _score(row, "mppi"), "iLQG": _score(row, "ilqg"),
        "iLQG normalised": _normalised(row),
        "MPPI − random, standard errors": number(row["mppi_clearance"]), "note": row["note"],
    } for _, row in table.iterrows()])  # fmt: skip


def markdown(profile: Profile, table: pd.DataFrame) -> str:
    """The table for readers, and what it depends on."""
    settings = profile.section(References)
    versions = ", ".join(f"{name} {table[name].iloc[0]}" for name in ("mujoco", "gymnasium", "numpy"))
    return (
        f"# References of the profile {profile.profile}\n\n{documents.markdown(readable(table))}\n"
        "Mean return ± standard error. Random: actions uniform in [-1, 1], "
        f"{settings.random_episodes} episodes; planners: {settings.episodes} episodes each, on the true physics, "
        f"horizon {settings.horizon_seconds:g} s. A longer horizon makes a better planner: score 1 is what it reaches "
        f"with this one, and no optimum. Seeds from {settings.first_seed}; {versions}; {table['date'].max()}.\n"
    )


def _read(root: Path, environment: str) -> dict[str, Any]:
    path = root / "environments" / f"{environment}.json"
    if not path.is_file():
        raise MissingResult(f"{path} is missing: `subcritic references --environment {environment}` makes it")
    return json.loads(path.read_text())


def _row(measured: dict[str, Any]) -> dict[str, Any]:
    scores = published.measured(measured)
    planners = [name for name in published.players(measured) if name != "random"]
    clear = {f"{name}_clearance": scores.clearance(name) for name in planners}
    speeds = {
        f"{name}_steps_per_second": measured[name]["steps_per_second"] for name in ("random", *planners)
    }
    note = "" if clear["mppi_clearance"] >= CLEAR else UNCLEAR
    row = {"environment": measured["environment"]} | published.row(measured)
    return row | clear | speeds | {"note": note}


def _score(row: pd.Series, player: str) -> str:
    if f"{player}_mean" not in row:
        return MISSING
    return f"{number(row[f'{player}_mean'])} ± {number(row[f'{player}_standard_error'])}"


def _normalised(row: pd.Series) -> str:
    if row["note"] or "ilqg_mean" not in row:
        return MISSING
    return number((row["ilqg_mean"] - row["random_mean"]) / (row["mppi_mean"] - row["random_mean"]))


def section(folder: Path, link: str) -> list[str]:
    """What the results page says, from the published files of `folder`; link: the folder, seen from the page."""
    return [
        "Random actions score 0, the planner MPPI 1: what it is and what it scores on each task of the suite stands in "
        f"[references.md]({link}/references.md).\n"
    ]


def metrics(tables: Path) -> dict[str, float]:
    """Mean return of random actions and of every planner on every task, for MLflow."""
    rows = pd.read_csv(tables / "references.csv").set_index("environment").filter(regex="_mean$")
    means = rows.rename(columns=lambda name: name.removesuffix("_mean")).unstack().dropna()
    return {f"{player}/{task}": mean for (player, task), mean in means.items()}
