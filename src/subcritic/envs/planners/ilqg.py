"""iLQG as model-predictive control: the planner of Lillicrap et al. 2016."""

from __future__ import annotations

from typing import NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from subcritic.envs.planners.costs import Costs, Expansion
from subcritic.envs.planners.simulation import PHYSICS, Simulation
from subcritic.envs.suite.environment import SuiteEnvironment

# Step sizes of the line search along the new plan; smaller ones help where the linear model is valid only nearby.
STEP_SIZES = (1.0, 0.5, 0.25, 0.1, 0.03)
REGULARISATION = (1e-6, 1e6)


class Gains(NamedTuple):
    """Open-loop change of the actions (steps, nu), and feedback on the state's deviation (steps, nu, nx)."""

    open_loop: NDArray
    feedback: NDArray


class ILQG:
    """One iteration of iLQG per step, starting from the last plan shifted by one step (Tassa et al. 2012; Lillicrap et al.
    2016).

    The physics is linearised by MuJoCo's finite differences (`mjd_transitionFD`), once per action, and that is used for
    all substeps of the action; the reward is expanded to second order. The candidates, one for each of STEP_SIZES and the
    last plan, are simulated, and the best becomes the plan. `noise`: scale of the first plan of an episode.
    """

    name = "ilqg"

    def __init__(
        self, environment: SuiteEnvironment, horizon_seconds: float = 0.6, noise: float = 0.1
    ) -> None:
        if horizon_seconds <= 0:
            raise ValueError(f"horizon_seconds > 0 is needed; got {horizon_seconds}")
        self.simulation, self.environment = Simulation(environment), environment
        self.model, self.noise = environment.model, noise
        self.costs = Costs(environment)
        self.steps = max(1, round(horizon_seconds / environment.task.control_seconds))
        self._data = mujoco.MjData(self.model)
        self.reset(np.random.default_rng(0))

    def reset(self, rng: np.random.Generator) -> None:
        """Start from a plan of small random actions, which breaks the symmetry of a hanging pole."""
        noise = self.noise * rng.standard_normal((self.steps, self.model.nu))
        self.actions = np.clip(noise, -1, 1)
        self.regularisation = 1e-3

    def plan(self) -> NDArray:
        """The first action (nu,) of the plan after one iteration."""
        nominal = self.simulation.play(self.actions[None])
        states = np.concatenate([self.simulation.state()[None], nominal.states[0]])
        gains = self._gains(states, nominal.sensors[0], nominal.alive[0])
        candidates = [self.actions, *(self._forward(states, gains, size) for size in STEP_SIZES)]
        returns = self.simulation.rewards(np.stack(candidates)).sum(axis=1)
        best = int(np.argmax(returns))
        self.regularisation = np.clip(self.regularisation * (0.5 if best else 4.0), *REGULARISATION)
        chosen = candidates[best]
        self.actions = np.concatenate([chosen[1:], chosen[-1:]])
        return chosen[0]

    def _gains(self, states: NDArray, sensors: NDArray, alive: NDArray) -> Gains:
        """Gains for the linear physics and the quadratic reward along a plan; zero if the backward pass fails."""
        actions = np.concatenate([self.actions, self.actions[-1:]])
        dynamics = [self._linear(state, action) for state, action in zip(states, actions, strict=True)]
        costs = self.costs.expand(sensors, self.actions, alive)
        while self.regularisation <= REGULARISATION[1]:
            try:
                with np.errstate(all="ignore"):
                    gains = self._backward(dynamics, costs)
                if np.isfinite(gains.open_loop).all() and np.isfinite(gains.feedback).all():
                    return gains
            except np.linalg.LinAlgError:
                pass
            self.regularisation *= 100
        nx, nu = dynamics[0][1].shape
        return Gains(np.zeros((self.steps, nu)), np.zeros((self.steps, nu, nx)))

    def _backward(self, dynamics: list[tuple[NDArray, NDArray, NDArray]], costs: Expansion) -> Gains:
        """The optimal gains, computed from the last action to the first."""
        nx, nu = dynamics[0][1].shape
        gains = Gains(np.zeros((self.steps, nu)), np.zeros((self.steps, nu, nx)))
        value_x, value_xx = np.zeros(nx), np.zeros((nx, nx))
        for k in reversed(range(self.steps)):
            a, b, _ = dynamics[k]
            c = dynamics[k + 1][2][self.costs.relevant]
            value_x = value_x + c.T @ costs.sensor[k]
            value_xx = value_xx + c.T @ costs.sensor_sensor[k] @ c
            q_x, q_u = a.T @ value_x, costs.action[k] + b.T @ value_x
            q_ux = b.T @ value_xx @ a
            q_uu = costs.action_action[k] + b.T @ value_xx @ b
            q_uu = q_uu + self.regularisation * max(1.0, np.trace(q_uu) / nu) * np.eye(nu)
            # An action at its bound that would be moved beyond it stays there.
            free = ~((np.abs(self.actions[k]) >= 1) & (self.actions[k] * q_u < 0))
            solved = np.linalg.solve(q_uu[np.ix_(free, free)], np.column_stack([q_u, q_ux])[free])
            gains.open_loop[k, free], gains.feedback[k, free] = -solved[:, 0], -solved[:, 1:]
            move, react = gains.open_loop[k], gains.feedback[k]
            value_x = q_x + react.T @ q_uu @ move + react.T @ q_u + q_ux.T @ move
            value_xx = a.T @ value_xx @ a + react.T @ q_uu @ react + react.T @ q_ux + q_ux.T @ react
            value_xx = (value_xx + value_xx.T) / 2
        return gains

    def _linear(self, state: NDArray, action: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Jacobians: of the next state by state (nx, nx) and by action (nx, nu), and of the sensors by state (ns, nx)."""
        model, data = self.model, self._data
        mujoco.mj_setState(model, data, state, PHYSICS)
        data.ctrl[:] = action
        mujoco.mj_forward(model, data)
        nx = 2 * model.nv + model.na
        a, b, c = np.empty((nx, nx)), np.empty((nx, model.nu)), np.empty((model.nsensordata, nx))
        mujoco.mjd_transitionFD(model, data, 1e-5, False, a, b, c, None)
        power, total = np.eye(nx), np.zeros_like(b)
        for _ in range(self.environment.substeps):
            total, power = total + power @ b, a @ power
        return power, total, c

    def _forward(self, states: NDArray, gains: Gains, size: float) -> NDArray:
        """The actions (steps, nu) that the gains give on the true physics."""
        model, data = self.model, self._data
        mujoco.mj_setState(model, data, states[0], PHYSICS)
        data.qacc_warmstart[:] = self.environment.data.qacc_warmstart
        actions = np.empty_like(self.actions)
        first, last = 1, 1 + model.nq
        deviation = np.zeros(2 * model.nv + model.na)
        for k in range(self.steps):
            mujoco.mj_differentiatePos(model, deviation[: model.nv], 1.0, states[k, first:last], data.qpos)
            deviation[model.nv : 2 * model.nv] = data.qvel - states[k, last : last + model.nv]
            deviation[2 * model.nv :] = data.act - states[k, last + model.nv : last + model.nv + model.na]
            change = size * gains.open_loop[k] + gains.feedback[k] @ deviation
            actions[k] = np.clip(np.nan_to_num(self.actions[k] + change), -1, 1)
            data.ctrl[:] = actions[k]
            mujoco.mj_step(model, data, nstep=self.environment.substeps)
        return actions
