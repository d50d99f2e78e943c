"""No seed's learning depends on another's, also where that one is not finite."""

import pytest
import torch

from subcritic.agents import make_agent
from subcritic.config import parse_method
from subcritic.replay import Replay
from subcritic.rules import RULES

SMALL = {"hidden": (6, 5), "batch_size": 16}
METHODS = {name: {"algorithm": name} for name in ("ddpg", *RULES)} | {
    f"learned_feedback, {error}": {"algorithm": "learned_feedback", "action_error": error}
    for error in ("coins", "gradient", "control_variate")
} | {
    f"critic {critic}": {"algorithm": "node_perturbation", "critic": critic}
    for critic in ("local_heads", "learned_feedback", "random_features")
} | {
    "feedback by inputs": {"algorithm": "learned_feedback", "feedback_inputs": True},
    "coagent of neurons": {"algorithm": "coagent", "own_critic": "neuron"},
    "coagent, told": {"algorithm": "coagent", "target": "global_td"},
    "running normalisation": {"algorithm": "learned_feedback", "normalisation": "running"},
}  # fmt: skip


def learned(settings, other=None):
    """An agent of two seeds after three updates; other: what all weights of the second one are put to before."""
    agent = make_agent(settings, 3, 1, [0, 1])
    torch.manual_seed(0)
    replay = Replay(2, 40, agent.columns)
    for _ in range(40):
        voltages = agent.act(torch.randn(2, 1, 3))
        replay.add(agent.transition(voltages, torch.randn(2, 1), torch.zeros(2, 1), torch.randn(2, 3)))
    if other is not None:
        agent.policy().flat[1] = other
    for _ in range(3):
        agent.learn(replay.unpack(replay.rows))
    return agent


@pytest.mark.parametrize("other", [torch.nan, torch.inf, 0.5])
@pytest.mark.parametrize("name", METHODS)
def test_what_another_seed_is_changes_nothing(name, other):
    settings = parse_method({**SMALL, **METHODS[name]})
    undisturbed, beside = learned(settings), learned(settings, other)
    assert torch.equal(undisturbed.policy().flat[0], beside.policy().flat[0])
    assert not torch.equal(undisturbed.policy().flat[1], beside.policy().flat[1])
    assert beside.finite()[0]


@pytest.mark.parametrize("changes", [{"feedback_inputs": True}, {"action_error": "control_variate"}])
def test_inputs_that_are_all_0_teach_nothing(changes):
    """As in a corridor of which nothing is seen."""
    agent = make_agent(parse_method({**SMALL, "algorithm": "learned_feedback", **changes}), 3, 1, [0])
    zeros = torch.zeros(1, 16, 3)
    columns = {name: torch.zeros(1, 16, width) for name, width in agent.columns.items()}
    for _ in range(2):
        agent.learn(columns | {"observation": zeros})
    assert agent.finite().all()
