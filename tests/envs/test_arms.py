"""Arms of the suite: what Table 2 says of them, and that what they earn is what they are asked for."""

from __future__ import annotations

import csv
from importlib.resources import files

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_for_stable_baselines

from subcritic.envs.suite import TASKS, arms

TABLE = {
    row["environment"]: row
    for row in csv.DictReader((files("subcritic.envs.suite") / "table2.csv").read_text().splitlines())
}
each_task = pytest.mark.parametrize("task", arms.TASKS, ids=lambda task: task.name)


def made(task):
    return gym.make(task.id, disable_env_checker=True).unwrapped


@each_task
def test_state_and_action_have_the_papers_sizes(task):
    row, model = TABLE[task.paper], task.model().compile()
    assert (model.nq + model.nv, model.nu) == (int(row["state_dim"]), int(row["action_dim"]))
    assert TASKS[task.paper] is task


@each_task
@pytest.mark.filterwarnings("ignore:.*A Box observation space (min|max)imum value")
def test_gymnasium_and_stable_baselines_accept_it(task):
    check_env(made(task), skip_render_check=True)
    check_for_stable_baselines(made(task), warn=False)


@each_task
def test_seeds_repeat_and_extreme_actions_stay_finite(task):
    first, second = made(task), made(task)
    first.reset(seed=3), second.reset(seed=3)
    for step in range(300):
        action = np.full(first.model.nu, 1.0 if step // 7 % 2 else -1.0)
        seen, reward, ended, _, _ = first.step(action)
        same, reward_again, *_ = second.step(action)
        np.testing.assert_array_equal(seen, same)
        assert reward == reward_again and np.isfinite(seen).all() and not ended
        assert np.abs(seen).max() < 10


@each_task
def test_reward_of_a_batch_is_the_reward_of_each(task):
    rng = np.random.default_rng(0)
    environment = made(task)
    rows, actions, rewards = [], rng.uniform(-1, 1, (6, environment.model.nu)), []
    environment.reset(seed=0)
    for action in actions:
        rewards.append(environment.step(action)[1])
        rows.append(environment.data.sensordata.copy())
    batch = environment.layout.readings(np.reshape(rows, (2, 3, -1)))
    np.testing.assert_allclose(task.reward(batch, actions.reshape(2, 3, -1)).ravel(), rewards, rtol=1e-12)


@each_task
def test_nothing_moves_the_target(task):
    environment = made(task)
    environment.reset(seed=1)
    before = environment.data.site("target").xpos.copy()
    for action in np.random.default_rng(1).uniform(-1, 1, (100, environment.model.nu)):
        environment.step(action)
    np.testing.assert_allclose(environment.data.site("target").xpos, before, atol=1e-6)
