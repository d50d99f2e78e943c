"""Small tasks of our own, registered with Gymnasium when `subcritic.envs` is imported.

`subcritic/Cart-v0` is a very simple task; `subcritic/HiddenVelocityPendulum-v0` is Pendulum-v1 without the angular velocity
in the observation, so that one observation does not determine the state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control import PendulumEnv
from gymnasium.spaces import Box
from gymnasium.wrappers import TransformObservation


class Cart(gym.Env):
    """A cart with friction on a rail from −1 to 1; the reward is its position.

    Observation (2,): position, velocity. Action (1,) in [-1, 1]: the force. It starts at rest, uniform in [-0.8, -0.2].
    The constant action of full force to the right is optimal, so any working learner should solve it.
    """

    STEP, FORCE, FRICTION = 0.1, 1.0, 1.0

    def __init__(self) -> None:
        self.observation_space = Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = Box(-1.0, 1.0, (1,), np.float32)
        self.position = self.velocity = 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.position, self.velocity = float(self.np_random.uniform(-0.8, -0.2)), 0.0
        return self._observation(), {}

    def step(self, action: np.ndarray):
        push = self.FORCE * float(np.clip(action[0], -1, 1)) - self.FRICTION * self.velocity
        self.velocity += self.STEP * push
        moved = self.position + self.STEP * self.velocity
        self.position = min(max(moved, -1.0), 1.0)
        # The cart stops at the ends of the rail.
        self.velocity = self.velocity if moved == self.position else 0.0
        return self._observation(), self.position, False, False, {}

    def _observation(self) -> np.ndarray:
        return np.array([self.position, self.velocity], np.float32)


class KeepObservations(TransformObservation):
    """Observes only the components `kept` of a vector observation.

    Raises TypeError where observations are no Box, ValueError for a component that does not exist.
    """

    def __init__(self, env: gym.Env, kept: Sequence[int]) -> None:
        shown = env.observation_space
        if not isinstance(shown, Box):
            raise TypeError(f"observations are {shown}; a Box is needed to keep some of its components")
        size = shown.shape[0]
        missing = [index for index in kept if not 0 <= index < size]
        if missing:
            raise ValueError(f"observation component {missing[0]} does not exist: there are 0 to {size - 1}")
        kept = list(kept)
        space = Box(shown.low[kept], shown.high[kept], dtype=shown.low.dtype)
        super().__init__(env, lambda observation: observation[kept], space)


def hidden_velocity_pendulum(**kwargs: Any) -> gym.Env:
    """Pendulum-v1 with (cos θ, sin θ) as the observation (2,), without the angular velocity."""
    return KeepObservations(PendulumEnv(**kwargs), kept=(0, 1))


gym.register("subcritic/Cart-v0", entry_point=f"{__name__}:Cart", max_episode_steps=100)
gym.register(
    "subcritic/HiddenVelocityPendulum-v0", entry_point=hidden_velocity_pendulum, max_episode_steps=200
)
