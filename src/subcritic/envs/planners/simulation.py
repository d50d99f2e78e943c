"""Simulation of many action sequences from the true state of an environment, with the reward of its task."""

from __future__ import annotations

from typing import NamedTuple

import mujoco
import numpy as np
from mujoco.rollout import Rollout
from numpy.typing import NDArray

from subcritic.envs.suite.environment import SuiteEnvironment

PHYSICS = mujoco.mjtState.mjSTATE_FULLPHYSICS


class Played(NamedTuple):
    """Simulated plans (plans, steps, …): rewards, states and sensors after each action, whether the episode still ran."""

    rewards: NDArray
    states: NDArray
    sensors: NDArray
    alive: NDArray


class Simulation:
    """Simulates action sequences from an environment's state, without changing it, on the calling thread.

    Rewards are bit-identical to those of `SuiteEnvironment.step`. Raises TypeError when the environment is no
    `SuiteEnvironment`.
    """

    def __init__(self, environment: SuiteEnvironment) -> None:
        if not isinstance(environment, SuiteEnvironment):
            raise TypeError(
                f"planners need a SuiteEnvironment, the true state of a task; got {environment!r}"
            )
        self.environment = environment
        self.model, self.task = environment.model, environment.task
        self.scratch = mujoco.MjData(self.model)
        self._rollout = Rollout(nthread=0)
        stage = [mujoco.mjtStage(int(stage)) for stage in self.model.sensor_needstage]
        after = [which == mujoco.mjtStage.mjSTAGE_ACC for which in stage]
        # Sensors of forces and accelerations belong to the last substep, all others to the state after it.
        self._lags = np.repeat(np.array(after, dtype=bool), self.model.sensor_dim)

    def state(self) -> NDArray:
        """The environment's physics state (nstate,)."""
        state = np.empty(mujoco.mj_stateSize(self.model, PHYSICS))
        mujoco.mj_getState(self.model, self.environment.data, state, PHYSICS)
        return state

    def rewards(self, actions: NDArray) -> NDArray:
        """Rewards (plans, steps) of actions (plans, steps, nu) in [-1, 1]; 0 after the step that ends the episode."""
        return self.play(actions).rewards

    def play(self, actions: NDArray) -> Played:
        """Simulate actions (plans, steps, nu) in [-1, 1]."""
        states, sensors, broken = self._physics(actions)
        with np.errstate(all="ignore"):
            readings = self.environment.layout.readings(sensors)
            rewards = np.array(self.task.reward(readings, actions), dtype=float)
            ended = broken
            if self.task.terminated is not None:
                ended = ended | np.asarray(self.task.terminated(readings, actions))
        rewards[~np.isfinite(rewards)] = 0.0
        alive = np.cumsum(ended, axis=1) - ended == 0
        return Played(np.where(alive, rewards, 0.0), states, sensors, alive)

    def _physics(self, actions: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """States and sensors after each action, and whether the simulation had become unstable (plans, steps)."""
        plans, steps, _ = actions.shape
        substeps = self.environment.substeps
        control = np.repeat(actions, substeps, axis=1)
        # A row of the rollout has the sensors of the state before its step, so one more step is needed for the last state.
        control = np.concatenate([control, control[:, -1:]], axis=1)
        states, sensors = self._rollout.rollout(
            self.model,
            self.scratch,
            np.tile(self.state(), (plans, 1)),
            control,
            initial_warmstart=np.tile(self.environment.data.qacc_warmstart, (plans, 1)),
        )
        behind = np.arange(1, steps + 1) * substeps
        found = sensors[:, behind]
        if self._lags.any():
            found[..., self._lags] = sensors[:, behind - 1][..., self._lags]
        reached = states[:, behind - 1]
        # In a simulation that became unstable, time stops or is reset.
        elapsed = reached[..., 0] - self.environment.data.time
        timestep = self.model.opt.timestep
        return reached, found, ~(np.abs(elapsed - behind * timestep) < timestep / 2)
