"""What is not finite in what an environment gives is the environment's fault: that seed is stopped, the others go on."""

import json
import warnings
from functools import partial

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from subcritic import commands, envs, profiles
from subcritic.agents import make_agent
from subcritic.config import parse_method
from subcritic.measuring.observers import Evaluation
from subcritic.measuring.random_policy import random_returns
from subcritic.studies import STUDIES
from subcritic.studies.experiment2 import run as experiment2
from subcritic.training import Evaluator, Trainer, checkpoint

SMALL = {"hidden": [8, 8], "batch_size": 16, "learning_starts": 60}
DDPG = parse_method({"algorithm": "ddpg", **SMALL})


class Fails(gym.Wrapper):
    """Pendulum; the one that was made as number `number` gives a NaN as observation or reward in the step `at` of every
    episode, or as the first observation of its second one (`what`: reset)
    or its first.
    """

    made = 0

    def __init__(self, what, at, number=0, **options):
        super().__init__(gym.make("Pendulum-v1", **options).unwrapped)
        self.what, self.at, self.episodes = what, at, 0
        self.fails = Fails.made == number
        Fails.made += 1

    def reset(self, **options):
        observation, information = self.env.reset(**options)
        self.steps, self.episodes = 0, self.episodes + 1
        observation = self.broken("first reset", self.episodes == 1, observation)
        return self.broken("reset", self.episodes == 2, observation), information

    def step(self, action):
        self.steps += 1
        observation, reward, *more = self.env.step(action)
        now = self.steps == self.at
        return self.broken("observation", now, observation), self.broken("reward", now, reward), *more

    def broken(self, what, now, value):
        return value * np.nan if self.fails and now and what == self.what else value


@pytest.fixture
def failing(monkeypatch):
    """what, at, number → what makes the environment of a trainer."""
    monkeypatch.setattr(Fails, "made", 0)
    gym.register("Fails-v0", entry_point=Fails, max_episode_steps=200)
    yield lambda *which: partial(
        envs.make, "Fails-v0", dict(zip(("what", "at", "number"), which, strict=False))
    )
    gym.registry.pop("Fails-v0")


def trainer(make_environment, seeds=(0, 1), steps=300, method=DDPG, observers=()):
    agent = make_agent(method, 3, 1, list(seeds))
    loop = getattr(agent, "Trainer", Trainer)
    return loop(agent, make_environment, seeds, steps, divergence_factor=1e6, observers=observers)


@pytest.mark.parametrize("what", ["observation", "reward"])
@pytest.mark.parametrize("algorithm", ["ddpg", "linear", "ars"])
def test_the_seed_is_stopped_and_the_other_goes_on_as_if_nothing_were(failing, what, algorithm):
    method = parse_method({"algorithm": algorithm, **(SMALL if algorithm != "ars" else {"hidden": []})})
    run = trainer(failing(what, 150), method=method)
    with pytest.warns(
        UserWarning, match="'Fails-v0' gave .*nan.* in the training step 150: seed 0 is stopped"
    ):
        run.run()
    assert run.watch.failures[0].startswith("gave ") and run.watch.failures[1] is None
    assert run.watch.diverged_at == [None, None] and run.watch.active == [1]
    whole = trainer(partial(envs.make, "Pendulum-v1"), method=method)
    whole.run()
    assert torch.equal(run.agent.policy().flat[1], whole.agent.policy().flat[1])
    assert run.policy_of(0).isfinite().all()


def test_a_first_observation_that_is_not_finite_counts_as_well(failing):
    run = trainer(failing("reset", 0))
    with pytest.warns(UserWarning, match="with nan at index 0 in the training step 200: seed 0 is stopped"):
        run.run()
    assert run.watch.active == [1]


def test_a_seed_is_stopped_also_where_warnings_are_errors(failing):
    run = trainer(failing("reward", 150))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("error")
        run.run()
    assert [str(each.message) for each in said] == [
        "'Fails-v0' gave the reward nan in the training step 150: seed 0 is stopped"
    ]
    assert run.watch.active == [1]


def test_so_does_the_first_of_all(failing):
    with pytest.warns(
        UserWarning, match="with nan at index 0 before the first training step: seed 0 is stopped"
    ):
        run = trainer(failing("first reset", 0))
    run.run()
    assert run.watch.active == [1] and run.watch.failures[1] is None


def test_who_cannot_do_without_is_told(failing):
    """Random actions, held-out states and trajectories are of one environment: there is no other seed to go on with."""
    with pytest.raises(envs.UnusableEnvironment, match=r"^'Fails-v0' gave the reward nan$"):
        random_returns(failing("reward", 30), episodes=2)
    Fails.made = 0
    with pytest.raises(
        envs.UnusableEnvironment, match=r"^'Fails-v0' gave an observation with nan at index 0$"
    ):
        random_returns(failing("reset", 0), episodes=2)


def test_a_stopped_seed_stays_stopped_when_training_is_resumed(failing, tmp_path):
    make = failing("reward", 100)
    run = trainer(make)
    with pytest.warns(UserWarning, match="seed 0 is stopped"):
        while run.step < 150:
            run.advance()
    checkpoint.save(tmp_path / "c.pt", "key", run.state_dict())
    run.run()
    resumed = trainer(make)
    resumed.load_state_dict(checkpoint.load(tmp_path / "c.pt", "key"))
    assert resumed.watch.failures == run.watch.failures
    resumed.run()
    assert torch.equal(resumed.agent.policy().flat[1], run.agent.policy().flat[1])


def test_if_it_fails_for_all_seeds_there_is_nothing_to_train(failing):
    run = trainer(failing("reward", 100, 0), seeds=[0])
    with pytest.raises(
        envs.UnusableEnvironment, match=r"'Fails-v0' gave the reward nan in the training step 100, as to"
    ):
        run.run()


def test_an_evaluation_that_fails_has_no_score_and_leaves_the_others_theirs(failing):
    seeds, policy = [3, 4], lambda observation: 0.1 * observation[..., :1]
    with Evaluator(failing("reward", 7, 1), seeds, episodes=3) as evaluator:
        played = evaluator.play(policy, step=0)
    assert played.failed == {0: "gave the reward nan"} and np.isnan(played.returns[0]).all()
    with Evaluator(partial(envs.make, "Pendulum-v1"), seeds, episodes=3) as evaluator:
        np.testing.assert_array_equal(played.returns[1], evaluator(policy, step=0)[1])


def test_a_policy_that_is_not_finite_is_no_fault_of_the_environment():
    def policy(observation):
        action = 0.1 * observation[..., :1]
        action[0, 1] = np.nan
        return action

    with Evaluator(partial(envs.make, "Pendulum-v1"), [3, 4], episodes=3) as evaluator:
        played = evaluator.play(policy, step=0)
    assert played.failed == {} and np.isnan(played.returns[0]).all() and np.isfinite(played.returns[1]).all()


def test_a_seed_whose_evaluation_fails_is_stopped(failing):
    settings = profiles.parse(profile("Pendulum-v1")).training
    make = failing("reward", 7, 0)
    log = []
    watching = Evaluation(lambda step, s, metrics: log.append((step, s)), settings, make, [0, 1])
    run = trainer(partial(envs.make, "Pendulum-v1"), observers=[watching], steps=200)
    with pytest.warns(
        UserWarning, match="gave the reward nan in the evaluation at step 0: seed 0 is stopped"
    ):
        run.run()
    assert run.watch.active == [1] and {s for _, s in log} == {1}


def profile(environment, **kwargs):
    return {
        "profile": "p",
        "seeds": 2,
        "environments": [{"id": environment, "kwargs": kwargs}],
        "methods": [{"algorithm": "ddpg", **SMALL}],
        "training": {"steps": 200, "evaluate_every": 100, "evaluation_episodes": 1, "final_episodes": 2},
        "runtime": {"log_every": 50},
    }


def test_the_record_says_what_failed_and_has_no_score(failing, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "set_flush_denormal", lambda on: True)
    # One is made to see its sizes, two times two for evaluations, and then those that are trained in.
    monkeypatch.setattr(envs, "check", lambda *task: "")
    failing()
    (job,) = STUDIES["experiment2"].jobs(profiles.parse(profile("Fails-v0", what="reward", at=120, number=5)))
    with pytest.warns(UserWarning, match="is stopped"):
        _, scores, *_ = experiment2.run(job, tmp_path)
    table = pd.read_csv(scores)
    failed = table["failure"].notna()
    assert failed.sum() == 1 and table["score"].isna().equals(failed) and table["diverged_at"].isna().all()
    assert "gave the reward nan in the training step 120" in set(table["failure"])
    kept = [json.loads(path.read_text()) for path in tmp_path.rglob("score.json")]
    assert sum(score["score"] is None for score in kept) == 1


@pytest.mark.parametrize("log", [True, False], ids=["in the log of a job", "by hand"])
def test_an_error_while_training_is_one_line_and_a_failed_run(log, tmp_path, monkeypatch, capfd):
    """In the log of a job its traceback comes first."""

    class Breaks(gym.Wrapper):
        def step(self, action):
            Breaks.steps += 1
            if Breaks.steps == 150:
                raise RuntimeError("joint 3\nis stuck")
            return self.env.step(action)

    Breaks.steps = 0
    monkeypatch.setattr(torch, "set_flush_denormal", lambda on: True)
    monkeypatch.chdir(tmp_path)
    gym.register("Breaks-v0", lambda: Breaks(gym.make("Pendulum-v1").unwrapped), max_episode_steps=20)
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(profile("Breaks-v0")))
    options = ["--config", "p.yaml", "--environment", "Breaks-v0", "--method", "ddpg"]
    try:
        code = commands.run(["experiment2", *options, *(["--traceback"] if log else [])])
    finally:
        gym.registry.pop("Breaks-v0")
    assert code == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if "seeds," not in line]
    assert lines[-1] == "subcritic: 'Breaks-v0' failed while stepping: RuntimeError: joint 3 is stuck"
    assert (
        (lines[0] == "Traceback (most recent call last):" and "in step" in " ".join(lines))
        if log
        else len(lines) == 1
    )
    statuses = {json.loads(path.read_text())["status"] for path in tmp_path.rglob("run.json")}
    assert statuses == {"FAILED"}
