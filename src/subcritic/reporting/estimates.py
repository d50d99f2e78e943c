"""A number with its interval over seeds, and how tables print it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from subcritic.config import Profile
from subcritic.stats import Interval, jackknife_interval, median_interval, t_interval

MISSING = "n/a"
# What captions say of intervals: their kind, and the run that is added.
T, JACKKNIFE, ORDER = "t-interval", "jackknife interval", "interval between order statistics"
FAILED_ADDED = "one added run that scores as random actions do"
EQUAL_ADDED = "one added seed without a difference"


class Estimate(NamedTuple):
    """A value with the ends of its interval; NaN where undefined or from one seed only."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        ends = interval(self.low, self.high)
        return number(self.value) if ends == MISSING else f"{number(self.value)} {ends}"


def over_seeds(values: ArrayLike, profile: Profile, added: float | None = None) -> Estimate:
    """The mean of `values` (seeds,) with its t-interval, with one run added that has the score `added`.

    Seeds without a value do not count: NaN is the score of one whose environment failed.
    """
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    if not len(values):
        return Estimate(*[np.nan] * 3)
    return _estimate(values.mean(), t_interval(values, profile.statistics.confidence, added))


def difference(values: ArrayLike, others: ArrayLike, profile: Profile) -> Estimate:
    """Mean difference of `values` and `others` (seeds,), paired by seed; with one seed added that shows none."""
    paired = np.asarray(values, dtype=float) - np.asarray(others, dtype=float)
    return over_seeds(paired, profile, added=0.0)


def median_over_seeds(values: ArrayLike, profile: Profile) -> Estimate:
    """The median of `values` (seeds,) with its interval between order statistics."""
    return _estimate(np.median(values), median_interval(values, profile.statistics.confidence))


def over_environments(
    profile: Profile, statistic: Callable, *scores: ArrayLike, added: float | None = None
) -> Estimate:
    """`statistic` of matrices (seeds, environments) with its jackknife interval over seeds; see `over_seeds`.

    It has none where the statistic is the same whatever seed is left out: that happens by chance, most from two seeds.
    """
    confidence = profile.statistics.confidence
    ends = jackknife_interval(statistic, *scores, confidence=confidence, added=added)
    found = _estimate(statistic(*scores), ends)
    return Estimate(found.value, np.nan, np.nan) if found.low == found.high else found


def described(profile: Profile, added: str = "", kind: str = T) -> str:
    """An interval for captions: `95 % t-interval, 10 seeds`, `95 % t-interval, 10 seeds and one added run …`."""
    if profile.seeds == 1:
        return "none, from one seed"
    more = f" and {added}" if added else ""
    return f"{percent(profile.statistics.confidence)} {kind}, {profile.seeds} seeds{more}"


def _estimate(value: float, ends: Interval) -> Estimate:
    return Estimate(float(value), float(ends.low), float(ends.high))


def number(value: float) -> str:
    """Three digits or all whole ones: 1234, 12.3, 1.23, 0.12, 1.2e-07; n/a for NaN."""
    size = abs(value)
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if size >= 99.95:
        return f"{value:.0f}"
    if size >= 9.995:
        return f"{value:.1f}"
    if size >= 0.005 or size == 0:
        return f"{value:.2f}"
    if size >= 0.0005:
        return f"{value:.3f}"
    return f"{value:.1e}"


def interval(low: float, high: float) -> str:
    """`[low, high]`, or n/a when undefined."""
    return MISSING if math.isnan(low) or math.isnan(high) else f"[{number(low)}, {number(high)}]"


def percent(confidence: float) -> str:
    """0.95 as `95 %`."""
    return f"{100 * confidence:g} %"
