"""Predicted against realised return: what counts, what a right critic scores, and whom it asks."""

from functools import partial

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
import torch

from subcritic import envs, profiles
from subcritic.agents import make_agent
from subcritic.agents.recurrent import RecurrentLearner
from subcritic.config import Evaluations, LocalSettings, parse_method
from subcritic.measuring.observers import Evaluation
from subcritic.measuring.predicted import furthest_off, predicted_and_realised
from subcritic.studies import STUDIES
from subcritic.studies.experiment2.run import run
from subcritic.training import Evaluator, Trainer, checkpoint
from subcritic.training.evaluation import JUDGE_EVERY, Episodes

DISCOUNT = 0.9
PENDULUM = partial(envs.make, "Pendulum-v1")
SMALL = {"hidden": (8, 6), "batch_size": 16, "learning_starts": 20}
EVALUATIONS = Evaluations(evaluate_every=100, evaluation_episodes=2, final_episodes=3)


def episodes(rng, lengths, terminated, reward=None):
    """Episodes of random rewards, or one reward throughout, with a critic of random values at the states asked for."""
    lengths, longest = np.array(lengths), np.max(lengths)
    rewards = (
        rng.normal(size=(longest, *lengths.shape))
        if reward is None
        else np.full((longest, *lengths.shape), reward)
    )
    rewards[np.arange(longest)[:, None, None] >= lengths] = 0.0
    asked = -(-longest // JUDGE_EVERY)
    judged = {"critic": rng.normal(size=(asked, *lengths.shape))}
    last = {"critic": rng.normal(size=lengths.shape)}
    return Episodes(rewards.sum(axis=0), rewards, lengths, np.array(terminated), judged, last, {})


def plain(played, seed):
    """The definition as loops over episodes and steps of one seed: means of (realised, predicted)."""
    realised, predicted = [], []
    for e, length in enumerate(played.length[seed]):
        for t in range(0, length, JUDGE_EVERY):
            beyond = 0.0 if played.terminated[seed, e] else DISCOUNT ** (length - t)
            if beyond <= 0.5:
                realised.append(
                    sum(DISCOUNT ** (k - t) * played.reward[k, seed, e] for k in range(t, length))
                )
                value = played.judged["critic"][t // JUDGE_EVERY, seed, e]
                predicted.append(value - beyond * played.judged_last["critic"][seed, e])
    return np.mean(realised), np.mean(predicted)


def test_the_means_are_those_of_loops_over_episodes_and_steps():
    rng = np.random.default_rng(0)
    played = episodes(rng, [[37, 20, 3], [1, 60, 45]], [[True, False, True], [True, False, True]])
    found = predicted_and_realised(played, DISCOUNT)
    assert set(found) == {"realised", "predicted/critic"}
    for seed in (0, 1):
        realised, predicted = plain(played, seed)
        assert found["realised"][seed] == pytest.approx(realised, abs=1e-10)
        assert found["predicted/critic"][seed] == pytest.approx(predicted, abs=1e-10)


@pytest.mark.parametrize("share", [1.0, 0.12])
def test_a_critic_that_knows_a_share_of_the_value_predicts_that_share_also_before_a_time_limit(share):
    """A reward of −3 in every step that never ends, cut off after 30: V = −30."""
    played = episodes(np.random.default_rng(1), [[30, 30]], [[False, False]], reward=-3.0)
    for values in (played.judged["critic"], played.judged_last["critic"]):
        values[:] = share * -3 / (1 - DISCOUNT)
    found = predicted_and_realised(played, DISCOUNT)
    assert found["predicted/critic"] / found["realised"] == pytest.approx(share, abs=1e-12)
    # Of the states asked for, at steps 0, 10 and 20, all have at least 7 steps left, after which less than half is left.
    assert found["realised"] == pytest.approx(-30 * (1 - np.mean([0.9**k for k in (30, 20, 10)])), abs=1e-12)


def test_where_no_state_counts_there_is_no_number_and_a_diverged_seed_disturbs_nobody():
    played = episodes(np.random.default_rng(2), [[6, 5], [6, 0], [30, 30]], np.zeros((3, 2), bool))
    played.judged["critic"][:, 1] = played.judged_last["critic"][1] = np.inf
    found = predicted_and_realised(played, DISCOUNT)
    assert np.isnan(found["realised"][:2]).all() and np.isnan(found["predicted/critic"][:2]).all()
    assert np.isfinite([found["realised"][2], found["predicted/critic"][2]]).all()


def test_the_critic_that_is_furthest_off_is_that_whose_ratio_is_furthest_from_one():
    means = {
        "realised": -50.0,
        "predicted/critic": -45.0,
        "predicted/layer_1": -6.0,
        "predicted/layer_2": -70.0,
    }
    assert furthest_off(means) == ("layer_1", pytest.approx(0.12))
    assert furthest_off(means | {"predicted/layer_2": -150.0}) == ("layer_2", pytest.approx(3.0))
    assert furthest_off(means | {"predicted/layer_1": np.nan}) == ("layer_2", pytest.approx(1.4))
    for nothing in ({}, means | {"realised": 0.0}, means | {"realised": np.nan}, {"realised": -50.0}):
        critic, ratio = furthest_off(nothing)
        assert critic is None and np.isnan(ratio)


class Countdown(gym.Env):
    """Seven steps per unit of the first observation, rewards 1, 2, 3, …; then it terminates, or from 21 on is cut off."""

    observation_space = gym.spaces.Box(-100, 100, (1,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.length, self.count = 7 * int(self.np_random.integers(1, 5)), 0
        return np.array([self.length], np.float32), {}

    def step(self, action):
        self.count += 1
        over = self.count == min(self.length, 21)
        state = np.array([self.length - self.count], np.float32)
        return state, float(self.count), over and self.length <= 21, over and self.length > 21, {}


def test_an_evaluator_records_what_was_played_and_asks_at_every_tenth_state_and_the_last():
    with Evaluator(Countdown, [0, 1, 2], episodes=4) as evaluator:
        played = evaluator.play(
            torch.zeros_like, 0, active=[0, 2], judge=lambda s: {"critic": s[..., 0].clone()}
        )
        again = evaluator(torch.zeros_like, 0, active=[0, 2])
    np.testing.assert_array_equal(played.returns, again)
    assert np.isnan(played.returns[1]).all() and (played.length[1] == 0).all()
    starts = played.judged["critic"][0]
    assert len(np.unique(starts[[0, 2]])) == 4, "the episodes must differ"
    for s in (0, 2):
        for e in range(4):
            length = int(min(starts[s, e], 21))
            assert played.length[s, e] == length and played.terminated[s, e] == (starts[s, e] <= 21)
            expected = np.where(np.arange(len(played.reward)) < length, np.arange(len(played.reward)) + 1, 0)
            np.testing.assert_array_equal(played.reward[:, s, e], expected)
            for asked, t in enumerate(range(0, length, JUDGE_EVERY)):
                assert played.judged["critic"][asked, s, e] == starts[s, e] - t
            assert played.judged_last["critic"][s, e] == starts[s, e] - length


def agent_of(**changes):
    return make_agent(parse_method({**SMALL, **changes}), 3, 1, [0, 1])


@pytest.mark.parametrize(
    ("changes", "critics"),
    [
        ({"algorithm": "ddpg"}, {"critic"}),
        ({"algorithm": "linear"}, {"layer_1", "layer_2", "layer_3"}),
        ({"algorithm": "mlp"}, {"layer_1", "layer_2", "layer_3"}),
        ({"algorithm": "coagent", "own_critic": "layer"}, {"layer_1", "layer_2", "layer_3"}),
        ({"algorithm": "coagent", "own_critic": "neuron"}, {"layer_1", "layer_2", "layer_3"}),
        ({"algorithm": "coagent", "target": "global_advantage"}, {"critic"}),
        ({"algorithm": "compatible", "target": "global_q"}, {"critic", "layer_1", "layer_2", "layer_3"}),
        ({"algorithm": "compatible", "target": "global_advantage"}, {"critic"}),
        ({"algorithm": "compatible", "replay": "imagined"}, {"critic"}),
        ({"algorithm": "learned_feedback", "critic": "random_features"}, {"critic"}),
        ({"algorithm": "random_direction"}, set()),
    ],
)  # fmt: skip
def test_every_critic_that_predicts_returns_is_asked_at_what_the_policy_does(changes, critics):
    agent = agent_of(**changes)
    observation = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = agent.predictions(observation)
        assert set(found) == critics and all(value.shape == (2, 5) for value in found.values())
        h = agent.act(observation).h
        for name, value in found.items():
            if name == "critic" and changes["algorithm"] == "ddpg":
                expected = agent.critic.forward(observation, h[-1]).output[..., 0]
            elif name == "critic":
                expected = agent.global_critic.values(observation, h[-1])[..., 0]
            else:
                n = int(name[-1])
                values = agent.rule.values(agent.rule_states[n - 1], agent.layers[n - 1], h[n - 1], h[n])
                expected = values.mean(dim=-1)
            torch.testing.assert_close(value, expected)


def test_a_recurrent_learner_has_no_critic_of_observations():
    agent = RecurrentLearner(LocalSettings(algorithm="linear", exploration="neuron", **SMALL), 3, 1, [0])
    assert agent.predictions(torch.zeros(1, 4, 3)) == {}


class Logged(dict):
    def __call__(self, step, seed, metrics):
        self.update({(name, step, seed): value for name, value in metrics.items()})


def training(log, **changes):
    found = Trainer(agent_of(**changes), PENDULUM, [0, 1], 200, 10.0)
    found.observers = [Evaluation(log, EVALUATIONS, PENDULUM, [0, 1])]
    return found


def test_at_every_evaluation_the_metrics_are_those_of_episodes_played_by_hand():
    log = Logged()
    trainer = training(log, algorithm="linear")
    trainer.run()
    steps, names = (0, 100, 200), ("realised", *(f"predicted/layer_{n}" for n in (1, 2, 3)))
    assert set(log) == {
        (name, step, s) for name in ("return/evaluation", *(f"value/{n}" for n in names)) for step in steps for s in (0, 1)
    }  # fmt: skip
    agent = trainer.agent
    with torch.no_grad(), Evaluator(PENDULUM, [0, 1], 3) as evaluator:
        played = evaluator.play(trainer.policy(), 200, judge=agent.predictions)
    found = predicted_and_realised(played, agent.settings.discount)
    for s in (0, 1):
        mine = {name: found[name][s] for name in names}
        assert {name: log[f"value/{name}", 200, s] for name in names} == pytest.approx(mine)
        critic, ratio = trainer.observers[0].furthest[s]
        assert (critic, ratio) == furthest_off(mine)
        assert log["value/realised", 200, s] < -50 and abs(ratio) < 0.5, "200 plain steps reach nothing"


def test_an_evaluation_restored_from_a_checkpoint_knows_what_it_found(tmp_path):
    first, second = training(Logged(), algorithm="linear"), training(Logged(), algorithm="linear")
    first.run()
    checkpoint.save(tmp_path / "c.pt", "key", first.observers[0].state_dict())
    second.observers[0].load_state_dict(checkpoint.load(tmp_path / "c.pt", "key"))
    assert second.observers[0].furthest == first.observers[0].furthest
    assert second.observers[0].scores == first.observers[0].scores


def test_scores_say_which_critic_was_furthest_off_and_what_it_reached(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "set_flush_denormal", lambda on: True)
    small = {"hidden": [8], "batch_size": 8, "learning_starts": 60}
    methods = [{"algorithm": name, "name": name, **small} for name in ("linear", "random_direction")]
    profile = profiles.parse({
        "profile": "tiny", "seeds": 2, "environments": ["Pendulum-v1"], "methods": methods,
        "training": {"steps": 100, "evaluate_every": 100, "evaluation_episodes": 1, "final_episodes": 2},
    })  # fmt: skip
    study = STUDIES["experiment2"]
    for name in ("linear", "random_direction"):
        curves, scores, *_ = run(study.job(profile, "Pendulum-v1", name), tmp_path)
        scores, curves = pd.read_csv(scores), pd.read_csv(curves)
        assert tuple(scores.columns) == study.records["scores"].columns
        if name == "random_direction":
            assert scores.critic.isna().all() and scores.reached.isna().all()
            assert not curves.metric.str.startswith("value/").any()
            continue
        last = curves[curves.step == 100].set_index(["metric", "seed"]).value
        for row in scores.itertuples():
            ratio = last[f"value/predicted/{row.critic}", row.seed] / last["value/realised", row.seed]
            assert row.reached == pytest.approx(ratio)
