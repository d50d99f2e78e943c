"""Tasks of the suite seen through a camera: three frames of 64 × 64 pixels for every action."""

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
    """Holds an action for 3 steps of the task and shows the frame after each (Lillicrap et al. 2016, supplement).

    Observations are uint8 (9, 64, 64): the three frames one after the other, oldest first, RGB each. Rewards of the steps
    are added up. An episode that starts shows one frame three times, one that ends early its last frame again. Raises
    TypeError for an environment that is no task of the suite, NoPicture where nothing can be drawn.
    """

    def __init__(self, env: gym.Env) -> None:
        suite_environment = env.unwrapped
        if not isinstance(suite_environment, SuiteEnvironment):
            raise TypeError(f"{env} is no task of the suite; only those can be seen as pixels")
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
