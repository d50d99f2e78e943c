"""Our own small tasks are what they say."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from subcritic import envs
from subcritic.envs.tasks import KeepObservations

TASKS = ("subcritic/Cart-v0", "subcritic/HiddenVelocityPendulum-v0")


@pytest.mark.filterwarnings("ignore:.*symmetric and normalized space")
@pytest.mark.parametrize("task", TASKS)
def test_gymnasiums_checker_accepts_the_task(task):
    check_env(gym.make(task).unwrapped, skip_render_check=True)


def test_hiding_the_velocity_changes_nothing_but_what_is_seen():
    hidden, whole = envs.make("subcritic/HiddenVelocityPendulum-v0"), envs.make("Pendulum-v1")
    assert envs.sizes(hidden) == (2, 1)
    (seen, _), (all_of_it, _) = hidden.reset(seed=3), whole.reset(seed=3)
    rng = np.random.default_rng(0)
    for number in range(1, 201):
        np.testing.assert_array_equal(seen, all_of_it[:2])
        action = rng.uniform(-1, 1, 1).astype(np.float32)
        seen, reward, terminated, truncated, _ = hidden.step(action)
        all_of_it, same_reward, *ends, _ = whole.step(action)
        assert reward == same_reward and [terminated, truncated] == ends == [False, number == 200]
        assert hidden.observation_space.contains(seen)


def test_a_component_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="component 3 does not exist: there are 0 to 2"):
        KeepObservations(gym.make("Pendulum-v1"), kept=(0, 3))


def total(policy):
    cart = envs.make("subcritic/Cart-v0")
    seen, _ = cart.reset(seed=0)
    found, done = 0.0, False
    while not done:
        seen, reward, _, done, _ = cart.step(np.array([policy(seen)], np.float32))
        assert cart.observation_space.contains(seen)
        found += reward
    return found


def test_full_force_to_the_right_is_best_on_the_cart_and_to_the_left_is_worst():
    right, left = total(lambda seen: 1.0), total(lambda seen: -1.0)
    rng = np.random.default_rng(0)
    others = [total(lambda seen, k=k: np.tanh(k @ [*seen, 1.0])) for k in rng.normal(0, 3, (30, 3))]
    assert left < min(others) and max(others) < right
    assert right > 60 and left < -85
