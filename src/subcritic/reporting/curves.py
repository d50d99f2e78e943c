"""Curves over environment steps: a metric's mean over seeds, its interval, and the single seeds."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from subcritic.config import Profile
from subcritic.reporting.estimates import described
from subcritic.stats import t_interval

RETURN = "return/evaluation"
# From so many seeds on, a curve has a band: of fewer it is wider than all returns there can be.
BAND = 4


def over_steps(curves: pd.DataFrame, environment: str, method: str, metric: str) -> pd.DataFrame:
    """One metric as a frame (steps, seeds); NaN after a seed's last record."""
    chosen = curves[
        (curves["environment"] == environment) & (curves["method"] == method) & (curves["metric"] == metric)
    ]
    return chosen.pivot_table(index="step", columns="seed", values="value", dropna=False)


def draw_curve(
    axes: Axes, wide: pd.DataFrame, profile: Profile, colour: str, *, single: bool = True, **line
) -> float:
    """Mean, interval and single seeds of a frame (steps, seeds); returns the mean's last height, for its label.

    single: whether to draw interval and single seeds, or the mean alone; of fewer than BAND seeds, no interval. A
    seed that stopped early keeps its last value, so that no run leaves the mean.
    """
    if wide.empty:
        return float("nan")
    for seed in wide if single else ():
        known = wide[seed].dropna()
        axes.plot(known.index, known, color=colour, alpha=0.35, linewidth=0.6)
    filled = wide.ffill()
    mean = filled.mean(axis=1, skipna=False)
    if single and wide.shape[1] >= BAND:
        low, high = t_interval(filled.T.to_numpy(), profile.statistics.confidence)
        axes.fill_between(filled.index, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(filled.index, mean, color=colour, **line)
    return float(mean.iloc[-1])


def curve_note(profile: Profile, *, single: bool = True) -> str:
    """What the marks of a curve mean, for the line under a figure; single: as for `draw_curve`."""
    if profile.seeds == 1:
        return "one seed: no interval"
    if not single:
        return f"lines: means over {profile.seeds} seeds"
    band = f"band: {described(profile)}" if profile.seeds >= BAND else f"no band of {profile.seeds} seeds"
    return f"thick: mean over seeds   ·   {band}   ·   thin: single seeds"
