"""Environments side by side go through what each goes through alone, bit for bit; some cannot be stacked."""

from functools import partial

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.envs.classic_control import PendulumEnv
from gymnasium.wrappers import TransformReward

from subcritic import envs
from subcritic.envs import suite
from subcritic.envs.episodes import EpisodeStreams
from subcritic.envs.pendulum import FEWEST
from subcritic.envs.suite.environment import BOUND
from subcritic.envs.vector import VectorEnvironment

SUITE = sorted(entry.id for entry in suite.LISTED.values())
COUNT = 5


def is_stacked(environments):
    return VectorEnvironment(environments)._stacked is not None


def assert_as_alone(name, steps):
    """Random actions, some out of bounds, for a random part of the environments in every step."""
    together = VectorEnvironment([envs.make(name) for _ in range(COUNT)])
    alone = [envs.make(name) for _ in range(COUNT)]
    rng, ends = np.random.default_rng(0), 0

    def reset(index, seed):
        np.testing.assert_array_equal(together.reset(index, seed), alone[index].reset(seed=seed)[0])

    for index in range(COUNT):
        reset(index, index)
    for _ in range(steps):
        which = np.flatnonzero(rng.random(COUNT) < 0.8).tolist() or [0]
        actions = rng.uniform(-1.2, 1.2, (len(which), envs.sizes(alone[0])[1])).astype(np.float32)
        found = together.step(actions, which)
        assert found.observation.dtype == np.float32
        for row, index in enumerate(which):
            observation, reward, terminated, truncated, _ = alone[index].step(actions[row])
            np.testing.assert_array_equal(found.observation[row], observation)
            assert (reward, terminated, truncated) == (
                found.reward[row],
                found.terminated[row],
                found.truncated[row],
            )
            if terminated or truncated:
                ends += 1
                reset(index, 1000 + ends)
    together.close()
    assert ends >= COUNT


def test_pendulums_together_are_pendulums_alone():
    assert is_stacked([envs.make("Pendulum-v1") for _ in range(FEWEST)])
    assert_as_alone("Pendulum-v1", 2000)


@pytest.mark.parametrize("name", SUITE)
def test_tasks_of_the_suite_together_are_tasks_alone(name):
    assert is_stacked([envs.make(name) for _ in range(COUNT)])
    assert_as_alone(name, round(1.5 * suite.by_id(name).episode_steps))


def test_environments_that_cannot_be_stacked_are_played_one_by_one():
    assert not is_stacked([envs.make("MountainCarContinuous-v0") for _ in range(COUNT)])
    assert_as_alone("MountainCarContinuous-v0", 1500)


@pytest.mark.parametrize("name", SUITE)
def test_a_task_alone_is_its_declaration_applied_to_one_state(name):
    """The halves of MuJoCo's step one after the other, and the task's functions on unstacked sensors."""
    made = envs.make(name)
    bare, twin, rng = made.unwrapped, envs.make(name), np.random.default_rng(1)
    twin.reset(seed=0)
    made.reset(seed=0)
    model, data = twin.unwrapped.model, twin.unwrapped.data
    for _ in range(50):
        action = rng.uniform(-1.2, 1.2, model.nu)
        observation, reward, terminated, *_ = bare.step(action)
        data.ctrl[:] = np.clip(action, -1, 1)
        for _ in range(bare.substeps):
            mujoco.mj_step2(model, data)
            mujoco.mj_step1(model, data)
        readings = bare.layout.readings(data.sensordata)
        seen = np.clip(bare.task.observe(readings), -BOUND, BOUND).astype(np.float32)
        np.testing.assert_array_equal(observation, seen)
        assert reward == bare.task.reward(readings, data.ctrl)
        assert terminated == (
            bare.task.terminated is not None and bool(bare.task.terminated(readings, data.ctrl))
        )
        if terminated:
            break


def pendulums(change):
    """`change` the last of some pendulums."""
    made = [envs.make("Pendulum-v1") for _ in range(COUNT)]
    return [*made[:-1], change(made[-1])]


def heavier(environment):
    environment.unwrapped.m = 2.0
    return environment


def patched(environment):
    """With a method of its own, as debugging code may give it."""
    environment.unwrapped._get_obs = lambda: np.zeros(3, np.float32)
    return environment


def test_an_environment_whose_class_was_changed_is_not_stacked(monkeypatch):
    monkeypatch.setattr(PendulumEnv, "step", lambda self, action: (np.zeros(3), 0.0, False, False, {}))
    assert not is_stacked(pendulums(lambda environment: environment))


@pytest.mark.parametrize(
    "change",
    [
        patched,
        partial(TransformReward, func=lambda reward: 2 * reward),
        heavier,
        lambda environment: envs.make("Pendulum-v1", {"g": 5.0}),
        lambda environment: envs.make("Pendulum-v1", max_episode_steps=20),
        lambda environment: envs.make("subcritic/PendulumSwingUp-v0"),
    ],
    ids=[
        "another method",
        "another wrapper",
        "another attribute",
        "other kwargs",
        "another limit",
        "another environment",
    ],
)
def test_an_environment_that_is_not_like_the_others_is_not_stacked_with_them(change):
    assert is_stacked(pendulums(lambda environment: environment))
    assert not is_stacked(pendulums(change))


def test_a_suite_task_refuses_the_actions_that_it_refuses_alone():
    together = VectorEnvironment([envs.make("subcritic/Cheetah-v0") for _ in range(2)])
    for index in range(2):
        together.reset(index, 0)
    broken = np.zeros((2, 6), np.float32)
    broken[1, 3] = np.nan
    with pytest.raises(ValueError, match=r"Cheetah-v0: action \[.*nan.*\] is not finite"):
        together.step(broken, [0, 1])


class SameBuffer(gym.Env):
    """Hands out one array as every observation, and overwrites it; episodes of two steps."""

    observation_space = gym.spaces.Box(-9, 9, (1,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self):
        self.buffer = np.zeros(1, np.float32)

    def reset(self, *, seed=None, options=None):
        self.buffer[:] = 0
        return self.buffer, {}

    def step(self, action):
        self.buffer += 1
        return self.buffer, 1.0, bool(self.buffer == 2), False, {}


def test_observations_are_copied_before_the_environment_overwrites_them():
    streams = EpisodeStreams([SameBuffer(), SameBuffer()], [0, 1])
    kept = []
    for _ in range(4):
        before = streams.observation
        found = streams.step(np.zeros((2, 1), np.float32))
        kept.append((before, found.observation, found.finished))
    assert [before[0, 0] for before, *_ in kept] == [0, 1, 0, 1]
    assert [after[1, 0] for _, after, _ in kept] == [1, 2, 1, 2]
    assert [finished for *_, finished in kept] == [{}, {0: 2.0, 1: 2.0}] * 2


@pytest.mark.parametrize("name", ["Pendulum-v1", "subcritic/Cheetah-v0", "MountainCarContinuous-v0"])
@pytest.mark.parametrize("which", [[1, 3], []])
def test_an_environment_that_is_not_stepped_stays_where_it_was(name, which):
    streams = EpisodeStreams([envs.make(name) for _ in range(COUNT)], range(COUNT))
    before, idle = streams.observation.copy(), [index for index in range(COUNT) if index not in which]
    size = envs.sizes(streams.environments.environments[0])[1]
    found = streams.step(np.ones((COUNT, size), np.float32), which)
    np.testing.assert_array_equal(found.observation[idle], before[idle])
    assert (found.observation[which] != before[which]).any(axis=1).all()
    assert (found.reward[idle] == 0).all() and (found.reward[which] != 0).all()
    assert not found.terminated.any()
