"""Similarity of two value functions on the same states, its windowed average, and the first crossing of a threshold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Similarity(NamedTuple):
    """Four measures of similarity, each of the leading shape (...).

    `pearson` and `spearman` are correlations; `affine_r2` is 1 - residual variance after the best affine fit;
    `nrmse` is the root mean squared difference over the reference's standard deviation.
    """

    pearson: Floats
    spearman: Floats
    affine_r2: Floats
    nrmse: Floats


def similarity(values: ArrayLike, reference: ArrayLike) -> Similarity:
    """Similarity of `values` (..., states) to `reference` (..., states), across the last axis.

    Leading axes broadcast. A constant side has no correlation: `pearson` and `spearman` are NaN there.
    Constant `values` explain nothing (`affine_r2` 0); a constant `reference` has nothing to explain
    (`affine_r2` and `nrmse` NaN).
    """
    # Imported here, since importing it takes as long as importing pandas.
    from scipy.stats import rankdata

    values, reference = _same_states(values, reference)
    spread = np.where(is_constant(reference), np.nan, reference.std(axis=-1))
    return Similarity(
        pearson=pearson(values, reference),
        spearman=pearson(rankdata(values, axis=-1), rankdata(reference, axis=-1)),
        affine_r2=_affine_r2(values, reference),
        nrmse=np.sqrt(np.mean((values - reference) ** 2, axis=-1)) / spread,
    )


def pearson(first: ArrayLike, second: ArrayLike) -> Floats:
    """Pearson correlation across the last axis, (..., n) -> (...); NaN where a side is constant or n = 1."""
    first, second = _same_states(first, second)
    undefined = is_constant(first) | is_constant(second)
    return cosine(_unit_scale(_centred(first)), _unit_scale(_centred(second)), undefined)


def cosine(first: Floats, second: Floats, undefined: ArrayLike = False) -> Floats:
    """Cosine across the last axis, (..., n) -> (...); NaN where a side is zero or `undefined` is true."""
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    lengths = np.where((lengths == 0) | undefined, np.nan, lengths)
    cosines: Floats = np.sum(first * second, axis=-1) / lengths
    return np.clip(cosines, -1.0, 1.0)


def is_constant(values: Floats) -> NDArray[np.bool_]:
    """Whether all entries of the last axis are the same number, (..., n) -> (...)."""
    constant: NDArray[np.bool_] = values.max(axis=-1) == values.min(axis=-1)
    return constant


def window_mean(series: ArrayLike, window: int) -> Floats:
    """Mean of the last `window` entries at each time, (..., time) -> (..., time).

    The first entries average the entries so far; NaN is ignored, and a window of only NaN gives NaN.
    Raises ValueError for a window below 1.
    """
    series = np.asarray(series, dtype=float)
    if window < 1:
        raise ValueError(f"window = {window}: must be at least 1")
    known = ~np.isnan(series)
    counts = _window_sum(known.astype(float), window)
    return _window_sum(np.where(known, series, 0.0), window) / np.where(counts == 0, np.nan, counts)


def first_crossing(steps: ArrayLike, series: ArrayLike, threshold: float) -> Floats:
    """The first of `steps` (time,) at which `series` (..., time) reaches `threshold`; NaN if it never does."""
    steps, series = np.asarray(steps, dtype=float), np.asarray(series, dtype=float)
    if steps.shape != series.shape[-1:]:
        raise ValueError(f"steps {steps.shape} must have the length of series' last axis {series.shape}")
    reached = series >= threshold
    first = steps[np.argmax(reached, axis=-1)]
    return np.where(reached.any(axis=-1), first, np.nan)


def _affine_r2(values: Floats, reference: Floats) -> Floats:
    """1 - var(reference - a values - b) / var(reference) at the least-squares a and b."""
    centred = _unit_scale(np.where(is_constant(values)[..., None], 0.0, _centred(values)))
    target = _unit_scale(_centred(reference))
    power = np.sum(centred**2, axis=-1, keepdims=True)
    slope = np.sum(centred * target, axis=-1, keepdims=True) / np.where(power == 0, 1.0, power)
    total = np.where(is_constant(reference), np.nan, np.sum(target**2, axis=-1))
    unexplained: Floats = np.sum((target - slope * centred) ** 2, axis=-1)
    return 1.0 - unexplained / total


def _window_sum(series: Floats, window: int) -> Floats:
    padded = np.concatenate([np.zeros((*series.shape[:-1], window - 1)), series], axis=-1)
    sums: Floats = np.lib.stride_tricks.sliding_window_view(padded, window, axis=-1).sum(axis=-1)
    return sums


def _centred(values: Floats) -> Floats:
    mean: Floats = values.mean(axis=-1, keepdims=True)
    return values - mean


def _unit_scale(values: Floats) -> Floats:
    """Divide by the largest magnitude, so that squares of tiny or huge numbers do not vanish or overflow."""
    largest = np.abs(values).max(axis=-1, keepdims=True)
    return values / np.where(largest == 0, 1.0, largest)


def _same_states(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.ndim == 0 or first.shape[-1:] != second.shape[-1:] or first.shape[-1] == 0:
        raise ValueError(
            f"the last axes must have one and the same length, at least 1: {first.shape}, {second.shape}"
        )
    first, second = np.broadcast_arrays(first, second)
    return first, second
