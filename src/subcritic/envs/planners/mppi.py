"""Model-predictive path integral control: the planner that defines score 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from subcritic.envs.planners.simulation import Simulation
from subcritic.envs.suite.environment import SuiteEnvironment


class MPPI:
    """Simulates random variations of its plan and averages them, weighted by their returns (Williams et al. 2017).

    A plan is `knots` actions, evenly spaced over `horizon_seconds`, linear in between. In every step `plans` variations of
    the last plan, shifted by one step, are simulated. Each has Gaussian noise of its own scale on the knots, from 0 to
    `noise`: balancing needs small changes, starting to move large ones. Weights are
    exp((return - best return) / (temperature * standard deviation of the returns)).
    """

    name = "mppi"

    def __init__(
        self,
        environment: SuiteEnvironment,
        horizon_seconds: float = 0.6,
        plans: int = 48,
        knots: int = 6,
        noise: float = 1.2,
        temperature: float = 0.1,
    ) -> None:
        if horizon_seconds <= 0 or plans < 2 or knots < 2:
            raise ValueError(
                f"horizon_seconds > 0, plans >= 2 and knots >= 2 are needed; got {horizon_seconds}, {plans}, {knots}"
            )
        self.simulation = Simulation(environment)
        self.plans, self.temperature = plans, temperature
        self.scales = np.linspace(0, noise, plans)[:, None, None]
        self.steps = max(1, round(horizon_seconds / environment.task.control_seconds))
        self.shape = (min(knots, self.steps + 1), environment.model.nu)
        self._spline = interpolation(self.shape[0], np.linspace(0, 1, self.steps))
        moved = np.linspace(0, 1, self.shape[0]) + 1 / max(1, self.steps - 1)
        self._onward = interpolation(self.shape[0], np.minimum(moved, 1))
        self.reset(np.random.default_rng(0))

    def reset(self, rng: np.random.Generator) -> None:
        """Start from a plan of zero actions."""
        self.rng = rng
        self.knots = np.zeros(self.shape)

    def plan(self) -> NDArray:
        """The first action (nu,) of the weighted average plan."""
        changes = self.scales * self.rng.standard_normal((self.plans, *self.shape))
        candidates = np.clip(self.knots + changes, -1, 1)
        returns = self.simulation.rewards(self._spline @ candidates).sum(axis=1)
        weights = np.exp((returns - returns.max()) / (self.temperature * returns.std() + 1e-12))
        best = np.tensordot(weights / weights.sum(), candidates, axes=1)
        self.knots = self._onward @ best
        return best[0]


def interpolation(knots: int, times: NDArray) -> NDArray:
    """The matrix (times, knots) that turns knots, evenly spaced on [0, 1], into values at `times`, linear in between."""
    if knots == 1:
        return np.ones((len(times), 1))
    return np.maximum(0, 1 - np.abs(times[:, None] * (knots - 1) - np.arange(knots)))
