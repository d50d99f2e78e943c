"""Independent random generators, one for every seed and purpose."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

# Numbers of one seed that are drawn at once.
BLOCK = 4096


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


class Draws:
    """Random numbers of S seeds, (S, width) at a time, drawn ahead in blocks: a call costs more than its numbers.

    kind: uniform in [0, 1), or standard normal. Every seed's numbers are those that its generator, asked for `width` at a
    time, would give, so they depend neither on the block nor on other seeds. The generators are the Draws' own from then on.
    """

    def __init__(
        self,
        rngs: Sequence[np.random.Generator],
        width: int,
        kind: Literal["random", "standard_normal"] = "random",
    ) -> None:
        self.rngs, self.width, self.kind = list(rngs), width, kind
        self._ahead = max(1, BLOCK // max(1, width))
        self._draw()

    def next(self) -> NDArray[np.float64]:
        """The next (S, width), a view that nothing overwrites."""
        if self._used == self._ahead:
            self._draw()
        self._used += 1
        numbers: NDArray[np.float64] = self._block[self._used - 1]
        return numbers

    def _draw(self) -> None:
        self._before = states(self.rngs)
        shape = (self._ahead, self.width)
        self._block = np.stack([getattr(rng, self.kind)(shape) for rng in self.rngs], axis=1)
        self._used = 0

    def state_dict(self) -> dict[str, Any]:
        """The generators before the block, and how much of it was used."""
        return {"rngs": self._before, "used": self._used}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        restore(self.rngs, state["rngs"])
        self._draw()
        self._used = state["used"]


def uniform(rngs: Sequence[np.random.Generator] | Draws, width: int) -> NDArray[np.float64]:
    """(S, width) in [0, 1): the next ones of Draws, or drawn now."""
    if isinstance(rngs, Draws):
        if width != rngs.width:
            raise ValueError(f"width = {width}: these numbers are drawn {rngs.width} at a time")
        return rngs.next()
    return np.stack([rng.random(width) for rng in rngs])
