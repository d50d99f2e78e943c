"""What steps many environments in one call: the interface, and what its implementations share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from numpy.typing import NDArray


class Stacked(Protocol):
    """N environments without their wrappers, of one class and with equal settings, whose step is one call."""

    def begin(self, index: int) -> None:
        """Take over the state of one environment, which has just been reset."""

    def step(self, actions: NDArray, which: Sequence[int]) -> tuple[NDArray, NDArray, NDArray]:
        """Observation (P, n_0) float32, reward, terminated (P,) of an action (P, n_L) for each of P of them."""


def rows(which: Sequence[int], count: int) -> slice | list[int]:
    """An index of those rows of `count`; a slice, which copies nothing, if it is all of them."""
    return slice(None) if len(which) == count else list(which)
