"""A number with its interval over seeds, and how tables print it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from subcritic.config import Profile
from subcritic.stats import bootstrap_interval, stratified_interval

MISSING = "n/a"


class Estimate(NamedTuple):
    """A value with the ends of its interval; NaN where undefined or from one seed only."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        ends = interval(self.low, self.high)
        return number(self.value) if ends == MISSING else f"{number(self.value)} {ends}"


def over_seeds(values: ArrayLike, profile: Profile, statistic: Callable = np.mean) -> Estimate:
    """`statistic` of `values` (seeds,) with its percentile bootstrap interval."""
    values = np.asarray(values, dtype=float)
    settings = profile.statistics
    ends = bootstrap_interval(values, statistic, settings.confidence, settings.resamples)
    return Estimate(float(statistic(values, axis=0)), float(ends.low), float(ends.high))


def stratified(profile: Profile, statistic: Callable, *scores: ArrayLike) -> Estimate:
    """`statistic` of matrices (seeds, environments), with its interval stratified by environment."""
    settings = profile.statistics
    ends = stratified_interval(
        statistic, *scores, confidence=settings.confidence, resamples=settings.resamples
    )
    return Estimate(float(statistic(*scores)), float(ends.low), float(ends.high))


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
