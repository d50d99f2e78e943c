"""An environment that cannot be played, or never ends, is refused before anything runs."""

import os
import subprocess
import sys
import time
from ctypes.util import find_library

import gymnasium as gym
import numpy as np
import pytest

from subcritic import config, envs, profiles, workflow
from subcritic.envs import checking


def refusal(*arguments):
    with pytest.raises(envs.UnusableEnvironment) as error:
        envs.check(*arguments)
    return str(error.value)


def test_an_episode_is_played_three_times_alone_and_beside_another_one(package):
    assert envs.check(package.write(limit=200, extra="STEPS = 0", step="global STEPS; STEPS += 1")) == ""
    assert __import__(package.name).STEPS == 5 * checking.STEPS


def test_an_environment_without_an_end_is_refused_with_the_mend(package):
    name = package.write(limit=None)
    assert f"{name!r} has no time limit" in refusal(name) and "`max_episode_steps: 1000`" in refusal(name)
    envs.check(name, None, 50)


def test_an_environment_that_ends_by_itself_needs_no_limit(package):
    ends = "if self.np_random.uniform() < 0.01: return np.zeros(2, np.float32), 0.0, True, False, {}"
    envs.check(package.write(limit=None, step=ends))


def test_an_end_beyond_the_patience_of_the_check_is_none(package, monkeypatch):
    at_30 = "self.n += 1\n        if self.n == 30: return np.zeros(2, np.float32), 0.0, False, True, {}"
    name = package.write(limit=None, reset="self.n = 0", step=at_30)
    monkeypatch.setattr(checking, "PATIENCE", 30)
    envs.check(name)
    monkeypatch.setattr(checking, "PATIENCE", 29)
    assert "29 random actions did not end" in refusal(name)


def test_a_profile_names_the_field_of_an_environment_without_an_end(package):
    name = package.write(limit=None)

    def profile(**more):
        return profiles.parse(
            {"profile": "p", "environments": [{"id": name, **more}], "methods": [{"algorithm": "ddpg"}]}
        )

    envs.check(
        *(
            getattr(profile(max_episode_steps=20).environments[0].task(), key)
            for key in ("id", "kwargs", "max_episode_steps")
        )
    )
    with pytest.raises(config.ConfigError, match=r"my.yaml: environments\[0\].id: .*max_episode_steps"):
        workflow.check_environments(profile(), "my.yaml")


def test_an_environment_is_tried_again_only_when_it_changes(package, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(workflow, "CHECKED", tmp_path / "checked.json")
    tried = []
    check = envs.check
    monkeypatch.setattr(envs, "check", lambda *task: tried.append(task) or check(*task))

    def tell(reset="pass", **more):
        name = package.write(reset=reset)
        entry = {"id": name, **more}
        workflow.check_environments(
            profiles.parse(
                {
                    "profile": "p",
                    "studies": ["experiment2"],
                    "environments": [entry],
                    "methods": [{"algorithm": "ddpg"}],
                }
            ),
            "my.yaml",
        )
        return capsys.readouterr().err

    assert tell() == tell() == "" and len(tried) == 1
    tell(max_episode_steps=7)
    assert len(tried) == 2
    (tmp_path / "checked.json").write_text("{ half a file")
    assert tell() == "" and len(tried) == 3


def test_a_warning_is_told_each_time(package, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(workflow, "CHECKED", tmp_path / "checked.json")
    name = package.write(step="return np.random.uniform(-1, 1, 2), 0.0, False, False, {}")
    profile = profiles.parse({"profile": "p", "environments": [name], "methods": [{"algorithm": "ddpg"}]})
    for _ in range(2):
        workflow.check_environments(profile, "my.yaml")
        said = capsys.readouterr().err
        assert said.startswith(
            f"subcritic: warning: my.yaml: environments[0].id: {name!r} does not repeat itself"
        )


def test_checking_the_whole_suite_takes_seconds_at_most():
    """It runs whenever Snakemake starts: 0.1 s where it was measured."""
    start = time.process_time()
    for entry in envs.suite.LISTED.values():
        envs.check(entry.id)
    assert time.process_time() - start < 5


def test_a_config_entry_and_its_task_make_the_same_environment():
    entry = config.Environment.model_validate(
        {"id": "Pendulum-v1", "kwargs": {"g": 5.0}, "max_episode_steps": 3}
    )
    for made in (envs.maker(entry)(), envs.maker(entry.task())()):
        assert made.unwrapped.g == 5.0
        made.reset(seed=0)
        ends = [made.step(np.zeros(1, np.float32))[3] for _ in range(3)]
        assert ends == [False, False, True]
    unlimited = envs.maker(config.Environment.model_validate("Pendulum-v1"))()
    assert unlimited.spec.max_episode_steps == 200


class Screen(gym.Env):
    """Shows 10 × 10 grey pixels."""

    observation_space = gym.spaces.Box(0, 255, (10, 10, 1), np.uint8)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros((10, 10, 1), np.uint8), {}

    def step(self, action):
        return np.zeros((10, 10, 1), np.uint8), 0.0, False, False, {}


@pytest.fixture
def screen():
    gym.register("Screen-v0", Screen, max_episode_steps=20)
    yield "Screen-v0"
    del gym.registry["Screen-v0"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, ""),
        ({"environments": ["Pendulum-v1"]}, "Pendulum-v1: method ddpg has an encoder, but .* no picture"),
        (
            {"encoder": {"kernels": [8, 4], "strides": [4, 1]}},
            "Screen-v0: method ddpg: kernel 4 .* 1 × 1 pixels",
        ),
        (
            {"studies": ["robustness"]},
            "studies: robustness reads no pictures, and the method ddpg has an encoder",
        ),
        ({"environments": ["Nope-v0"]}, r"environments\[0\].id: unknown environment 'Nope-v0'"),
    ],
)
def test_an_encoder_is_held_against_what_environments_show_before_anything_runs(
    screen, changes, message, monkeypatch, tmp_path
):
    monkeypatch.setattr(workflow, "CHECKED", tmp_path / "checked.json")
    encoder = {"trained": "never", "kernels": [3], "strides": [2]} | changes.pop("encoder", {})
    given = {"profile": "p", "studies": ["experiment2"], "environments": [screen]} | changes
    profile = profiles.parse(given | {"methods": [{"algorithm": "ddpg", "encoder": encoder}]})
    if not message:
        workflow.check_environments(profile, "my.yaml")
        return
    with pytest.raises(config.ConfigError, match=f"my.yaml: {message}"):
        workflow.check_environments(profile, "my.yaml")


@pytest.mark.skipif(find_library("OSMesa") is not None, reason="OSMesa is installed")
def test_a_renderer_that_is_chosen_and_not_installed_is_named(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("profile: p\nenvironments: [Pendulum-v1]\n")
    told = subprocess.run(
        [sys.executable, "-m", "subcritic.cli", "config", path],
        env={**os.environ, "MUJOCO_GL": "osmesa"},
        capture_output=True,
        text=True,
    )
    assert told.returncode and "MUJOCO_GL = 'osmesa'" in told.stderr and "Traceback" not in told.stderr
