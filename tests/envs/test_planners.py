"""Planners play the physics and the rewards of the environment itself, and better than chance."""

from dataclasses import replace

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from scipy.linalg import solve_discrete_are

from subcritic.envs import suite
from subcritic.envs.planners import ILQG, MPPI, Simulation, episode
from subcritic.envs.planners.costs import Costs
from subcritic.envs.suite import SuiteEnvironment

PENDULUM = suite.TASKS["pendulum"]


def made(task, **kwargs):
    return gym.make(task.id, disable_env_checker=True, **kwargs)


def every_task():
    return [pytest.param(task, id=task.paper) for task in suite.TASKS.values()]


@pytest.mark.parametrize("task", every_task())
def test_a_played_plan_earns_exactly_what_the_environment_pays(task):
    environment = made(task)
    bare = environment.unwrapped
    environment.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(3):
        environment.step(rng.uniform(-1, 1, bare.model.nu))
    plan = rng.uniform(-1, 1, (20, bare.model.nu))
    promised = Simulation(bare).rewards(np.stack([np.zeros_like(plan), plan, plan]))
    np.testing.assert_array_equal(promised[1], promised[2])
    paid = np.zeros(len(plan))
    for step, action in enumerate(plan):
        _, paid[step], terminated, _, _ = environment.step(action)
        if terminated:
            break
    np.testing.assert_allclose(promised[1], paid, rtol=0, atol=1e-12)


def test_rewards_stop_behind_the_end_of_an_episode():
    ends = np.zeros((2, 5))
    environment = made(PENDULUM).unwrapped
    environment.reset(seed=0)

    def terminated(readings, action):
        return action[..., 0] > 0.5

    simulation = Simulation(environment)
    whole = simulation.rewards(ends[..., None])
    simulation.task = replace(PENDULUM, terminated=terminated)
    ends[1, 2] = 1.0
    found = simulation.rewards(ends[..., None])
    np.testing.assert_array_equal(found[0], whole[0])
    assert (found[1, :3] != 0).all() and (found[1, 3:] == 0).all()


def test_mppi_swings_the_pendulum_up_and_chance_does_not():
    environment = made(PENDULUM)
    planned, _ = episode(environment, 0, MPPI(environment.unwrapped))
    chance = [episode(environment, seed)[0] for seed in range(5)]
    assert planned > 100 > 20 > max(chance)


def test_ilqg_is_the_optimal_feedback_where_physics_is_linear_and_reward_quadratic():
    weights, price = np.diag([1.0, 0.1]), 0.5

    def reward(readings, action):
        costs = np.square(readings["place"][..., 0]) + 0.1 * np.square(readings["speed"][..., 0])
        return -costs - price * np.square(action[..., 0])

    bare = SuiteEnvironment(replace(suite.TASKS["cart"], reward=reward))
    bare.reset(seed=0)

    def after(place, speed, action):
        _set(bare, place, speed)
        bare.step(np.array([action]))
        return np.array([bare.data.qpos[0], bare.data.qvel[0]])

    a = np.column_stack([after(0.1, 0, 0), after(0, 0.1, 0)]) / 0.1
    b = after(0, 0, 0.1)[:, None] / 0.1
    value = solve_discrete_are(a, b, weights, np.array([[price]]))
    gain = np.linalg.solve(price + b.T @ value @ b, b.T @ value @ a)
    planner = ILQG(bare, horizon_seconds=8.0)
    for place, speed in ((0.3, 0.0), (-0.2, 0.4)):
        _set(bare, place, speed)
        planner.reset(np.random.default_rng(0))
        assert planner.plan() == pytest.approx(-gain @ [place, speed], abs=2e-3)


def test_ilqg_balances_where_mppi_sways():
    environment = made(suite.TASKS["cartpoleBalance"])
    earned = {}
    for planner in (ILQG(environment.unwrapped), MPPI(environment.unwrapped)):
        earned[planner.name], _ = episode(environment, 0, planner)
    assert earned["ilqg"] > max(earned["mppi"], 0.95 * 200)


@pytest.mark.parametrize("task", every_task())
def test_costs_are_those_of_the_reward(task):
    """Gradients against one-sided differences of the reward itself, of all sensors and actions."""
    bare = made(task).unwrapped
    bare.reset(seed=0)
    rng = np.random.default_rng(0)
    actions = rng.uniform(-0.9, 0.9, (2, bare.model.nu))
    sensors = Simulation(bare).play(actions[None]).sensors[0]
    costs = Costs(bare)
    found = costs.expand(sensors, actions, np.array([True, False]))
    assert not any(part[1].any() for part in found)
    slopes = np.zeros(bare.model.nsensordata)
    for index, step in enumerate(1e-6 * np.eye(len(slopes))):
        ends = [task.reward(bare.layout.readings(sensors[0] + sign * step), actions[0]) for sign in (1, -1)]
        slopes[index] = -(ends[0] - ends[1]) / 2e-6
    rebuilt = np.zeros_like(slopes)
    rebuilt[costs.relevant] = found.sensor[0]
    np.testing.assert_allclose(rebuilt, slopes, atol=1e-3 * max(1, np.abs(slopes).max()))
    for hessian in (found.sensor_sensor[0], found.action_action[0]):
        assert np.linalg.eigvalsh(hessian).min() > -1e-6 * max(1, np.abs(hessian).max())


def _set(bare, place, speed):
    bare.data.qpos[:], bare.data.qvel[:] = place, speed
    mujoco.mj_forward(bare.model, bare.data)


@pytest.mark.parametrize("kind", [MPPI, ILQG])
def test_the_same_seed_plans_the_same_and_planning_leaves_the_environment_alone(kind):
    environment = made(PENDULUM)
    bare = environment.unwrapped
    environment.reset(seed=0)
    actions = []
    for seed in (0, 0, 1):
        planner = kind(bare)
        planner.reset(np.random.default_rng(seed))
        before = bare.data.qpos.copy(), bare.data.qacc_warmstart.copy(), bare.data.time
        actions.append(np.array([planner.plan() for _ in range(3)]))
        np.testing.assert_array_equal(before[0], bare.data.qpos)
        np.testing.assert_array_equal(before[1], bare.data.qacc_warmstart)
        assert before[2] == bare.data.time
    np.testing.assert_array_equal(actions[0], actions[1])
    assert (actions[0] != actions[2]).any() and np.abs(actions).max() <= 1


def test_planners_refuse_what_they_cannot_plan_for():
    with pytest.raises(TypeError, match="SuiteEnvironment"):
        MPPI(gym.make("Pendulum-v1").unwrapped)
    with pytest.raises(ValueError, match="plans >= 2"):
        MPPI(made(PENDULUM).unwrapped, plans=1)
