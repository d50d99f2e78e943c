"""The interface of a planner."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Planner(Protocol):
    """Chooses actions for one `SuiteEnvironment` from its true physics state, reproducibly for a given generator."""

    name: str

    def reset(self, rng: np.random.Generator) -> None:
        """Start a new episode: discard the last plan. `rng` is the planner's only source of random numbers."""

    def plan(self) -> NDArray:
        """The action (nu,) in [-1, 1] for the environment's current state; the next call starts from this plan."""
