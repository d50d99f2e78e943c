"""How well a method's directions agree with the true policy gradient: rows for neurons, layers and the whole actor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from subcritic.nn import MLP
from subcritic.stats import cosine, limit_cosine, pearson, permutation_test
from subcritic.studies.agreement.directions import Directions, blocks

# How a direction is estimated: from one minibatch; from all states with one draw of noise; from all states and draws; and in
# the limit of infinitely many of both.
MINIBATCH, STATES, EXPECTATION, LIMIT = "minibatch", "states", "expectation", "limit"


class Row(NamedTuple):
    """One measure, (S,). layer: counted from 1; None: all layers."""

    estimate: str
    granularity: str
    layer: int | None
    measure: str
    value: np.ndarray


def measure(
    actor: MLP, found: Directions, permutations: int, rngs: Sequence[np.random.Generator]
) -> Iterator[Row]:
    """All rows of one method at one snapshot.

    The true gradient is that of all states for every estimate but `limit`, see `stats.limit_cosine`.
    """
    true = found.gradient.mean(axis=0)
    for estimate, directions in (
        (MINIBATCH, found.once),
        (STATES, found.once.mean(axis=0, keepdims=True)),
        (EXPECTATION, found.mean.mean(axis=0, keepdims=True)),
    ):
        yield from _cosines(actor, estimate, directions, true)
        yield from _neurons(actor, estimate, directions, true)
        if estimate == EXPECTATION:
            yield from _permuted(actor, estimate, directions[0], true, permutations, rngs)
    for layer, mine, theirs in _parts(actor, found.mean, found.gradient):
        yield Row(LIMIT, _granularity(layer), layer, "cosine", limit_cosine(mine, theirs))
    yield Row(EXPECTATION, "actor", None, "states", np.full(len(true), float(found.states)))


def _parts(
    actor: MLP, mine: np.ndarray, theirs: np.ndarray
) -> Iterator[tuple[int | None, np.ndarray, np.ndarray]]:
    """Entries (..., P) of the whole actor, then of each layer."""
    yield None, mine, theirs
    for layer, (own, true) in enumerate(
        zip(blocks(actor, mine), blocks(actor, theirs), strict=True), start=1
    ):
        yield layer, own.reshape(*own.shape[:-2], -1), true.reshape(*true.shape[:-2], -1)


def _granularity(layer: int | None) -> str:
    return "actor" if layer is None else "layer"


def _cosines(actor: MLP, estimate: str, directions: np.ndarray, true: np.ndarray) -> Iterator[Row]:
    """directions (K, S, P): the mean over K; true (S, P)."""
    for layer, mine, theirs in _parts(actor, directions, true):
        yield Row(estimate, _granularity(layer), layer, "cosine", mean_defined(cosine(mine, theirs)))


def _neurons(actor: MLP, estimate: str, directions: np.ndarray, true: np.ndarray) -> Iterator[Row]:
    """Pearson over the entries of each neuron's weight gradient: the median over neurons, and how many have none."""
    correlations = [
        pearson(mine[..., :-1], theirs[..., :-1])
        for mine, theirs in zip(blocks(actor, directions), blocks(actor, true), strict=True)
    ]
    for layer, values in [(None, np.concatenate(correlations, axis=-1)), *enumerate(correlations, start=1)]:
        undefined = np.isnan(values).sum(axis=-1).mean(axis=0)
        yield Row(estimate, "neuron", layer, "pearson", mean_defined(median_defined(values)))
        yield Row(estimate, "neuron", layer, "undefined", undefined)
        yield Row(estimate, "neuron", layer, "neurons", np.full(len(undefined), float(values.shape[-1])))


def _permuted(
    actor: MLP,
    estimate: str,
    direction: np.ndarray,
    true: np.ndarray,
    permutations: int,
    rngs: Sequence[np.random.Generator],
) -> Iterator[Row]:
    tests = [
        permutation_test(
            [b[s] for b in blocks(actor, direction)], [b[s] for b in blocks(actor, true)], permutations, rng
        )
        for s, rng in enumerate(rngs)
    ]
    for index, layer in enumerate([*range(1, actor.depth + 1), None]):
        for name, values in (
            ("permuted_cosine", [test.permuted[index] for test in tests]),
            ("p", [test.p[index] for test in tests]),
        ):
            yield Row(estimate, _granularity(layer), layer, name, np.array(values))


def mean_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis of what is not NaN; NaN where nothing is left."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    return np.where(known, values, 0.0).sum(axis=0) / np.where(count == 0, np.nan, count)


def median_defined(values: np.ndarray) -> np.ndarray:
    """Median over the last axis of what is not NaN; NaN where nothing is left."""
    empty = np.isnan(values).all(axis=-1)
    return np.where(empty, np.nan, np.nanmedian(np.where(empty[..., None], 0.0, values), axis=-1))
