"""What a rule is given of a minibatch: of each kind of replay, what it says it reads and nothing else."""

from dataclasses import fields

import pytest
import torch

from subcritic.agents import LocalLearner
from subcritic.config import parse_method
from subcritic.replay import Replay
from subcritic.rules import load

REPLAYS = {
    "stored": {"algorithm": "linear"},
    "recomputed": {"algorithm": "coagent", "target": "global_td"},
    "imagined": {"algorithm": "node_perturbation"},
    "imagined separately": {"algorithm": "learned_feedback"},
}


def given(settings):
    """The names of what is not None in what the neurons of a layer see and hear."""
    agent = LocalLearner(settings, 3, 2, [0, 1])
    replay = Replay(2, 8, agent.columns)
    for _ in range(8):
        voltages = agent.act(torch.randn(2, 1, 3))
        replay.add(agent.transition(voltages, torch.randn(2, 1), torch.zeros(2, 1), torch.randn(2, 3)))
    transitions, broadcast = agent.rule_inputs(replay.unpack(replay.rows), agent.noise_rngs)
    return {
        f.name
        for part in (transitions[0], broadcast)
        for f in fields(part)
        if getattr(part, f.name) is not None
    }


@pytest.mark.parametrize(("exploration", "hidden"), [("action", 0.0), ("neuron", 0.01)])
def test_neurons_that_act_without_noise_are_told_that_it_has_no_variance(exploration, hidden):
    settings = parse_method({
        "algorithm": "compatible", "hidden": (5, 4), "replay": "recomputed", "exploration": exploration, "noise": "gaussian",
        "noise_scale": 0.1,
    })  # fmt: skip
    variances = LocalLearner(settings, 3, 2, [0]).memory._noise_variances()
    assert variances == pytest.approx([hidden, hidden, 0.01])


@pytest.mark.parametrize("replay", REPLAYS)
def test_a_rule_is_given_what_it_receives_and_nothing_else(replay, monkeypatch):
    settings = parse_method({"hidden": (5, 4), **REPLAYS[replay]})
    kind = load(settings.algorithm)
    whole = LocalLearner(settings, 3, 2, [0]).rule.receives
    assert given(settings) == whole
    less = whole - {"alpha", "noise_variance", "feedback"}
    monkeypatch.setattr(kind, "receives", property(lambda rule: less))
    assert given(settings) == less
