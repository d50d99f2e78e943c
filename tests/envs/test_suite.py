"""The 26 tasks of the suite are environments of good quality, with the dimensions of Table 2."""

import importlib
import subprocess
import sys
import warnings
from pathlib import Path

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from mujoco import rollout
from stable_baselines3.common.env_checker import check_env as stable_baselines3_check_env

from subcritic import envs, provenance
from subcritic.envs import code_of, display, suite
from subcritic.envs.suite import LISTED, TASKS, describe, runners, table2
from subcritic.envs.vector import VectorEnvironment

PROJECT = Path(__file__).parents[2]
EACH = pytest.mark.parametrize("paper", sorted(row["environment"] for row in table2()))
POLICIES = {
    "random": lambda rng, nu, step: rng.uniform(-1, 1, nu),
    "alternating": lambda rng, nu, step: np.full(nu, 1.0 if step % 2 else -1.0),
}


def environment(paper, **settings):
    return gym.make(TASKS[paper].id, **settings).unwrapped


def states(paper, policy, steps):
    """(environment, observation, reward) after each step; a new episode where one ends, or has lasted long enough."""
    task, played = environment(paper), 0
    rng = np.random.default_rng(0)
    while played < steps:
        observation, _ = task.reset(seed=int(rng.integers(2**31)))
        yield task, observation, 0.0
        for step in range(task.task.episode_steps):
            observation, reward, terminated, _, _ = task.step(POLICIES[policy](rng, task.model.nu, step))
            played += 1
            yield task, observation, reward
            if terminated or played == steps:
                break


def test_every_row_of_table_2_is_a_task_of_its_own():
    assert sorted(TASKS) == sorted(row["environment"] for row in table2())
    assert len({task.id for task in TASKS.values()}) == len(TASKS) == 26


def test_the_list_of_tasks_says_what_their_families_say():
    assert {paper: (task.name, task.episode_steps) for paper, task in TASKS.items()} == {
        paper: (entry.name, entry.episode_steps) for paper, entry in LISTED.items()
    }
    families = {
        entry.family: importlib.import_module(f"subcritic.envs.suite.{entry.family}")
        for entry in LISTED.values()
    }
    assert {task.paper: name for name, family in families.items() for task in family.TASKS} == {
        paper: entry.family for paper, entry in LISTED.items()
    }


def test_a_task_is_found_by_its_id():
    assert all(suite.by_id(task.id) is task for task in TASKS.values())
    assert suite.by_id("Pendulum-v1") is None and suite.by_id("cheetah") is None


def test_making_one_task_imports_its_family_and_no_other():
    """In a process of its own, where no other test has imported one."""
    code = """
import sys
from subcritic import envs
def imported():
    return [name for name in ("arms", "poles", "runners") if f"subcritic.envs.suite.{name}" in sys.modules]
assert not imported(), imported()
assert "cheetah" in envs.suite.TASKS and "subcritic/Cheetah-v0" in {entry.id for entry in envs.suite.LISTED.values()}
envs.make("Pendulum-v1")
assert not imported(), imported()
envs.make("subcritic/CartRest-v0")
assert imported() == ["poles"], imported()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_makes_environments_does_not_depend_on_the_code_of_a_family():
    needed = {path.name for path in provenance.sources("envs/make.py") if path.parent.name == "suite"}
    files = code_of("subcritic/CartRest-v0")["files"]
    assert {"envs/suite/environment.py", "envs/suite/task.py", "envs/suite/poles.py"} <= set(files)
    assert not needed & {"arms.py", "arm_models.py", "arm_tasks.py", "poles.py", "runners.py", "parts.py"}


@EACH
def test_state_and_action_dimensions_are_those_of_table_2(paper):
    row = next(row for row in table2() if row["environment"] == paper)
    model = TASKS[paper].model().compile()
    assert (model.nq + model.nv, model.nu) == (int(row["state_dim"]), int(row["action_dim"]))


@EACH
def test_checkers_of_gymnasium_and_stable_baselines3_have_no_complaint(paper):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(environment(paper), skip_render_check=True)
        stable_baselines3_check_env(environment(paper), skip_render_check=True)


@EACH
def test_the_same_seed_and_actions_give_the_same_episode(paper):
    def play(seed):
        task, rng = environment(paper), np.random.default_rng(1)
        seen = [task.reset(seed=seed)[0]]
        for _ in range(20):
            observation, reward, *_ = task.step(rng.uniform(-1, 1, task.model.nu))
            seen.append([*observation, reward])
        return np.concatenate(seen)

    first = play(3)
    np.testing.assert_array_equal(first, play(3))
    assert not np.array_equal(first, play(4))


def assert_sound(paper, policy, steps):
    largest = 0.0
    for task, observation, reward in states(paper, policy, steps):
        assert not task.data.warning.number.any(), "MuJoCo warns"
        assert np.isfinite(observation).all() and np.isfinite(reward) and np.isfinite(task.data.qpos).all()
        largest = max(largest, np.abs(observation).max())
    assert largest <= 10


@EACH
@pytest.mark.parametrize("policy", POLICIES)
def test_motion_stays_finite_and_observations_within_10(paper, policy):
    assert_sound(paper, policy, steps=500)


@pytest.mark.slow
@EACH
@pytest.mark.parametrize("policy", POLICIES)
def test_motion_stays_finite_over_10000_steps(paper, policy):
    """2,000 of each of five side by side, which go through what each would alone (test_vector.py)."""
    made = [envs.make(TASKS[paper].id) for _ in range(5)]
    tasks, together = [each.unwrapped for each in made], VectorEnvironment(made)
    rng, largest, played = np.random.default_rng(0), 0.0, np.zeros(5, int)

    def begin(index):
        played[index] = 0
        return np.abs(together.reset(index, int(rng.integers(2**31)))).max()

    largest = max(begin(index) for index in range(5))
    for _ in range(2_000):
        actions = [
            POLICIES[policy](rng, task.model.nu, step) for task, step in zip(tasks, played, strict=True)
        ]
        found = together.step(np.array(actions, np.float32), range(5))
        played += 1
        assert not found.failed and np.isfinite(found.reward).all()
        for task in tasks:
            assert not task.data.warning.number.any(), "MuJoCo warns"
            assert np.isfinite(task.data.qpos).all()
        largest = max(largest, np.abs(found.observation).max())
        for index in np.flatnonzero(found.terminated | found.truncated):
            largest = max(largest, begin(index))
    together.close()
    assert largest <= 10


@EACH
def test_no_step_earns_more_than_about_1(paper):
    rewards = [reward for policy in POLICIES for _, _, reward in states(paper, policy, 300)]
    assert max(rewards) < 1.5 and len(set(np.round(rewards, 6))) > 100


@EACH
def test_sensors_after_a_step_are_those_of_a_rollout_one_substep_later(paper):
    """Of the stages of position and velocity; a sensor of forces or accelerations is that of the last substep."""
    task = environment(paper)
    task.reset(seed=1)
    kind = mujoco.mjtState.mjSTATE_FULLPHYSICS
    start = np.empty(mujoco.mj_stateSize(task.model, kind))
    mujoco.mj_getState(task.model, task.data, start, kind)
    warmstart = task.data.qacc_warmstart.copy()
    actions = np.random.default_rng(0).uniform(-1, 1, (8, task.model.nu))
    control = np.repeat(actions, task.substeps, axis=0)
    control = np.concatenate([control, control[-1:]])
    _, sensors = rollout.rollout(
        task.model, mujoco.MjData(task.model), start[None], control[None], initial_warmstart=warmstart[None]
    )
    late = np.repeat(
        [int(stage) == int(mujoco.mjtStage.mjSTAGE_ACC) for stage in task.model.sensor_needstage],
        task.model.sensor_dim,
    )
    for step, action in enumerate(actions, start=1):
        task.step(action)
        np.testing.assert_array_equal(task.data.sensordata[~late], sensors[0, step * task.substeps][~late])
        np.testing.assert_array_equal(task.data.sensordata[late], sensors[0, step * task.substeps - 1][late])


@EACH
def test_rewards_and_ends_are_the_same_one_by_one_and_all_at_once(paper):
    task = environment(paper)
    task.reset(seed=0)
    rng, sensors, found = np.random.default_rng(0), [], []
    actions = rng.uniform(-1, 1, (12, task.model.nu))
    for action in actions:
        _, reward, terminated, *_ = task.step(action)
        sensors.append(task.data.sensordata.copy())
        found.append((reward, terminated))
    readings = task.layout.readings(np.reshape(sensors, (3, 4, -1)))
    actions = actions.reshape(3, 4, -1)
    rewards = task.task.reward(readings, actions)
    assert rewards.shape == (3, 4)
    np.testing.assert_allclose(rewards.ravel(), [reward for reward, _ in found], rtol=1e-12, atol=1e-12)
    if task.task.terminated is not None:
        ends = task.task.terminated(readings, actions)
        assert ends.ravel().tolist() == [terminated for _, terminated in found]


@EACH
def test_actions_that_cannot_be_played_are_refused(paper):
    task = environment(paper)
    task.reset(seed=0)
    with pytest.raises(ValueError, match=rf"{TASKS[paper].id}.*\({task.model.nu},\) is needed"):
        task.step(np.zeros(task.model.nu + 1))
    with pytest.raises(ValueError, match=r"is not finite"):
        task.step(np.full(task.model.nu, np.nan))


@pytest.mark.parametrize(
    "paper", sorted(paper for paper, task in TASKS.items() if task.terminated is not None)
)
def test_ending_early_is_never_worth_it(paper):
    """The return of an early end is below that of going on: what a step earns is positive, or the fall costs more."""
    rewards, at_the_end = [], []
    for task, _, reward in states(paper, "random", 1500):
        readings = task.layout.readings(task.data.sensordata)
        ended = bool(TASKS[paper].terminated(readings, task.data.ctrl))
        (at_the_end if ended else rewards).append(reward)
    runs = paper in ("cheetah", "hardCheetah")  # at random as often backwards, which earns less than nothing
    assert np.mean(rewards) > 0 or runs
    assert not at_the_end or np.mean(at_the_end) < np.mean(rewards)


def test_an_unstable_simulation_ends_the_episode_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    task = environment("cheetah")
    task.reset(seed=0)
    task.data.qvel[3] = 1e12
    observation, reward, terminated, _, _ = task.step(np.zeros(6))
    assert terminated and np.isfinite(observation).all() and np.isfinite(reward)
    assert not list(tmp_path.iterdir())


def test_a_serial_chain_hangs_still_and_stands_by_nothing():
    """Angles are to the vertical, and the whole chain's: hanging poles have cosine −1, and only upright ones fall."""
    task = environment("cartpoleSerialTriple")
    task.reset(seed=0)
    task.data.qpos[:] = [0.2, np.pi, 0, 0]
    task.data.qvel[:] = 0
    mujoco.mj_forward(task.model, task.data)
    axes = task.layout.readings(task.data.sensordata)["axes"].reshape(3, 3)
    np.testing.assert_allclose(axes, [[0, 0, -1]] * 3, atol=1e-12)
    task.data.qpos[1:] = [0.3, -0.3, 0.1]
    mujoco.mj_forward(task.model, task.data)
    axes = task.layout.readings(task.data.sensordata)["axes"].reshape(3, 3)
    np.testing.assert_allclose(axes[:, 0], np.sin([0.3, 0.0, 0.1]), atol=1e-12)


def test_only_the_hard_cheetah_lacks_springs():
    soft, hard = (TASKS[name].model().compile() for name in ("cheetah", "hardCheetah"))
    assert (soft.jnt_stiffness[3:] > 0).all() and not hard.jnt_stiffness.any()
    np.testing.assert_array_equal(soft.body_mass, hard.body_mass)


def test_landing_fast_costs_more_than_landing_slowly_or_flying():
    def impact(height, speed):
        return runners.impact({"feet": np.array([0, 0, height]), "feet_velocity": np.array([0, 0, speed])})

    assert impact(0.05, -3) > impact(0.05, -1) > impact(0.05, 0) == impact(0.05, 2) == 0
    assert impact(0.05, -3) > 10 * impact(1.0, -3)


def test_components_are_as_many_as_the_observation_has():
    for task in TASKS.values():
        readings = environment(task.paper)
        observation, _ = readings.reset(seed=0)
        assert task.observe(readings.layout.readings(readings.data.sensordata)).shape == observation.shape


def test_sensors_of_a_group_must_follow_each_other():
    spec = mujoco.MjSpec()
    body = spec.worldbody.add_body()
    body.add_geom(size=[0.1, 0, 0])
    body.add_joint(name="turn")
    for name in ("a/1", "b", "a/2"):
        spec.add_sensor(
            name=name,
            type=mujoco.mjtSensor.mjSENS_JOINTPOS,
            objtype=mujoco.mjtObj.mjOBJ_JOINT,
            objname="turn",
        )
    with pytest.raises(ValueError, match="sensors of 'a' do not follow"):
        suite.SensorLayout(spec.compile())


def test_the_page_of_the_documentation_is_what_the_code_says():
    page = (PROJECT / "docs" / "environments.md").read_text()
    assert page == describe.page(), "write it anew: python -m subcritic.envs.suite.describe"


@pytest.fixture(scope="module")
def drawing():
    try:
        display.renderer(TASKS["pendulum"].model().compile(), 16, 16).close()
    except display.NoPicture as reason:
        pytest.skip(str(reason))


@EACH
def test_render_shows_more_than_the_background(paper, drawing):
    task = environment(paper, render_mode="rgb_array", width=96, height=72)
    task.reset(seed=0)
    picture = task.render().astype(int)
    task.model.geom_rgba[1:, 3] = 0
    empty = task.render().astype(int)
    task.close()
    assert picture.shape == (72, 96, 3)
    changed = np.abs(picture - empty).sum(axis=-1) > 60
    assert 0.003 < changed.mean() < 0.6


def test_an_unknown_render_mode_is_refused():
    with pytest.raises(ValueError, match="'human' is not known"):
        suite.SuiteEnvironment(TASKS["cart"], render_mode="human")
