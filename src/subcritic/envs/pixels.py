"""Tasks of the suite with camera images as observations: three frames of 64 × 64 pixels for every action."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from gymnasium.utils import RecordConstructorArgs

from subcritic.envs import display
from subcritic.envs.suite import SuiteEnvironment

SIZE, REPEAT = 64, 3


class Pixels(gym.Wrapper, RecordConstructorArgs):
    """Repeats an action for 3 steps of the task and observes the frame after each (Lillicrap et al. 2016, supplement).

    Observations are uint8 (9, 64, 64): three RGB frames, oldest first. The reward is the sum over the steps. The first
    observation of an episode is one frame three times; if an episode ends within the 3 steps, its last frame is repeated.
    Raises TypeError for an environment that is not a task of the suite, NoPicture where rendering is not possible.
    """

    def __init__(self, env: gym.Env) -> None:
        suite_environment = env.unwrapped
        if not isinstance(suite_environment, SuiteEnvironment):
            raise TypeError(f"{env} is not a task of the suite; only those can be observed as pixels")
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        self.observation_space = Box(0, 255, (3 * REPEAT, SIZE, SIZE), np.uint8)
        self._frames = np.zeros((REPEAT, SIZE, SIZE, 3), np.uint8)
        self._suite_environment = suite_environment
        self._renderer = display.renderer(suite_environment.model, SIZE, SIZE, plain=True)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        _, information = self.env.reset(seed=seed, options=options)
        self._frames[:] = self._frame()
        return self._observation(), information

    def step(self, action: np.ndarray):
        total = 0.0
        for number in range(REPEAT):
            _, reward, terminated, truncated, information = self.env.step(action)
            total += float(reward)
            self._frames[number] = self._frame()
            if terminated or truncated:
                self._frames[number:] = self._frames[number]
                break
        return self._observation(), total, terminated, truncated, information

    def close(self) -> None:
        self._renderer.close()
        super().close()

    def _frame(self) -> np.ndarray:
        shown = self._suite_environment
        self._renderer.update_scene(shown.data, shown.task.camera)
        return self._renderer.render()

    def _observation(self) -> np.ndarray:
        return self._frames.transpose(0, 3, 1, 2).reshape(self.observation_space.shape)
