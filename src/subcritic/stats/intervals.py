"""Bootstrap intervals over seeds; aggregates over environments after Agarwal et al. 2021 (arXiv 2108.13264)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .similarity import Floats

# Standard errors by which a reference must exceed random actions before scores are divided by the distance.
CLEAR = 5.0


class Interval(NamedTuple):
    """The ends of a confidence interval, of one shape; NaN where there are too few runs."""

    low: Floats
    high: Floats


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[..., Floats] = np.mean,
    confidence: float = 0.95,
    resamples: int = 2000,
    rng: np.random.Generator | int = 0,
) -> Interval:
    """Percentile bootstrap interval of `statistic` over the first axis: `values` (seeds, ...) -> (...).

    `statistic(samples, axis)` reduces one axis. With one seed there is no spread to estimate, and the interval is NaN.
    Efron & Tibshirani 1993, section 13.3.
    """
    values = np.asarray(values, dtype=float)
    seeds = len(values)
    if seeds < 2:
        return Interval(*np.full((2, *values.shape[1:]), np.nan))
    draws = np.random.default_rng(rng).integers(seeds, size=(resamples, seeds))
    return _percentiles(statistic(values[draws], axis=1), confidence)


def stratified_interval(
    statistic: Callable[..., Floats],
    *scores: ArrayLike,
    confidence: float = 0.95,
    resamples: int = 2000,
    rng: np.random.Generator | int = 0,
) -> Interval:
    """Stratified percentile bootstrap of `statistic(*scores)` over matrices (runs, tasks) -> a number.

    Runs are resampled within each task and separately for each matrix, so that every resample has every task
    (Agarwal et al. 2021, section 4.1). `statistic` takes (..., runs, tasks) and returns (...).
    One run per task gives NaN.
    """
    matrices = [_matrix(score) for score in scores]
    if min(len(matrix) for matrix in matrices) < 2:
        return Interval(np.array(np.nan), np.array(np.nan))
    rng = np.random.default_rng(rng)
    return _percentiles(
        statistic(*(_resample_runs(matrix, resamples, rng) for matrix in matrices)), confidence
    )


def interquartile_mean(scores: ArrayLike) -> Floats:
    """Mean of the middle half of all scores, (..., runs, tasks) -> (...).

    A quarter of the scores, rounded down, is cut at either end, as in `scipy.stats.trim_mean`.
    """
    scores = _matrix(scores)
    pooled = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = pooled.shape[-1] // 4
    mean: Floats = pooled[..., cut : pooled.shape[-1] - cut].mean(axis=-1)
    return mean


def probability_of_improvement(scores: ArrayLike, baseline: ArrayLike) -> Floats:
    """P(a run of `scores` beats a run of `baseline`), ties counting half, averaged over tasks.

    (..., runs, tasks) and (..., baseline runs, tasks) -> (...). Per task this is Mann and Whitney's U over
    the number of pairs (Agarwal et al. 2021, section 4.3).
    """
    scores, baseline = _matrix(scores), _matrix(baseline)
    if scores.shape[-1] != baseline.shape[-1]:
        raise ValueError(
            f"scores {scores.shape} and baseline {baseline.shape} must have the same tasks (last axis)"
        )
    ours, theirs = scores[..., :, None, :], baseline[..., None, :, :]
    share: Floats = np.mean((ours > theirs) + 0.5 * (ours == theirs), axis=(-3, -2, -1))
    return share


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> Floats:
    """Share of runs above each threshold, averaged over tasks.

    (..., runs, tasks) and (thresholds,) -> (..., thresholds). Agarwal et al. 2021, section 4.2.
    """
    above = _matrix(scores)[..., None] > np.asarray(thresholds, dtype=float)
    share: Floats = above.mean(axis=(-3, -2))
    return share


def _resample_runs(matrix: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """(runs, tasks) -> (resamples, runs, tasks), with the runs of every task drawn separately."""
    runs, tasks = matrix.shape
    draws = rng.integers(runs, size=(resamples, runs, tasks))
    return matrix[draws, np.arange(tasks)]


def _percentiles(statistics: Floats, confidence: float) -> Interval:
    tail = (1 - confidence) / 2
    return Interval(*np.quantile(statistics, [tail, 1 - tail], axis=0))


def _matrix(scores: ArrayLike) -> Floats:
    scores = np.asarray(scores, dtype=float)
    if scores.ndim < 2 or 0 in scores.shape[-2:]:
        raise ValueError(f"scores must be (..., runs, tasks) with at least one of each, got {scores.shape}")
    return scores
