"""Agreement of a local gradient with the global one: the three forms of the conjecture, from strong to weak.

With g_loc = grad_{K^n} Q^n and g_glob = grad_{K^n} Q^mu (October draft, Theorem 2.2.4): equality,
proportionality and correlation of the batch-averaged gradients; and across states, correlation and sign of
their scalar factors dQ^n/d alpha and dQ^mu/dh_l[n].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .similarity import Floats, cosine, pearson


class Agreement(NamedTuple):
    """Agreement of two gradients, each field of the leading shape (...); see `agreement`."""

    equality: Floats
    proportionality: Floats
    scale: Floats
    pearson: Floats
    cosine: Floats


class ScalarAgreement(NamedTuple):
    """Pearson correlation and share of equal signs across states, each of the leading shape (...)."""

    pearson: Floats
    sign: Floats


def agreement(local: ArrayLike, global_: ArrayLike) -> Agreement:
    """Agreement of gradients `local` and `global_`, both (..., entries), over the last axis.

    equality         ||g_loc - g_glob|| / ||g_glob||, 0 when equal
    proportionality  ||c g_loc - g_glob|| / ||g_glob|| at the best c (`scale`), 0 when proportional
    pearson, cosine  correlation and cosine over the entries, 1 when proportional with c > 0

    A zero `local` has scale 0, proportionality 1 and no cosine (NaN); against a zero `global_` nothing is
    defined (NaN). A gradient of one entry, or of equal entries, has no Pearson correlation (NaN).
    """
    local, global_ = _same_shape(local, global_)
    scale = _best_scale(local, global_)
    length = np.linalg.norm(global_, axis=-1)
    length = np.where(length == 0, np.nan, length)
    return Agreement(
        equality=np.linalg.norm(local - global_, axis=-1) / length,
        proportionality=np.linalg.norm(scale[..., None] * local - global_, axis=-1) / length,
        scale=np.where(np.isnan(length), np.nan, scale),
        pearson=pearson(local, global_),
        cosine=cosine(local, global_),
    )


def scalar_agreement(local: ArrayLike, global_: ArrayLike) -> ScalarAgreement:
    """Agreement of the scalars dQ^n/d alpha and dQ^mu/dh_l[n], both (..., states), across states.

    `sign` is the share of states in which both have the same sign; chance is about 0.5.
    """
    local, global_ = _same_shape(local, global_)
    return ScalarAgreement(
        pearson=pearson(local, global_),
        sign=np.mean(np.sign(local) == np.sign(global_), axis=-1),
    )


def permutation_without_fixed_points(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A uniformly random derangement of range(n), shape (n,): no neuron keeps its own gradient.

    Raises ValueError for n < 2, where there is none.
    """
    if n < 2:
        raise ValueError(f"n = {n}: a permutation without fixed points needs at least 2 elements")
    while True:  # a random permutation has none with probability 1/e
        permutation = rng.permutation(n)
        if not np.any(permutation == np.arange(n)):
            return permutation


def _best_scale(local: Floats, global_: Floats) -> Floats:
    """The c that minimises ||c g_loc - g_glob||; 0, the shortest solution, where g_loc is zero."""
    power = np.sum(local * local, axis=-1)
    product: Floats = np.sum(local * global_, axis=-1)
    return product / np.where(power == 0, 1.0, power)


def _same_shape(local: ArrayLike, global_: ArrayLike) -> tuple[Floats, Floats]:
    local, global_ = np.asarray(local, dtype=float), np.asarray(global_, dtype=float)
    if local.shape != global_.shape or local.ndim == 0:
        raise ValueError(f"local {local.shape} and global {global_.shape} must have one shape (..., n)")
    return local, global_
