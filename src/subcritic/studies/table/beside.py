"""Methods of another published profile beside those of one, on the tasks that both have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from subcritic.config import ConfigError, read_yaml
from subcritic.reporting import documents
from subcritic.reporting.estimates import MISSING, Estimate
from subcritic.reporting.normalise import normalise
from subcritic.stats import interquartile_mean, jackknife_interval

# Of the tasks that have a score 1.
MEAN = "interquartile mean of {} tasks"


class _Published(NamedTuple):
    """A published profile. scores: a column for each method, a row for each task and seed of the table, normalised."""

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
        return f"Methods of the profile {other.name} are to stand beside these, and are not published.\n"
    for published in (folder, other):
        if not (published / "runs.csv").is_file():
            raise ConfigError(
                f"{folder / 'config.yaml'}: table.beside: the profile {published.name!r} is not published run by run, as "
                "one with `runtime.seeds_at_a_time` is"
            )
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
    matrices = [published.scores[method].unstack("environment")[tasks] for published, method in chosen]
    unclear = {
        task
        for of in (own, theirs)
        for task in of.table.loc[of.table["normalised_average"].isna(), "environment"]
    }
    scored = [
        task
        for task in tasks
        if task not in unclear and not any(matrix[task].isna().any() for matrix in matrices)
    ]
    rows.append({"environment": MEAN.format(len(scored)), "steps": ""})
    for (published, method), matrix in zip(chosen, matrices, strict=True):
        name = method if published is own else f"{method} ({published.name})"
        cells = published.table[published.table["method"] == method].set_index("environment")
        for row, task in zip(rows, tasks, strict=False):
            row[name] = _cell(cells.loc[task]) if task in cells.index else ""
        rows[-1][name] = _mean(matrix[scored], config["statistics"]["confidence"])
    seeds = [len(published.scores.index.unique("seed")) for published in (own, theirs)]
    counted = " and ".join(map(_counted, seeds, ("here", "there")))
    return (
        f"Beside methods of the profile {theirs.name}, on the {len(tasks)} tasks that both have"
        f"{', after steps of environments here / there' if differ else ' with as many steps'}: "
        f"normalised averages with intervals over seeds ({counted.rstrip(',')}).\n\n"
        f"{documents.markdown(pd.DataFrame(rows))}"
    )


def _counted(seeds: int, where: str) -> str:
    return f"{seeds} {where}" if seeds > 1 else f"one {where}, without interval,"


def _steps(table: pd.DataFrame) -> dict[str, int]:
    return dict(table.groupby("environment", sort=False)["steps"].max())


def _read(folder: Path) -> _Published:
    table, runs = (pd.read_csv(folder / f"{name}.csv") for name in ("table", "runs"))
    anchors = table.drop_duplicates("environment").set_index("environment")
    # There may be runs of further seeds and tasks, which no table shows yet.
    seeds = json.loads((folder / "facts.json").read_text())["seeds"]
    runs = runs[
        runs["study"].eq("experiment2") & runs["environment"].isin(anchors.index) & runs["seed"].isin(seeds)
    ]
    scores = pd.concat(
        pd.Series(normalise(group["score"].to_numpy(dtype=float), anchors.loc[task]), group.index)
        for task, group in runs.groupby("environment")
    )
    wide = runs.assign(score=scores).pivot(index=["environment", "seed"], columns="method", values="score")
    return _Published(folder.name, table, wide)


def _mean(scores: pd.DataFrame, confidence: float) -> str:
    """The interquartile mean of scores, a row for each seed, with its interval."""
    if scores.empty:
        return MISSING
    ends = jackknife_interval(interquartile_mean, scores, confidence=confidence, added=0.0)
    return str(Estimate(float(interquartile_mean(scores)), float(ends.low), float(ends.high)))


def _cell(row: pd.Series) -> str:
    diverged = f", {row['diverged']} diverged" if row["diverged"] else ""
    return f"{Estimate(row['normalised_average'], row['normalised_low'], row['normalised_high'])}{diverged}"
