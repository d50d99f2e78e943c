"""What the studies recurrent and clocks run and record."""

from functools import partial

import pandas as pd
import pytest
import torch

from subcritic import envs, profiles
from subcritic.agents.graph import GraphLearner
from subcritic.agents.recurrent import RecurrentLearner
from subcritic.config import ConfigError
from subcritic.studies import STUDIES
from subcritic.studies.clocks import run as clocks
from subcritic.studies.recurrent import run as recurrent
from subcritic.training.recurrent import trainer_of

PENDULUM = {
    "id": "subcritic/HiddenVelocityPendulum-v0", "name": "Hidden", "observed": "Pendulum-v1", "sequence": 3, "batch_size": 4,
}  # fmt: skip
MAZE = {
    "id": "subcritic/TMaze-v0",
    "name": "Maze",
    "kwargs": {"length": 2},
    "sequence": 4,
    "time_constants": [0.5, 5],
}
SMALL = {"hidden": [6], "learning_starts": 60, "critic_hidden": [8]}
TRAINING = {"steps": 120, "evaluate_every": 60, "evaluation_episodes": 1, "final_episodes": 2}


def profile(**sections):
    given = {
        "recurrent": {
            "environments": [PENDULUM, MAZE], "agent": SMALL, "training": TRAINING,
            "linear": {"algorithm": "linear", "hidden": [6], "batch_size": 8, "learning_starts": 60},
        },
        "clocks": {
            "environments": ["Pendulum-v1"], "agent": {**SMALL, "hidden": [3, 3], "sequence": 3, "batch_size": 4},
            "ticks": [1, 3], "training": TRAINING,
        },
    }  # fmt: skip
    for name, changes in sections.items():
        given[name] = {**given[name], **changes}
    return profiles.parse({
        "profile": "tiny", "seeds": 2, "runtime": {"log_every": 30}, "environments": ["Pendulum-v1"],
        "methods": [{"algorithm": "linear"}], **given,
    })  # fmt: skip


@pytest.fixture(autouse=True)
def denormals(monkeypatch):
    """Other tests need them."""
    monkeypatch.setattr(torch, "set_flush_denormal", lambda on: True)


def test_every_method_of_the_recurrent_study_is_recorded_for_every_seed(tmp_path):
    study = STUDIES["recurrent"]
    for job in study.jobs(profile()):
        files = [pd.read_csv(path) for path in recurrent.run(job, tmp_path)]
        curves, scores = files
        assert list(scores.columns) == list(study.records["scores"].columns)
        assert list(scores.method) == [job.method] * 2 and list(scores.seed) == [0, 1]
        assert scores.score.notna().all()
        if job.method == "random":
            assert job.environment != "Hidden" or scores.score.nunique() == 2, (
                "every seed plays episodes of its own"
            )
            continue
        last = curves[(curves.metric == "return/evaluation") & (curves.step == 120)]
        assert last.value.tolist() == pytest.approx(scores.score.tolist())
        learned = job.method in ("learned-feedback", "no-lags", "random-graph", "feedforward", "observed")
        assert ("agreement/hidden" in set(curves.metric)) == learned


def test_methods_differ_by_what_their_names_say():
    found = {(job.environment, job.method): job.config for job in STUDIES["recurrent"].jobs(profile())}
    mine = found["Hidden", "learned-feedback"].agent
    changed = {
        method: {
            name
            for name in type(mine).model_fields
            if name != "name" and getattr(found["Hidden", method].agent, name) != getattr(mine, name)
        }
        for method in ("backpropagation", "no-lags", "action-only", "random-graph", "feedforward")
    }
    assert changed == {
        "backpropagation": {"learns"}, "no-lags": {"lags"}, "action-only": {"learns"},
        "random-graph": {"connections"}, "feedforward": {"connections"},
    }  # fmt: skip
    assert found["Hidden", "observed"].environment.id == "Pendulum-v1"
    assert ("Maze", "observed") not in found, "nothing was named that shows what the maze hides"
    maze = found["Maze", "learned-feedback"].agent
    assert (maze.sequence, maze.time_constants, maze.trace_steps) == (4, (0.5, 5.0), mine.trace_steps)
    assert found["Maze", "feedforward"].agent.time_constants is None, "a leak would be a memory"
    kinds = {GraphLearner: "learned-feedback", RecurrentLearner: "linear"}
    for kind, method in kinds.items():
        make = trainer_of(found["Hidden", method].agent)
        trainer = make(partial(envs.make, "Pendulum-v1"), 3, 1, [0], 100, 10.0)
        assert type(trainer.agent) is kind


def test_methods_of_the_clocks_study_record_how_far_their_neurons_reach(tmp_path):
    study, reach = STUDIES["clocks"], {}
    for job in study.jobs(profile()):
        curves, scores, found = (pd.read_csv(path) for path in clocks.run(job, tmp_path))
        assert list(scores.method) == [job.method] * 2 and scores.score.notna().all()
        reach[job.method] = found.set_index("layer")["share"].to_dict()
        assert ("agreement_at_once/layer_2" in set(curves.metric)) == ("backpropagation" not in job.method)
    assert reach["common-1-learned-feedback"] == {1: 0.0, 2: 0.0}
    assert reach["common-3-learned-feedback"] == {1: 1.0, 2: 1.0}
    assert 0 < sum(reach["own-1-learned-feedback"].values()) < 2
    assert "own-1-at-once" not in reach and "common-1-at-once" in reach


@pytest.mark.parametrize(
    ("section", "changes", "words"),
    [
        ("recurrent", {"methods": ["learned-feedback"]}, "backpropagation is missing"),
        ("recurrent", {"methods": ["ddpg"]}, "'ddpg' is none; known: learned-feedback"),
        (
            "recurrent",
            {"agent": {"hidden": [6], "learns": "action_only"}},
            "needs learns learned_feedback, not action_only",
        ),
        (
            "recurrent",
            {"linear": {"algorithm": "linear", "hidden": [6], "target": "global_q"}},
            "needs target own_td, not global_q",
        ),
        (
            "recurrent",
            {"linear": {"algorithm": "compatible", "hidden": [6], "trace": 0.5}},
            "needs trace 0, not 0.5",
        ),
        ("recurrent", {"agent": {"connections": "random"}}, "needs connections recurrent, not random"),
        ("recurrent", {"agent": {"ticks": 1}}, "ticks must be above the number of hidden layers, 1"),
        ("recurrent", {"environments": [PENDULUM, PENDULUM]}, "Hidden"),
        (
            "recurrent",
            {"linear": {"algorithm": "linear", "hidden": [5]}},
            "linear: hidden must have 6 neurons in all",
        ),
        (
            "recurrent",
            {"linear": {"algorithm": "linear", "hidden": [6], "noise_scale": [0.1, 0.2]}},
            "linear: noise_scale must be one number",
        ),
        (
            "recurrent",
            {"linear": {"algorithm": "linear", "hidden": [6], "last_layer_init": 0.003}},
            "needs last_layer_init None, not 0.003",
        ),
        ("clocks", {"agent": {"connections": "random"}}, "connections must be recurrent or feedforward"),
        ("clocks", {"ticks": [1, 2, 1]}, "ticks name a number twice: 1, 2, 1"),
        ("clocks", {"agent": {"clocks": "own"}}, "needs clocks common, not own"),
        ("clocks", {"agent": {"lags": 0}}, "needs lags None, not 0"),
    ],
)
def test_what_a_study_cannot_compare_is_refused(section, changes, words):
    with pytest.raises(ConfigError, match=words) as error:
        profile(**{section: changes})
    assert f"config: {section}" in str(error.value)
