"""Gymnasium's Pendulum-v1, many at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium.envs.classic_control import PendulumEnv
from numpy.typing import NDArray

from subcritic.envs.stacked import rows

SETTINGS = ("g", "m", "l", "dt", "max_speed", "max_torque")
# From so many on, one call takes less time than a call for each.
FEWEST = 3


class StackedPendulums:
    """N pendulums with equal settings: angles and angular velocities in `state` (2, N), moved as by `PendulumEnv.step`.

    The numbers are the same, bit for bit: torques are float32, all else float64, and squares are taken one by one, since
    NumPy rounds the square of an array otherwise than that of a number.
    """

    def __init__(self, pendulums: Sequence[PendulumEnv]) -> None:
        self.pendulums = pendulums
        self.state = np.zeros((2, len(pendulums)))

    @classmethod
    def of(cls, pendulums: Sequence[PendulumEnv]) -> StackedPendulums | None:
        """None where settings differ, there are too few, or a window shows what happens."""
        first = pendulums[0]
        equal = all(getattr(each, name) == getattr(first, name) for each in pendulums for name in SETTINGS)
        pays = len(pendulums) >= FEWEST and first.render_mode is None
        return cls(pendulums) if equal and pays else None

    def begin(self, index: int) -> None:
        self.state[:, index] = self.pendulums[index].state

    def step(self, actions: NDArray, which: Sequence[int]) -> tuple[NDArray, NDArray, NDArray]:
        chosen, like = rows(which, len(self.pendulums)), self.pendulums[0]
        angle, speed = self.state[:, chosen]
        torque = np.minimum(np.maximum(actions[:, 0], -like.max_torque), like.max_torque)
        from_top = (angle + np.pi) % (2 * np.pi) - np.pi
        spent = 0.001 * np.array([u**2 for u in torque])
        reward = [
            -(theta**2 + 0.1 * omega**2 + effort)
            for theta, omega, effort in zip(from_top.tolist(), speed.tolist(), spent.tolist(), strict=True)
        ]
        pull = 3 * like.g / (2 * like.l) * np.sin(angle) + 3.0 / (like.m * like.l**2) * torque
        speed = np.minimum(np.maximum(speed + pull * like.dt, -like.max_speed), like.max_speed)
        angle = angle + speed * like.dt
        self.state[0, chosen], self.state[1, chosen] = angle, speed
        observation = np.empty((len(which), 3), np.float32)
        observation[:, 0], observation[:, 1], observation[:, 2] = np.cos(angle), np.sin(angle), speed
        return observation, np.array(reward), np.zeros(len(which), bool)
