"""A task of the suite as a Gymnasium environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium.spaces import Box

from subcritic.envs import display
from subcritic.envs.suite.task import Readings, SensorLayout, Task

# Observations are divided by units that keep ordinary motion within 10; only unstable simulations reach this bound.
BOUND = 20.0


class SuiteEnvironment(gym.Env):
    """Simulates a `Task`. Observations are float32, clipped to [-20, 20]; actions (nu,) are clipped to [-1, 1] and held for
    `control_seconds`.

    `model` and `data` are MuJoCo's; planners read the true state from them. An episode also ends (terminated) when the
    simulation becomes unstable. Raises ValueError for an action of the wrong shape or with non-finite values.
    """

    def __init__(
        self, task: Task, render_mode: str | None = None, width: int = 480, height: int = 360
    ) -> None:
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": round(1 / task.control_seconds)}
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode {render_mode!r} is not known; there is 'rgb_array', or None")
        self.task, self.render_mode, self.width, self.height = task, render_mode, width, height
        self.model = task.model().compile()
        self.data = mujoco.MjData(self.model)
        self.layout = SensorLayout(self.model)
        self.substeps = round(task.control_seconds / self.model.opt.timestep)
        size = sum(component.size for component in task.components)
        self.observation_space = Box(-BOUND, BOUND, (size,), np.float32)
        self.action_space = Box(-1.0, 1.0, (self.model.nu,), np.float32)
        self._renderer: mujoco.Renderer | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:], self.data.qvel[:] = self.task.start(self.model, self.np_random)
        mujoco.mj_forward(self.model, self.data)
        return self._observation(self.layout.readings(self.data.sensordata)), {}

    def step(self, action: np.ndarray):
        action = np.asarray(action)
        if action.shape != (self.model.nu,):
            raise ValueError(f"{self.task.id}: action of shape {action.shape}; ({self.model.nu},) is needed")
        if not np.isfinite(action).all():
            raise ValueError(f"{self.task.id}: action {action} is not finite")
        self.data.ctrl[:] = np.clip(action, -1, 1)
        for _ in range(self.substeps):
            # The two halves of mj_step in this order leave positions and velocities in the sensors up to date.
            mujoco.mj_step2(self.model, self.data)
            mujoco.mj_step1(self.model, self.data)
        readings = self.layout.readings(self.data.sensordata)
        reward = float(self.task.reward(readings, self.data.ctrl))
        unstable = bool(self.data.warning.number.any())
        ended = self.task.terminated is not None and bool(self.task.terminated(readings, self.data.ctrl))
        return self._observation(readings), reward, ended or unstable, False, {}

    def render(self) -> np.ndarray | None:
        if self.render_mode is None:
            return None
        if self._renderer is None:
            self._renderer = display.renderer(self.model, self.width, self.height)
        self._renderer.update_scene(self.data, self.task.camera)
        return self._renderer.render()

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _observation(self, readings: Readings) -> np.ndarray:
        return np.clip(self.task.observe(readings), -BOUND, BOUND).astype(np.float32)
