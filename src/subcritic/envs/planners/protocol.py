"""What a planner is."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Planner(Protocol):
    """Chooses actions for one `SuiteEnvironment` from its true physics state; the same seed gives the same actions."""

    name: str

    def reset(self, rng: np.random.Generator) -> None:
        """Forget the last plan: a new episode begins. `rng` is all the chance the planner uses."""

    def plan(self) -> NDArray:
        """The action (nu,) in [-1, 1] for the state the environment is in; the plan is kept to start the next from."""
