"""Scores and curves of learners side by side: what the reports beyond Experiment 2 have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from subcritic.config import Environment, Profile, Training
from subcritic.reporting import style
from subcritic.reporting.curves import RETURN, draw_curve, over_steps
from subcritic.reporting.estimates import Estimate, difference, over_seeds


def score_table(scores: pd.DataFrame, baselines: Sequence[str], profile: Profile) -> pd.DataFrame:
    """Mean score with its interval over seeds, and the differences to `baselines`, paired by seed.

    Columns: environment, method, score, low, high, seeds (with a score), failed (without one, since the environment
    failed), diverged, and for each baseline minus_<baseline>, minus_<baseline>_low, minus_<baseline>_high (NaN in the
    baseline's own row).
    """
    rows = []
    for environment in scores["environment"].drop_duplicates():
        here = scores[scores["environment"] == environment]
        wide = here.pivot(index="seed", columns="method", values="score")
        for method in here["method"].drop_duplicates():
            mine = here[here["method"] == method]
            row = [environment, method, *over_seeds(wide[method], profile), int(wide[method].notna().sum())]
            row += [int(wide[method].isna().sum()), int(mine["diverged_at"].notna().sum())]
            for baseline in baselines:
                same = method == baseline
                row += [np.nan] * 3 if same else list(difference(wide[method], wide[baseline], profile))
            rows.append(row)
    columns = ["environment", "method", "score", "low", "high", "seeds", "failed", "diverged"]
    for baseline in baselines:
        columns += [f"minus_{baseline}{end}" for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=columns)


def readable(table: pd.DataFrame, baselines: Sequence[str]) -> pd.DataFrame:
    """The score table as text, intervals in brackets."""
    found = table[["environment", "method"]].copy()
    found["return"] = [str(Estimate(r.score, r.low, r.high)) for r in table.itertuples()]
    for baseline in baselines:
        parts = table[[f"minus_{baseline}{end}" for end in ("", "_low", "_high")]].to_numpy()
        found[f"minus {baseline}"] = [
            "" if np.isnan(value) else str(Estimate(value, low, high)) for value, low, high in parts
        ]
    found["diverged"] = [diverged(row) for row in table.itertuples()]
    return found


def diverged(row: Any) -> str:
    """Of how many runs: `1 of 5`, `1 of 4, environment failed for 1 more`."""
    return f"{row.diverged} of {row.seeds}{failed(row.failed)}"


def failed(count: int) -> str:
    """What tables add where the environment failed in runs, which have no score."""
    return f", environment failed for {count} more" if count else ""


def draw_learning(
    axes: Axes, curves: pd.DataFrame, environment: Environment, training: Training, profile: Profile
) -> list[tuple[float, str, str]]:
    """Evaluation return against environment steps of every method; returns the labels of the curves' ends."""
    methods = list(curves["method"].drop_duplicates())
    colours = style.method_colours(methods)
    labels = []
    for method in methods:
        wide = over_steps(curves, environment.name, method, RETURN)
        labels.append((draw_curve(axes, wide, profile, colours[method]), method, colours[method]))
    axes.set(title=environment.name, ylabel="evaluation return")
    style.steps_axis(axes, environment.steps or training.steps)
    return labels


def metrics(table: pd.DataFrame) -> dict[str, float]:
    """Mean return per method and environment, from a score table."""
    return {f"return/{row.method}/{row.environment}": row.score for row in table.itertuples()}
