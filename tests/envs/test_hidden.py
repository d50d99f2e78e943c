"""Tasks that take memory are what they say."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from subcritic import envs

TASKS = (
    "subcritic/TMaze-v0",
    "subcritic/HiddenVelocityCartpoleBalance-v0",
    "subcritic/HiddenVelocityCartpoleSwingUp-v0",
)


@pytest.mark.filterwarnings("ignore:.*symmetric and normalized space")
@pytest.mark.parametrize("task", TASKS)
def test_gymnasiums_checker_accepts_the_task(task):
    check_env(gym.make(task).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("task", ["Balance", "SwingUp"])
def test_hiding_velocities_changes_nothing_but_what_is_seen(task):
    hidden = envs.make(f"subcritic/HiddenVelocityCartpole{task}-v0")
    whole = envs.make(f"subcritic/Cartpole{task}-v0")
    assert envs.sizes(hidden) == (3, 1)
    (seen, _), (all_of_it, _) = hidden.reset(seed=3), whole.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(30):
        # Position, velocity / 2, sine, cosine, angular velocity / 5.
        np.testing.assert_array_equal(seen, all_of_it[[0, 2, 3]])
        action = rng.uniform(-1, 1, 1).astype(np.float32)
        seen, *outcome, _ = hidden.step(action)
        all_of_it, *expected, _ = whole.step(action)
        assert outcome == expected


def walk(maze, policy, seed):
    """Observations, rewards and whether each step terminated."""
    seen, _ = maze.reset(seed=seed)
    observations, rewards, ends = [seen], [], []
    while not (ends and ends[-1]):
        seen, reward, terminated, truncated, _ = maze.step(np.array([policy(observations)], np.float32))
        assert not truncated
        observations.append(seen)
        rewards.append(reward)
        ends.append(terminated)
    return np.array(observations), rewards, ends


@pytest.mark.parametrize("length", [1, 5, 20])
def test_the_maze_pays_for_the_cue_at_the_junction_alone(length):
    maze, cues = envs.make("subcritic/TMaze-v0", {"length": length}), set()
    for seed in range(8):
        observations, rewards, ends = walk(maze, lambda seen: 0.5 * seen[0][0], seed)
        cues.add(float(observations[0, 0]))
        assert len(rewards) == length + 1 and ends == [False] * length + [True]
        assert rewards == [0.0] * length + [0.5]
        assert (observations[1:, 0] == 0).all(), "the cue is shown at the start alone"
        assert observations[:-1, 1].tolist() == [0.0] * length + [1.0]
        assert walk(maze, lambda seen: -seen[0][0], seed)[1][-1] == -1
    assert cues == {-1.0, 1.0}


def test_a_maze_that_reminds_shows_its_cue_all_along():
    maze = envs.make("subcritic/TMaze-v0", {"length": 3, "reminds": True})
    observations, _, _ = walk(maze, lambda seen: 0.0, 0)
    assert len(set(observations[:, 0].tolist())) == 1 and observations[0, 0] != 0


def test_a_maze_without_length_is_refused():
    with pytest.raises(ValueError, match="length = 0: the junction must be at least 1 step away"):
        gym.make("subcritic/TMaze-v0", length=0)
