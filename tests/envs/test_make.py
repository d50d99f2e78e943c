"""Environments as the learners see them."""

import os
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

from subcritic import envs


def test_actions_are_scaled_to_the_environments_bounds():
    environment = envs.make("Pendulum-v1")
    assert environment.action_space.low == -1
    assert environment.action_space.high == 1
    plain = gym.make("Pendulum-v1")
    for e, action in ((environment, [0.5]), (plain, [1.0])):
        e.reset(seed=3)
        last = e.step(np.array(action, np.float32))
    np.testing.assert_allclose(
        environment.step(np.array([-1.0], np.float32))[0], plain.step(np.array([-2.0]))[0]
    )
    assert last[0].dtype == np.float32


@pytest.mark.parametrize("name", ["LunarLanderContinuous-v3", "MountainCarContinuous-v0", "HalfCheetah-v5"])
def test_real_environments_give_flat_float_observations(name):
    environment = envs.make(name)
    observation, _ = environment.reset(seed=0)
    size, actions = envs.sizes(environment)
    assert observation.shape == (size,)
    assert environment.step(np.zeros(actions, np.float32))[0].shape == (size,)
    environment.close()


def test_images_are_scaled_and_flattened():
    environment = envs.make("CarRacing-v3")
    observation, _ = environment.reset(seed=0)
    assert observation.shape == (96 * 96 * 3,)
    assert observation.dtype == np.float32
    assert 0 < observation.max() <= 1
    environment.close()


@pytest.mark.parametrize("name", ["CartPole-v1", "Blackjack-v1", "NoSuchThing-v0"])
def test_what_cannot_be_used_is_refused_by_name(name):
    with pytest.raises(envs.UnusableEnvironment, match=name):
        envs.make(name)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("subcritic/Cheeta-v0", "subcritic/Cheetah-v0"),
        ("subcritic/Foo-v0", "subcritic/CartRest-v0"),
        ("hyq", "subcritic/QuadrupedStand-v0"),
        ("Pendulm-v1", "Pendulum-v1"),
    ],
)
def test_an_unknown_name_is_answered_with_close_ones(given, meant):
    with pytest.raises(envs.UnusableEnvironment, match=rf"{given}.*there is.*{meant}|{given}.*is '{meant}'"):
        envs.make(given)


def test_tasks_of_the_suite_can_be_used_by_name():
    environment = envs.make("subcritic/Cheetah-v0")
    assert envs.sizes(environment) == (18, 6)
    observation, _ = environment.reset(seed=0)
    assert observation.dtype == np.float32


def test_drawing_in_memory_is_chosen_without_a_display_and_before_mujoco_only():
    """In processes of their own: MuJoCo reads MUJOCO_GL when it is imported."""
    code = "import os, {first}; import subcritic.envs; print(os.environ.get('MUJOCO_GL'))"

    def chosen(first="sys", **extra):
        plain = {name: value for name, value in os.environ.items() if name not in ("MUJOCO_GL", "DISPLAY")}
        command = [sys.executable, "-c", code.format(first=first)]
        return subprocess.run(
            command, env=plain | extra, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert chosen(MUJOCO_GL="disabled") == "disabled"
    assert chosen(DISPLAY=":0") == "None"
    assert chosen(first="mujoco") == "None"
    assert chosen() in ("egl", "osmesa", "None")


def test_atari_is_continuous_from_ram_or_says_what_to_install():
    try:
        import ale_py  # noqa: F401
    except ImportError:
        with pytest.raises(envs.UnusableEnvironment, match="atari"):
            envs.make("ALE/Pong-v5")
        return
    environment = envs.make("ALE/Pong-v5")
    assert envs.sizes(environment) == (128, 3)
    observation, _ = environment.reset(seed=0)
    assert 0 <= observation.min() <= observation.max() <= 1
    assert environment.step(np.zeros(3, np.float32))[0].dtype == np.float32
    environment.close()
    with pytest.raises(envs.UnusableEnvironment, match="Discrete"):
        envs.make("ALE/Pong-v5", {"continuous": False})


def test_the_control_suite_is_a_vector_of_its_parts_or_says_what_is_missing():
    try:
        import shimmy  # noqa: F401
    except ImportError:
        with pytest.raises(envs.UnusableEnvironment, match=r"needs what is not installed: .*shimmy"):
            envs.make("shimmy:dm_control/walker-walk-v0")
        # What a chain asks first.
        with pytest.raises(envs.UnusableEnvironment, match="install the extra 'control'"):
            envs.code_of("shimmy:dm_control/walker-walk-v0")
        return
    assert envs.check("shimmy:dm_control/walker-walk-v0") == ""
    environment = envs.make("shimmy:dm_control/walker-walk-v0")
    assert envs.sizes(environment) == (24, 6)
    assert set(envs.code_of("shimmy:dm_control/walker-walk-v0")["packages"]) == {
        "dm_control",
        "mujoco",
        "Shimmy",
    }


@pytest.mark.parametrize("name", ["Pendulum-v1", "LunarLanderContinuous-v3", "HalfCheetah-v5"])
def test_running_episodes_are_restored_from_their_seeds_and_actions(name):
    rng = np.random.default_rng(0)

    def streams():
        return envs.EpisodeStreams([envs.make(name) for _ in range(3)], seeds=[5, 6, 7])

    played = streams()
    shape = (3, envs.sizes(played.environments.environments[0])[1])
    for step in range(250):
        played.step(rng.uniform(-1, 1, shape).astype(np.float32), [0, 2] if step > 200 else None)
    copy = streams()
    copy.load_state_dict(played.state_dict())
    np.testing.assert_array_equal(copy.returns, played.returns)
    for _ in range(250):
        actions = rng.uniform(-1, 1, shape).astype(np.float32)
        ours, theirs = played.step(actions), copy.step(actions)
        for mine, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("what", ["observation", "return"])
def test_a_resumed_run_goes_on_with_a_new_episode_where_an_environment_does_not_repeat_one_and_says_so(what):
    streams = [envs.EpisodeStreams([envs.make("Pendulum-v1") for _ in range(2)], [0, 1]) for _ in range(2)]
    for stream in streams:
        stream.step(np.zeros((2, 1), np.float32))
    state = streams[0].state_dict()
    state[1][what] += 1
    with pytest.warns(
        envs.EnvironmentWarning, match=r"'Pendulum-v1' does not repeat an episode .*: seed 1 goes on"
    ):
        streams[1].load_state_dict(state)
    assert streams[1].episode == [0, 1] and streams[1].actions[1] == [] and streams[1].returns[1] == 0
    np.testing.assert_array_equal(streams[1].observation[0], streams[0].observation[0])
