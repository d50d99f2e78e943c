"""A task of the suite as a Gymnasium environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

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
        self._alone = StackedTasks([self])
        self._renderer: mujoco.Renderer | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:], self.data.qvel[:] = self.task.start(self.model, self.np_random)
        mujoco.mj_forward(self.model, self.data)
        return observed(self.task, self.layout.readings(self.data.sensordata)), {}

    def step(self, action: np.ndarray):
        observation, reward, terminated = self._alone.step(np.asarray(action)[None], [0])
        return observation[0], float(reward[0]), bool(terminated[0]), False, {}

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


class StackedTasks:
    """N environments of one task: MuJoCo moves them one by one; observations, rewards and terminations are one call for all.

    A single environment is stepped by a stack of one.
    """

    def __init__(self, environments: Sequence[SuiteEnvironment]) -> None:
        first = environments[0]
        self.task, self.layout, self.substeps = first.task, first.layout, first.substeps
        self.models = [each.model for each in environments]
        self.data = [each.data for each in environments]
        self._controls = [data.ctrl for data in self.data]
        self._sensors = [data.sensordata for data in self.data]
        self._warnings = [data.warning.number for data in self.data]

    @classmethod
    def of(cls, environments: Sequence[SuiteEnvironment]) -> StackedTasks | None:
        """None where tasks differ."""
        return cls(environments) if all(each.task is environments[0].task for each in environments) else None

    def begin(self, index: int) -> None:
        """Nothing is to be done: the state is in `data`."""

    def step(self, actions: NDArray, which: Sequence[int]) -> tuple[NDArray, NDArray, NDArray]:
        """Observation (P, n_0) float32, reward, terminated (P,) of actions (P, nu) for the environments `which`."""
        size = len(self._controls[0])
        if actions.shape[1:] != (size,):
            raise ValueError(f"{self.task.id}: action of shape {actions.shape[1:]}; ({size},) is needed")
        if not np.isfinite(actions).all():
            row = np.flatnonzero(~np.isfinite(actions).all(axis=1))[0]
            raise ValueError(f"{self.task.id}: action {actions[row]} is not finite")
        control = np.clip(actions, -1, 1).astype(np.float64)
        for row, index in enumerate(which):
            self._controls[index][:] = control[row]
            self._move(self.models[index], self.data[index])
        readings = self.layout.readings(np.array([self._sensors[index] for index in which]))
        ended: NDArray = np.any([self._warnings[index] for index in which], axis=1)
        if self.task.terminated is not None:
            ended |= np.asarray(self.task.terminated(readings, control))
        return observed(self.task, readings), self.task.reward(readings, control), ended

    def _move(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """An action's substeps; they begin and end with half a step of MuJoCo, so that sensors are up to date."""
        mujoco.mj_step2(model, data)
        if self.substeps > 1:
            mujoco.mj_step(model, data, self.substeps - 1)
        mujoco.mj_step1(model, data)


def observed(task: Task, readings: Readings) -> NDArray:
    return np.clip(task.observe(readings), -BOUND, BOUND).astype(np.float32)
