"""Tasks seen through a camera."""

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from subcritic import envs
from subcritic.envs import display
from subcritic.envs.pixels import Pixels
from subcritic.envs.suite import TASKS


@pytest.fixture(scope="module", autouse=True)
def drawing():
    try:
        display.renderer(TASKS["pendulum"].model().compile(), 16, 16).close()
    except display.NoPicture as reason:
        pytest.skip(str(reason))


@pytest.fixture
def seen(request):
    pixels = Pixels(gym.make(TASKS[getattr(request, "param", "cheetah")].id))
    yield pixels
    pixels.close()


@pytest.mark.parametrize("seen", sorted(TASKS), indirect=True)
def test_every_task_can_be_seen_and_moves_from_frame_to_frame(seen):
    seen.action_space.seed(0)
    observation, _ = seen.reset(seed=0)
    frames = observation.reshape(3, 3, 64, 64)
    assert seen.observation_space.contains(observation) and observation.std() > 5
    assert (frames[0] == frames[1]).all() and (frames[1] == frames[2]).all()
    moved = False
    for _ in range(5):
        observation, *_ = seen.step(np.ones(seen.action_space.shape))
        frames = observation.reshape(3, 3, 64, 64)
        moved |= (frames[0] != frames[1]).any() or (frames[1] != frames[2]).any()
    assert moved


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_gymnasiums_checker_accepts_pixels(seen):
    check_env(seen, skip_render_check=True)


def test_an_action_is_held_for_three_steps_whose_rewards_are_added(seen):
    plain = gym.make(TASKS["cheetah"].id)
    seen.reset(seed=2)
    plain.reset(seed=2)
    action = np.full(6, 0.5)
    _, total, *_ = seen.step(action)
    assert total == sum(float(plain.step(action)[1]) for _ in range(3))
    np.testing.assert_array_equal(seen.unwrapped.data.qpos, plain.unwrapped.data.qpos)


@pytest.mark.parametrize("seen", ["cartpoleBalance"], indirect=True)
def test_an_episode_that_ends_between_frames_shows_its_last_one_again(seen):
    lengths = set()
    for seed in range(8):
        seen.reset(seed=seed)
        terminated = False
        while not terminated:
            before = seen.unwrapped.data.time
            observation, _, terminated, truncated, _ = seen.step(np.ones(1))
            assert not truncated
        played = round((seen.unwrapped.data.time - before) / TASKS["cartpoleBalance"].control_seconds)
        frames = observation.reshape(3, 3, 64, 64)
        assert (frames[played - 1 :] == frames[-1]).all()
        lengths.add(played)
    assert lengths & {1, 2}


def test_the_camera_keeps_a_runner_in_the_frame(seen):
    """A cheetah set down far away is drawn as at the start: nothing but the grid differs."""
    plain = seen.unwrapped
    plain.reset(seed=0)

    def drawn():
        plain.model.geom("floor").rgba[3] = 0
        return seen._frame().astype(int)

    here = drawn()
    plain.data.qpos[0] += 40
    mujoco.mj_forward(plain.model, plain.data)
    assert np.abs(drawn() - here).mean() < 1


def test_a_config_can_ask_for_pixels():
    environment = envs.make("subcritic/PendulumSwingUp-v0", {"pixels": True})
    observation, _ = environment.reset(seed=0)
    assert observation.shape == (9 * 64 * 64,) and observation.dtype == np.float32
    assert 0 <= observation.min() < observation.max() <= 1
    environment.close()


def test_only_tasks_of_the_suite_can_be_seen_as_pixels():
    with pytest.raises(
        envs.UnusableEnvironment, match=r"'Pendulum-v1' .*only tasks of the suite can be observed as pixels"
    ):
        envs.make("Pendulum-v1", {"pixels": True})
