"""Tasks and games seen as pictures, and actions that are held."""

import gc
import sys
from typing import ClassVar

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.utils.env_checker import check_env

from subcritic import envs
from subcritic.envs import display
from subcritic.envs.pixels import Pixels, Reduction, overlaps
from subcritic.envs.suite import TASKS


def can_draw():
    try:
        display.renderer(TASKS["pendulum"].model().compile(), 16, 16).close()
    except display.NoPicture as reason:
        return str(reason)
    return ""


NO_PICTURE = can_draw()
draws = pytest.mark.skipif(bool(NO_PICTURE), reason=NO_PICTURE)


@pytest.fixture
def seen(request):
    environment_id = TASKS[getattr(request, "param", "cheetah")].id
    pixels = Pixels(gym.make(environment_id), environment_id, 64, 3)
    yield pixels
    pixels.close()


def frames_of(observation, repeat=3):
    """The frames of an observation, oldest first: (repeat, size, size, 3)."""
    return np.stack([observation[..., 3 * number : 3 * number + 3] for number in range(repeat)])


class Ramp(gym.Env):
    """Step t is drawn in grey t, in 10 × 20 pixels, and rewarded by t; the action must be held. Ends after `length`."""

    metadata: ClassVar = {"render_modes": ["rgb_array"]}
    observation_space = Box(-1.0, 1000.0, (2,), np.float32)
    action_space = Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, render_mode=None, length=100, drawn=None):
        self.render_mode, self.length, self.drawn = render_mode, length, drawn
        self.actions = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time, self.actions = 0, []
        return self._observed(0.0), {}

    def step(self, action):
        self.time += 1
        self.actions.append(float(action[0]))
        return self._observed(action[0]), float(self.time), self.time == self.length, False, {}

    def render(self):
        return np.full((10, 20, 3), self.time, np.uint8) if self.drawn is None else self.drawn

    def _observed(self, action):
        return np.array([self.time, action], np.float32)


class Blind(Ramp):
    metadata: ClassVar = {"render_modes": []}


class WithoutMode(Ramp):
    metadata: ClassVar = {}

    def __init__(self):
        super().__init__()


@pytest.fixture(autouse=True, scope="module")
def registered():
    for kind in (Ramp, Blind, WithoutMode):
        gym.register(f"{kind.__name__}-v0", kind, max_episode_steps=50)
    gym.register("EndlessRamp-v0", Ramp)
    yield
    for name in ("Ramp-v0", "Blind-v0", "WithoutMode-v0", "EndlessRamp-v0"):
        del gym.registry[name]


@draws
@pytest.mark.parametrize("seen", sorted(TASKS), indirect=True)
def test_every_task_can_be_seen_and_moves_from_frame_to_frame(seen):
    seen.action_space.seed(0)
    observation, _ = seen.reset(seed=0)
    frames = frames_of(observation)
    assert seen.observation_space.contains(observation) and observation.std() > 5
    assert (frames[0] == frames[1]).all() and (frames[1] == frames[2]).all()
    moved = False
    for _ in range(5):
        observation, *_ = seen.step(np.ones(seen.action_space.shape))
        frames = frames_of(observation)
        moved |= (frames[0] != frames[1]).any() or (frames[1] != frames[2]).any()
    assert moved


@draws
@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_gymnasiums_checker_accepts_pixels(seen):
    check_env(seen, skip_render_check=True)


@draws
def test_an_action_is_held_for_three_steps_whose_rewards_are_added(seen):
    plain = gym.make(TASKS["cheetah"].id)
    seen.reset(seed=2)
    plain.reset(seed=2)
    action = np.full(6, 0.5)
    _, total, *_ = seen.step(action)
    assert total == sum(float(plain.step(action)[1]) for _ in range(3))
    np.testing.assert_array_equal(seen.unwrapped.data.qpos, plain.unwrapped.data.qpos)


@draws
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
        frames = frames_of(observation)
        assert (frames[played - 1 :] == frames[-1]).all()
        lengths.add(played)
    assert lengths & {1, 2}


@draws
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


@draws
def test_a_config_can_ask_for_pixels():
    environment = envs.make("subcritic/PendulumSwingUp-v0", {"pixels": True})
    observation, _ = environment.reset(seed=0)
    assert observation.shape == (64 * 64 * 9,) and observation.dtype == np.float32
    assert 0 <= observation.min() < observation.max() <= 1
    assert envs.picture(environment) == (64, 64, 9)
    environment.close()
    environment = envs.make("subcritic/PendulumSwingUp-v0", {"pixels": {"size": 48, "repeat": 2}})
    assert envs.picture(environment) == (48, 48, 6) and envs.sizes(environment) == (48 * 48 * 6, 1)
    environment.close()


@draws
def test_pixels_repeat_themselves_and_can_be_resumed():
    entry = {"id": "subcritic/CartpoleBalance-v0", "kwargs": {"pixels": {"size": 16}}}
    assert envs.check(**{"environment_id": entry["id"], "kwargs": entry["kwargs"]}) == ""
    rng = np.random.default_rng(0)
    streams = [envs.EpisodeStreams([envs.maker(entry)() for _ in range(2)], seeds=[0, 1]) for _ in range(2)]
    for _ in range(10):
        streams[0].step(rng.uniform(-1, 1, (2, 1)).astype(np.float32))
    streams[1].load_state_dict(streams[0].state_dict())
    for _ in range(20):
        action = rng.uniform(-1, 1, (2, 1)).astype(np.float32)
        first, second = (each.step(action) for each in streams)
        np.testing.assert_array_equal(first.observation, second.observation)
        np.testing.assert_array_equal(first.reward, second.reward)
    for each in streams:
        each.close()


@draws
def test_the_same_scene_is_drawn_at_another_size():
    """As bright in the mean, and bright and dark in the same places; the grid of the floor is coarser."""
    small, large = (
        envs.make("subcritic/Cheetah-v0", {"pixels": {"size": size, "repeat": 1}}) for size in (16, 64)
    )
    pictures = [each.reset(seed=0)[0].reshape(envs.picture(each)) for each in (small, large)]
    by_area = pictures[1].reshape(16, 4, 16, 4, 3).mean((1, 3))
    assert np.corrcoef(pictures[0].ravel(), by_area.ravel())[0, 1] > 0.9
    np.testing.assert_allclose(pictures[0].mean((0, 1)), by_area.mean((0, 1)), atol=0.02)
    small.close()
    large.close()


@draws
@pytest.mark.parametrize("name", ["HalfCheetah-v5", "InvertedPendulum-v5"])
def test_gymnasiums_tasks_of_mujoco_are_drawn_one_beside_the_other(name):
    kwargs = {"pixels": {"size": 32, "repeat": 2}}
    first, other = envs.make(name, kwargs), envs.make("Hopper-v5", kwargs)
    expected = first.reset(seed=0)[0]
    assert envs.picture(first) == (32, 32, 6) and expected.std() > 0.02
    other.reset(seed=0)
    np.testing.assert_array_equal(first.reset(seed=0)[0], expected)
    moved, *_ = first.step(np.ones(envs.sizes(first)[1], np.float32))
    assert (moved != expected).any()
    first.close()
    other.close()


@draws
@pytest.mark.parametrize("way", ["closed", "forgotten"])
def test_pictures_stay_as_they_are_when_another_environment_ends(way):
    """Evaluations close their environments while those of the training go on."""
    training = envs.make("subcritic/ReacherThreeRandom-v0", {"pixels": True})
    expected = training.reset(seed=0)[0]
    evaluation = envs.make("subcritic/Cheetah-v0", {"pixels": {"size": 16}})
    evaluation.reset(seed=0)
    if way == "closed":
        evaluation.close()
    del evaluation
    gc.collect()
    np.testing.assert_array_equal(training.reset(seed=0)[0], expected)
    training.close()


@pytest.mark.parametrize(("height", "width", "size"), [(6, 9, 3), (7, 5, 3), (4, 3, 8), (210, 160, 48)])
def test_a_pixel_is_the_mean_over_its_area(height, width, size):
    """By plain loops over the old pixels that a new one covers, in whole numbers of 1/size of an old pixel."""
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)

    def weights(length, index):
        covered = {}
        for unit in range(index * length, (index + 1) * length):
            covered[unit // size] = covered.get(unit // size, 0) + 1
        return covered

    expected = np.zeros((size, size, 3))
    for i in range(size):
        for j in range(size):
            for row, high in weights(height, i).items():
                for column, wide in weights(width, j).items():
                    expected[i, j] += high * wide * picture[row, column].astype(float)
    expected = np.floor(expected / (height * width) + 0.5)
    reduced = Reduction(height, width, size)(picture)
    assert reduced.dtype == np.uint8 and reduced.shape == (size, size, 3)
    np.testing.assert_array_equal(reduced, expected)
    assert (overlaps(height, size).sum(1) == height).all() and (overlaps(height, size).sum(0) == size).all()


def test_what_an_environment_draws_itself_is_seen_frame_by_frame():
    environment = envs.make("Ramp-v0", {"pixels": {"size": 8, "repeat": 3}, "length": 8})
    assert envs.picture(environment) == (8, 8, 9)

    def greys(observation):
        frames = frames_of((observation.reshape(8, 8, 9) * 255).round())
        assert (frames == frames[:, :1, :1, :1]).all()
        return frames[:, 0, 0, 0].tolist()

    assert greys(environment.reset(seed=0)[0]) == [0, 0, 0]
    observation, reward, *ends, _ = environment.step(np.full(1, 0.5, np.float32))
    assert (greys(observation), reward, ends) == ([1, 2, 3], 1 + 2 + 3, [False, False])
    environment.step(np.full(1, -0.5, np.float32))
    observation, reward, *ends, _ = environment.step(np.zeros(1, np.float32))
    assert (greys(observation), reward, ends) == ([7, 8, 8], 7 + 8, [True, False])
    assert environment.unwrapped.actions == [0.5] * 3 + [-0.5] * 3 + [0.0] * 2


def test_an_action_can_be_held_without_pixels():
    environment = envs.make("Ramp-v0", {"repeat": 3})
    assert envs.picture(environment) is None
    environment.reset(seed=0)
    observation, reward, *_ = environment.step(np.full(1, 0.5, np.float32))
    assert observation.tolist() == [3, 0.5] and reward == 1 + 2 + 3
    environment.close()


@draws
def test_the_state_behind_pixels_can_be_observed_with_actions_held_as_long():
    held, seen = (envs.make("subcritic/Cheetah-v0", kwargs) for kwargs in ({"repeat": 3}, {"pixels": True}))
    held.reset(seed=3)
    seen.reset(seed=3)
    rng = np.random.default_rng(0)
    ended = False
    while not ended:
        action = rng.uniform(-1, 1, 6).astype(np.float32)
        observation, *rest, _ = held.step(action)
        _, *others, _ = seen.step(action)
        assert rest == others
        ended = rest[1] or rest[2]
    assert observation.shape == (18,)
    np.testing.assert_array_equal(held.unwrapped.data.qpos, seen.unwrapped.data.qpos)
    seen.close()


def test_a_game_is_seen_frame_by_frame_as_its_screen():
    pytest.importorskip("ale_py", reason="needs the extra 'atari'")
    settings = {"pixels": {"size": 42, "repeat": 4}, "repeat_action_probability": 0.0}
    seen = envs.make("ALE/Pong-v5", settings)
    frames = envs.make("ALE/Pong-v5", {"obs_type": "rgb", "frameskip": 1, "repeat_action_probability": 0.0})
    assert envs.picture(frames) == (210, 160, 3) and envs.picture(seen) == (42, 42, 12)
    assert envs.sizes(seen)[1] == 3
    seen.reset(seed=5)
    frames.reset(seed=5)
    rng = np.random.default_rng(0)
    for _ in range(40):
        action = rng.uniform(-1, 1, 3).astype(np.float32)
        observation, reward, *_ = seen.step(action)
        answers = [frames.step(action) for _ in range(4)]
        assert reward == sum(answer[1] for answer in answers)
        # 42 rows of 5 × 160 / 42 old pixels each.
        bands = [answer[0].reshape(42, 5, 160, 3).mean(1) * 255 for answer in answers]
        expected = np.concatenate([np.stack([_resampled(row) for row in band]) for band in bands], axis=2)
        np.testing.assert_allclose(observation.reshape(42, 42, 12) * 255, expected, atol=0.51)
    seen.close()
    frames.close()


def _resampled(row):
    """160 pixels (160, 3) averaged to 42, by 42 copies of each."""
    return np.repeat(row, 42, axis=0).reshape(42, 160, 3).mean(1)


def test_games_repeat_themselves_from_pixels():
    pytest.importorskip("ale_py", reason="needs the extra 'atari'")
    assert envs.check("ALE/Breakout-v5", {"pixels": {"size": 16}}, 2000) == ""


@pytest.mark.parametrize("kwargs", [{"repeat": 3}, {"pixels": {"size": 8, "repeat": 3}}])
@pytest.mark.parametrize(("limit", "actions"), [(None, 17), (10, 4), (9, 3)])
def test_a_time_limit_counts_the_steps_of_the_environment(kwargs, limit, actions):
    """50 are registered."""
    environment = envs.make("Ramp-v0", kwargs, limit)
    environment.reset(seed=0)
    ends = [environment.step(np.zeros(1, np.float32))[2:4] for _ in range(actions)]
    assert ends == [(False, False)] * (actions - 1) + [(False, True)]
    assert environment.unwrapped.time == (limit or 50)


def test_an_environment_without_a_limit_has_ten_thousand_steps_of_its_own(monkeypatch):
    monkeypatch.setattr(sys.modules["subcritic.envs.make"], "LONGEST", 30)
    for length, message in ((None, "has no time limit"), (29, "")):
        kwargs = {"repeat": 4, "length": length}
        if not message:
            assert envs.check("EndlessRamp-v0", kwargs) == ""
            continue
        with pytest.raises(envs.UnusableEnvironment, match=message):
            envs.check("EndlessRamp-v0", kwargs)
    environment = envs.make("EndlessRamp-v0", {"repeat": 4, "length": None})
    environment.reset(seed=0)
    assert [environment.step(np.zeros(1, np.float32))[3] for _ in range(8)] == [False] * 7 + [True]


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("Ramp-v0", {"pixels": 48}, r"'Ramp-v0': kwargs.pixels is 48; true, false, or a mapping of size and repeat"),
        ("Ramp-v0", {"pixels": {"width": 48}}, r"kwargs.pixels has the unknown key 'width'; it may have size, repeat"),
        ("Ramp-v0", {"pixels": {"size": 4}}, r"kwargs.pixels.size is 4; a whole number from 8 to 256"),
        ("Ramp-v0", {"pixels": {"size": 64.0}}, r"kwargs.pixels.size is 64.0; a whole number"),
        ("Ramp-v0", {"pixels": {"repeat": 0}}, r"kwargs.pixels.repeat is 0; a whole number from 1 to 100"),
        ("Ramp-v0", {"repeat": True}, r"kwargs.repeat is True; a whole number from 1 to 100"),
        ("Ramp-v0", {"pixels": True, "repeat": 2}, r"write `pixels: \{repeat: 2\}` instead"),
        ("Blind-v0", {"pixels": True}, r"'Blind-v0' cannot be observed as pixels: it has no render mode.*'rgb_array'"),
        ("WithoutMode-v0", {"pixels": True}, r"'WithoutMode-v0' .*it draws no pictures"),
        ("Ramp-v0", {"pixels": True, "render_mode": None}, r"render modes are \['rgb_array'\], and None was chosen"),
        ("CartPole-v1", {"pixels": True}, r"'CartPole-v1' has Discrete actions"),
    ],
)  # fmt: skip
def test_what_cannot_be_seen_or_held_is_refused_before_anything_runs(name, kwargs, message):
    with pytest.raises(envs.UnusableEnvironment, match=message):
        envs.make(name, kwargs)


@pytest.mark.parametrize(
    ("drawn", "message"),
    [
        ([[0]], r"'Ramp-v0' drew \[\[0\]\]; uint8 \(height, width, 3\) is needed"),
        (np.zeros((4, 4), np.uint8), r"drew uint8 \(4, 4\)"),
        (np.zeros((4, 4, 3)), r"drew float64 \(4, 4, 3\)"),
    ],
)
def test_what_is_drawn_must_be_a_picture(drawn, message):
    with pytest.raises(envs.UnusableEnvironment, match=message):
        envs.check("Ramp-v0", {"pixels": True, "drawn": drawn})


def test_a_machine_that_cannot_draw_says_so(monkeypatch):
    def fails(*arguments, **named):
        raise display.NoPicture("MuJoCo cannot draw (MUJOCO_GL='')")

    monkeypatch.setattr(display, "renderer", fails)
    with pytest.raises(
        envs.UnusableEnvironment, match="'subcritic/Cheetah-v0' cannot be observed as pixels: MuJoCo cannot"
    ):
        envs.make("subcritic/Cheetah-v0", {"pixels": True})
