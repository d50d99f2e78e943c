"""Second-order expansion of a task's reward for iLQG, by finite differences of the reward function."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from subcritic.envs.suite.environment import SuiteEnvironment


class Expansion(NamedTuple):
    """Gradient and Hessian of the cost (minus the reward) in sensors and actions; Hessians are positive semidefinite."""

    sensor: NDArray  # (steps, relevant)
    sensor_sensor: NDArray  # (steps, relevant, relevant)
    action: NDArray  # (steps, nu)
    action_action: NDArray  # (steps, nu, nu)


class Costs:
    """Expands a task's reward at sensors and actions. `relevant`: the sensor values that its reward reads."""

    def __init__(self, environment: SuiteEnvironment, difference: float = 1e-4) -> None:
        self.environment, self.difference = environment, difference
        self.relevant = self._read_by_the_reward()

    def expand(self, sensors: NDArray, actions: NDArray, alive: NDArray) -> Expansion:
        """At sensors (steps, nsensordata) and actions (steps, nu); 0 where an episode is no longer alive (steps,)."""
        size, total = len(self.relevant), len(self.relevant) + actions.shape[1]
        step = self.difference
        moves = step * np.concatenate([np.eye(total), -np.eye(total)])
        # Costs at all (2 total + 1)² pairs of moves; the last move is zero.
        moves = np.concatenate([moves, np.zeros((1, total))])
        pairs = moves[:, None] + moves
        cost = self._cost(sensors, actions, pairs.reshape(-1, total)).reshape(len(sensors), *pairs.shape[:2])
        up, down = slice(0, total), slice(total, 2 * total)
        gradient = (cost[:, -1, up] - cost[:, -1, down]) / (2 * step)
        hessian = cost[:, up, up] + cost[:, down, down] - cost[:, up, down] - cost[:, down, up]
        hessian = hessian / (4 * step**2)
        gradient, hessian = (np.nan_to_num(part) * _like(alive, part) for part in (gradient, hessian))
        return Expansion(
            gradient[:, :size],
            _positive(hessian[:, :size, :size]),
            gradient[:, size:],
            _positive(hessian[:, size:, size:]),
        )

    def _cost(self, sensors: NDArray, actions: NDArray, moves: NDArray) -> NDArray:
        """Minus the reward (steps, moves) at every state and action, displaced by each of moves (moves, relevant + nu)."""
        size = len(self.relevant)
        moved = np.repeat(sensors[:, None], len(moves), axis=1)
        moved[..., self.relevant] += moves[:, :size]
        readings = self.environment.layout.readings(moved)
        with np.errstate(all="ignore"):
            return -np.asarray(self.environment.task.reward(readings, actions[:, None] + moves[:, size:]))

    def _read_by_the_reward(self) -> NDArray:
        """Indices of sensor values that the reward depends on, found by changing each at 64 random readings."""
        model = self.environment.model
        rng = np.random.default_rng(0)
        sensors = rng.standard_normal((64, model.nsensordata)) * rng.choice([0.01, 0.1, 1.0], (64, 1))
        actions = rng.uniform(-1, 1, (64, model.nu))
        layout, reward = self.environment.layout, self.environment.task.reward
        with np.errstate(all="ignore"):
            base = reward(layout.readings(sensors), actions)
            found = []
            for index in range(model.nsensordata):
                changed = sensors.copy()
                changed[:, index] += 1e-2
                if not np.array_equal(reward(layout.readings(changed), actions), base, equal_nan=True):
                    found.append(index)
        return np.array(found, dtype=int)


def _like(alive: NDArray, part: NDArray) -> NDArray:
    return alive.reshape(-1, *[1] * (part.ndim - 1))


def _positive(matrices: NDArray) -> NDArray:
    """The nearest positive semidefinite matrices."""
    values, vectors = np.linalg.eigh((matrices + matrices.mT) / 2)
    return (vectors * np.maximum(values, 0)[..., None, :]) @ vectors.mT
