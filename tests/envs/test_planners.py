"""Planners play the physics and the rewards of the environment itself, and better than chance."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from subcritic.envs import suite
from subcritic.envs.planners import MPPI, Simulation, episode

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


def test_the_same_seed_plans_the_same_and_planning_leaves_the_environment_alone():
    environment = made(PENDULUM)
    bare = environment.unwrapped
    environment.reset(seed=0)
    actions = []
    for seed in (0, 0, 1):
        planner = MPPI(bare)
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
