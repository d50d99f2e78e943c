"""Independent random generators, one for every seed and purpose."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def generator(seed: int, purpose: str, *keys: int) -> np.random.Generator:
    """The generator of `seed` for `purpose` ('replay', 'exploration', …) and optional further integer keys.

    It depends on nothing else, so that a seed draws the same numbers alone or beside others.
    """
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(purpose.encode())], spawn_key=keys))


def generators(seeds: Sequence[int], purpose: str, *keys: int) -> list[np.random.Generator]:
    """One generator per seed."""
    return [generator(seed, purpose, *keys) for seed in seeds]


def states(rngs: Sequence[np.random.Generator]) -> list[Mapping[str, Any]]:
    """The generators' states, for a checkpoint."""
    return [rng.bit_generator.state for rng in rngs]


def restore(rngs: Sequence[np.random.Generator], saved: Sequence[Mapping[str, Any]]) -> None:
    """Put the generators back where `states` found them."""
    for rng, state in zip(rngs, saved, strict=True):
        rng.bit_generator.state = state
