"""Methods of another published profile beside those of one, on the tasks that both have."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from subcritic.config import ConfigError, read_yaml
from subcritic.reporting import documents
from subcritic.reporting.estimates import interval, number
from subcritic.reporting.normalise import normalise
from subcritic.stats import interquartile_mean, jackknife_interval

MEAN = "interquartile mean of these tasks"


class _Published(NamedTuple):
    """A published profile. scores: a column for each method, a row for each task and seed, normalised."""

    name: str
    table: pd.DataFrame
    scores: pd.DataFrame


def markdown(folder: Path) -> str:
    """A table of normalised scores with a sentence on it; empty where the profile in `folder` names none beside it.

    Raises ConfigError, naming the field, for a method that the other profile has not published.
    """
    config = read_yaml(folder / "config.yaml")
    asked = config.get("table") or {}
    if not asked.get("beside"):
        return ""
    other = folder.parent / asked["beside"]
    if not (other / "table.csv").is_file():
        return ""
    own, theirs = _read(folder), _read(other)
    there = list(theirs.table["method"].unique())
    if unknown := [method for method in asked["beside_methods"] if method not in there]:
        raise ConfigError(
            f"{folder / 'config.yaml'}: table.beside_methods: {', '.join(map(repr, unknown))} not published by the "
            f"profile {theirs.name!r}, which has {', '.join(there)}"
        )
    chosen = [(own, method) for method in own.table["method"].unique()]
    chosen += [(theirs, method) for method in asked["beside_methods"]]
    here, steps_there = _steps(own.table), _steps(theirs.table)
    tasks = [task for task in here if task in steps_there]
    if not tasks:
        return ""
    steps = {task: list(dict.fromkeys([here[task], steps_there[task]])) for task in tasks}
    differ = any(len(counts) > 1 for counts in steps.values())
    rows = [{"environment": task, "steps": " / ".join(map(str, steps[task]))} for task in tasks]
    rows.append({"environment": MEAN, "steps": ""})
    for published, method in chosen:
        name = method if published is own else f"{method} ({published.name})"
        cells = published.table[published.table["method"] == method].set_index("environment")
        for row, task in zip(rows, tasks, strict=False):
            row[name] = _cell(cells.loc[task]) if task in cells.index else ""
        matrix = published.scores[method].unstack("environment").reindex(columns=tasks).dropna(axis="columns")
        value, confidence = float(interquartile_mean(matrix)), config["statistics"]["confidence"]
        ends = jackknife_interval(interquartile_mean, matrix, confidence=confidence, added=0.0)
        rows[-1][name] = f"{number(value)} {interval(float(ends.low), float(ends.high))}"
    seeds = [len(published.scores.index.unique("seed")) for published in (own, theirs)]
    return (
        f"Beside methods of the profile {theirs.name}, on the {len(tasks)} tasks that both have"
        f"{', after steps of environments here / there' if differ else ' with as many steps'}: "
        f"normalised averages, with intervals over {seeds[0]} seeds here and {seeds[1]} there.\n\n"
        f"{documents.markdown(pd.DataFrame(rows))}"
    )


def _steps(table: pd.DataFrame) -> dict[str, int]:
    return dict(table.groupby("environment", sort=False)["steps"].max())


def _read(folder: Path) -> _Published:
    table, runs = (pd.read_csv(folder / f"{name}.csv") for name in ("table", "runs"))
    anchors = table.drop_duplicates("environment").set_index("environment")
    runs = runs[(runs["study"] == "experiment2") & runs["environment"].isin(anchors.index)]
    scores = pd.concat(
        normalise(group["score"], anchors.loc[task]) for task, group in runs.groupby("environment")
    )
    wide = runs.assign(score=scores).pivot(index=["environment", "seed"], columns="method", values="score")
    return _Published(folder.name, table, wide)


def _cell(row: pd.Series) -> str:
    diverged = f", {row['diverged']} diverged" if row["diverged"] else ""
    ends = interval(row["normalised_low"], row["normalised_high"])
    return f"{number(row['normalised_average'])} {ends}{diverged}"
