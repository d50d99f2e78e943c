"""Agreement of a local gradient with the global one: the three forms of the conjecture, from strong to weak.

With g_loc = grad_{K^n} Q^n and g_glob = grad_{K^n} Q^mu (October draft, Theorem 2.2.4): equality,
proportionality and correlation of the batch-averaged gradients; and across states, correlation and sign of
their scalar factors dQ^n/d alpha and dQ^mu/dh_l[n].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .similarity import Floats, cosine, pearson

# The share that signal must have of a variance before a cosine is corrected for noise: below, the correction would itself be
# mostly noise.
RELIABLE = 0.25


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


class PermutationTest(NamedTuple):
    """Of every layer, and of all layers together, last: (L + 1,) each; see `permutation_test`."""

    cosine: Floats
    permuted: Floats
    p: Floats


class DirectionalCosine(NamedTuple):
    """A cosine with a gradient that is known along some directions only; see `directional_cosine`."""

    played: float
    reliability: float
    cosine: float


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


def permutation_test(
    local: Sequence[Floats], global_: Sequence[Floats], permutations: int, rng: np.random.Generator
) -> PermutationTest:
    """Do neurons have their own gradients, or would those of other neurons of their layer agree as well?

    local, global_: of every layer, one row per neuron, (n_l, entries_l). cosine: over all entries of a layer, and of all.
    permuted: its mean when the rows of `local` are permuted within each layer. p: one-sided, the share of permutations with
    at least this cosine, the given order counted in (Phipson and Smyth 2010). A layer of one neuron has no p (NaN), and
    stays as it is when all layers are taken together. Of a zero gradient nothing is defined.
    """
    products = [
        np.asarray(mine, float) @ np.asarray(true, float).T for mine, true in zip(local, global_, strict=True)
    ]
    own = np.array([product.trace() for product in products])
    shuffled = np.stack([_permuted_traces(product, permutations, rng) for product in products])
    squares = np.array([[np.sum(np.square(rows, dtype=float)) for rows in side] for side in (local, global_)])
    own, shuffled = (np.concatenate([sums, sums.sum(axis=0, keepdims=True)]) for sums in (own, shuffled))
    lengths = np.sqrt(np.concatenate([squares, squares.sum(axis=1, keepdims=True)], axis=1)).prod(axis=0)
    lengths[lengths == 0] = np.nan
    # Permutations that change nothing must count as equal, whatever the rounding.
    p = (1 + np.sum(shuffled >= (own - 1e-12 * np.abs(lengths))[:, None], axis=1)) / (1 + permutations)
    widths = np.array([len(rows) for rows in local])
    fixed = np.append(widths < 2, (widths < 2).all()) | np.isnan(lengths)
    return PermutationTest(own / lengths, shuffled.mean(axis=1) / lengths, np.where(fixed, np.nan, p))


def _permuted_traces(product: Floats, permutations: int, rng: np.random.Generator) -> Floats:
    """Σ_j product[π(j), j] for random permutations π, (permutations,)."""
    n = len(product)
    order = rng.permuted(np.tile(np.arange(n), (permutations, 1)), axis=1)
    traces: Floats = product[order, np.arange(n)].sum(axis=1)
    return traces


def limit_cosine(local: ArrayLike, global_: ArrayLike) -> Floats:
    """The cosine of the expectations of `local` and `global_` from K independent samples of both, (K, ..., entries) → (...).

    All products are between different samples, so that what varies from sample to sample adds nothing to them in the mean:
    E⟨x_i, x_j⟩ = ‖E x‖² for i ≠ j. NaN with one sample, and where ‖E x‖² found in this way is less than `RELIABLE` of the
    squared length of the samples' mean, for either side: too few samples for their noise. It may exceed 1 by chance.
    """
    local, global_ = _same_shape(local, global_)
    samples = len(local)
    cross, mine, theirs = (
        _between(first, second) / max(1, samples * (samples - 1))
        for first, second in ((local, global_), (local, local), (global_, global_))
    )
    enough = [
        expected > RELIABLE * np.square(given.mean(axis=0)).sum(axis=-1)
        for expected, given in ((mine, local), (theirs, global_))
    ]
    known = np.all(enough, axis=0)
    return np.where(known, cross, np.nan) / np.sqrt(np.where(known, mine * theirs, 1.0))


def _between(first: Floats, second: Floats) -> Floats:
    """Σ_{i ≠ j} ⟨first_i, second_j⟩."""
    total: Floats = np.sum(first.sum(axis=0) * second.sum(axis=0), axis=-1) - np.sum(
        first * second, axis=(0, -1)
    )
    return total


def directional_cosine(own: ArrayLike, random: ArrayLike, size: int) -> DirectionalCosine:
    """The cosine of a vector u in R^size with the gradient of a mean return J, from derivatives of J alone.

    own (E,): the derivative along u, stretched to length √size, of the return from each of E start states. random (M, E):
    those along M directions d ~ N(0, I), from the same start states. Since E[(d·∇J)²] = ‖∇J‖², the root mean square along
    them is the length of the gradient, up to a relative error of about 1/√(2M).

    played: the cosine with the gradient of the mean over these start states. reliability: the share of its squared length
    that start states have in common, from products between different start states only. cosine: with the gradient of the
    mean over all start states; NaN where the reliability is below `RELIABLE`. Both are kept within [-1, 1], which chance, or
    a return that jumps along u, may leave. Raises ValueError for fewer than 2 start states.
    """
    own, random = np.asarray(own, float), np.asarray(random, float)
    episodes = random.shape[1]
    if episodes < 2 or own.shape != (episodes,):
        raise ValueError(
            f"own {own.shape} and random {random.shape}: must be (E,) and (M, E), with at least 2 start states E"
        )
    squares = np.square(random).sum(axis=1)
    played = np.square(random.mean(axis=1)).mean()
    common = ((np.square(random.sum(axis=1)) - squares) / (episodes * (episodes - 1))).mean()
    reliability = common / played if played > 0 else np.nan
    along = own.mean() / np.sqrt(size)
    return DirectionalCosine(
        float(np.clip(along / np.sqrt(played), -1, 1)) if played > 0 else np.nan,
        float(reliability),
        float(np.clip(along / np.sqrt(common), -1, 1)) if reliability >= RELIABLE else np.nan,
    )


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
