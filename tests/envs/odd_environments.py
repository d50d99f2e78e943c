"""A point that should go to 0, and what its code may do that others do not: for the tests of foreign environments."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box

STEPS = 10


class Point(gym.Env):
    """Position x in [-1, 1]; observation (x, step / 10, 1); the first action moves x, the second one does nothing."""

    observation_space = Box(-10, 10, (3,), np.float32)
    action_space = Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps, self.x = 0, float(self.np_random.uniform(-1, 1))
        return self.observed(), {}

    def step(self, action):
        self.x = float(np.clip(self.x + 0.1 * np.ravel(action)[0], -1, 1))
        self.steps += 1
        return self.observed(), self.paid(), False, self.steps >= STEPS, {}

    def observed(self):
        return np.array([self.x, self.steps / 10, 1.0], np.float32)

    def paid(self):
        return -(self.x**2)


def point(**replaced):
    """A class of points with other attributes or methods."""
    return type("Odd", (Point,), replaced)


class Registered:
    """Registers classes for the time of a `with` statement."""

    def __enter__(self):
        self.names = []
        return self

    def __call__(self, environment, limit=None):
        name = f"Odd{len(self.names)}-v0"
        gym.register(name, entry_point=environment, max_episode_steps=limit)
        self.names.append(name)
        return name

    def __exit__(self, *error):
        for name in self.names:
            gym.registry.pop(name, None)
