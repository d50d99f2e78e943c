"""What the study asynchronous runs and records; how fast a machine is, no test can claim."""

import threading

import numpy as np
import pandas as pd
import pytest
import torch

from subcritic import profiles
from subcritic.agents import LocalLearner
from subcritic.agents.asynchronous import AsynchronousLearner
from subcritic.studies import STUDIES
from subcritic.studies.asynchronous import run as asynchronous
from subcritic.studies.asynchronous import speed

SMALL = {"hidden": [8], "batch_size": 8, "learning_starts": 60}
TRAINING = {
    "steps": 200,
    "evaluate_every": 100,
    "evaluation_episodes": 1,
    "final_episodes": 2,
}
CART = [{"id": "subcritic/Cart-v0", "name": "Cart-v0"}]


@pytest.fixture
def profile():
    return profiles.parse({
        "profile": "tiny", "seeds": 2, "runtime": {"log_every": 50}, "environments": ["Pendulum-v1"],
        "methods": [{"algorithm": "linear"}],
        "asynchronous": {
            "environments": CART, "training": TRAINING, "lag": 4,
            "agents": [{"algorithm": name, **SMALL} for name in ("linear", "learned_feedback")],
            "speed": {"hidden": [[8, 6]], "batches": [4], "rounds": 3, "seconds": 0.002},
            "distributed": {"counted": [[8, 6]], "batch": 4},
        },
    })  # fmt: skip


@pytest.fixture(autouse=True)
def denormals(monkeypatch):
    """Other tests need them."""
    monkeypatch.setattr(torch, "set_flush_denormal", lambda on: True)


def test_both_ways_of_learning_are_recorded_for_every_seed(profile, tmp_path):
    files = {
        path.name: pd.read_csv(path)
        for path in asynchronous.run(STUDIES["asynchronous"].job(profile), tmp_path)
    }
    scores = files["scores.csv"]
    ways = [
        f"{rule}-{way}" for rule in ("linear", "learned-feedback") for way in ("synchronous", "asynchronous")
    ]
    assert list(scores.method) == [way for way in ways for _ in range(2)]
    assert list(scores.seed) == [0, 1] * 4 and np.isfinite(scores.score).all()
    curves = files["curves.csv"]
    last = curves[(curves.metric == "return/evaluation") & (curves.step == 200)]
    np.testing.assert_allclose(last.value, scores.score)
    lag = files["lag.csv"]
    assert list(lag.method) == ways[1::2] and set(lag.environment) == {"Cart-v0"}
    assert (lag.updates == 200 - 60 + 1).all()
    assert ((lag["mean"] >= 0) & (lag["mean"] <= lag.largest) & (lag.largest <= 4)).all()
    sent = files["messages.csv"]
    assert list(sent.learner) == ["learned-feedback", "ddpg"] and set(sent.hidden) == {"8-6"}
    assert list(sent.exchanges) == [5, 7]


def test_every_learner_is_measured_in_every_round_and_its_threads_end(profile):
    before = threading.active_count()
    measured = speed.measure(profile.asynchronous.speed, threads=2)
    assert threading.active_count() == before
    rules = ("linear", "learned-feedback", "node-perturbation")
    learners = {"ddpg", "linear-layers-2", *rules}
    learners |= {f"{rule}-{how}-2" for rule in rules for how in ("threads", "copies")}
    assert all(set(rows.learner) == learners for _, rows in measured.groupby("round"))
    assert (measured.updates_per_second > 0).all() and len(measured) == 3 * len(learners)


def test_updates_of_copies_are_those_of_all_of_them(profile, monkeypatch):
    def timed(learners, _):
        return [{"learner": name, "round": 1, "updates_per_second": 10.0} for name in learners]

    monkeypatch.setattr(speed.timing, "take_turns", timed)
    found = speed.measure(profile.asynchronous.speed, threads=2).set_index("learner")["updates_per_second"]
    assert found["linear-copies-2"] == found["node-perturbation-copies-2"] == 20
    assert found["ddpg"] == found["linear-threads-2"] == found["learned-feedback"] == 10


def test_n_updates_are_n_of_every_piece_and_of_every_copy(monkeypatch):
    done = {"pieces": [], "whole": 0}
    learn_piece, learn = AsynchronousLearner.learn_piece, LocalLearner.learn

    def counting_pieces(self, piece, batch):
        learn_piece(self, piece, batch)
        done["pieces"].append((len(self.groups), piece))

    def counting_whole(self, batch):
        learn(self, batch)
        done["whole"] += 1

    monkeypatch.setattr(AsynchronousLearner, "learn_piece", counting_pieces)
    monkeypatch.setattr(LocalLearner, "learn", counting_whole)
    with speed.contenders((8,), 4, 2) as learners:
        learners["linear-threads-2"](5)
        assert sorted(done["pieces"]) == [(2, 0)] * 5 + [(2, 1)] * 5
        done["pieces"].clear()
        learners["learned-feedback-threads-2"](5)
        assert sorted(done["pieces"]) == [(1, 0)] * 5 + [(1, 1)] * 5, "all neurons, and the critic"
        learners["node-perturbation-copies-2"](6)
        assert done["whole"] == 2 * 6
