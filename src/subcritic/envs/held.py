"""Actions that are held for several steps of an environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs


class Held(gym.Wrapper, RecordConstructorArgs):
    """Holds an action for `repeat` steps of the environment, fewer where the episode ends, and adds their rewards.

    What is observed is what the last of these steps shows. A time limit inside counts the environment's own steps.
    """

    def __init__(self, env: gym.Env, repeat: int) -> None:
        RecordConstructorArgs.__init__(self, repeat=repeat)
        super().__init__(env)
        self.repeat = repeat

    def step(self, action: np.ndarray) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        total = 0.0
        for number in range(self.repeat):
            observation, reward, terminated, truncated, information = self.env.step(action)
            total += float(reward)
            self.played(number)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, information

    def played(self, number: int) -> None:
        """Called after each step of an action, `number` from 0 on."""
