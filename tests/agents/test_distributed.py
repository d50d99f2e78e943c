"""Layers in processes of their own: they learn what one process learns, and what crosses between them is counted."""

import multiprocessing
import os
import signal

import pytest
import torch

from subcritic.agents import LocalLearner, links
from subcritic.agents.ddpg import DDPG
from subcritic.agents.distributed import DistributedLearner
from subcritic.config import parse_method
from subcritic.nn import compiled
from subcritic.replay import Replay
from subcritic.studies.asynchronous import messages

HIDDEN, OBSERVATION, ACTION, BATCH, UPDATES = (12, 10, 8), 5, 2, 16, 20
SIZE = {"hidden": HIDDEN, "batch_size": BATCH}
SEEDS = [3, 4]


@pytest.fixture(autouse=True)
def torch_alone():
    """As in the layers' processes."""
    with compiled.off(), torch.no_grad():
        yield


def feedback(**changes):
    settings = {"algorithm": "learned_feedback", "optimiser": "adam", "actor_rate": 1e-3}
    return parse_method({**settings, **SIZE, **changes})


def trained(plain, distributed):
    """Both, after the same minibatches; what the layers keep, and what crossed."""
    torch.manual_seed(0)
    replay = Replay(len(SEEDS), BATCH, plain.columns)
    for _ in range(UPDATES):
        replay.rows.uniform_(-1, 1)
        rows = replay.unpack(replay.rows.clone())
        rows["terminated"].gt_(0.8)
        plain.learn(rows)
        distributed.learn(plain.agent_batch(rows))
    return distributed.states(), distributed.crossed()


def counted_as_computed(crossed, backpropagate):
    """Every link has carried what the formula says, in as many messages and as many one after the other."""
    found = messages.messages((OBSERVATION, *HIDDEN, ACTION), BATCH, backpropagate)
    expected = {(m.what, m.source, m.target): UPDATES * len(SEEDS) * m.bytes for m in found}
    assert crossed.bytes == expected
    assert crossed.messages == UPDATES * len(found)
    assert crossed.exchanges == messages.exchanges(found)


@pytest.mark.parametrize(
    "changes", [{}, {"action_error": "gradient", "optimiser": "sgd", "feedback_inputs": True}]
)
def test_layers_in_processes_learn_by_learned_feedback_what_one_process_learns(changes):
    """But for rounding in float32: Adam and target copies step all layers at once there, and each alone here."""
    plain = LocalLearner(feedback(**changes), OBSERVATION, ACTION, SEEDS)
    start = plain.online.flat.clone()
    with DistributedLearner(feedback(**changes), OBSERVATION, ACTION, SEEDS) as distributed:
        states, crossed = trained(plain, distributed)
        observation = torch.rand(2, 3, OBSERVATION)
        torch.testing.assert_close(distributed.act(observation), plain.act(observation).output)
    assert (plain.online.flat - start).abs().max() > 1e-4
    for k, (state, mine) in enumerate(zip(states, plain.rule_states, strict=True)):
        torch.testing.assert_close(state["weight"], plain.online.weights[k], rtol=0, atol=5e-7)
        torch.testing.assert_close(state["bias"], plain.online.biases[k], rtol=0, atol=5e-7)
        torch.testing.assert_close(state["feedback"], mine.weight, rtol=0, atol=1e-6)
    critics = [agent.network.online.flat for agent in (distributed.critic, plain.global_critic)]
    torch.testing.assert_close(*critics, rtol=0, atol=1e-6)
    counted_as_computed(crossed, backpropagate=False)


def test_layers_in_processes_backpropagate_what_ddpg_does():
    settings = {"algorithm": "ddpg", "activation": "tanh", "actor_rate": 1e-3, "critic_rate": 1e-3}
    plain = DDPG(parse_method({**settings, **SIZE}), OBSERVATION, ACTION, SEEDS)
    with DistributedLearner(feedback(), OBSERVATION, ACTION, SEEDS, backpropagate=True) as distributed:
        states, crossed = trained(plain, distributed)
    for state, weight in zip(states, plain.policy().weights, strict=True):
        torch.testing.assert_close(state["weight"], weight, rtol=0, atol=5e-7)
    counted_as_computed(crossed, backpropagate=True)


def test_the_end_of_a_layers_process_is_noticed():
    with DistributedLearner(feedback(), OBSERVATION, ACTION, SEEDS) as distributed:
        distributed.act(torch.rand(2, 1, OBSERVATION))
        process = distributed._processes[1]
        os.kill(process.pid, signal.SIGKILL)
        process.join(timeout=20)
        for use in (lambda: distributed.act(torch.rand(2, 1, OBSERVATION)), distributed.crossed):
            with pytest.raises(RuntimeError, match="the process of layer 2 ended with exit code -9"):
                use()
    assert not any(process.is_alive() for process in distributed._processes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"algorithm": "node_perturbation"}, "algorithm learned_feedback, not node_perturbation"),
        ({"feedback_rule": "correlation"}, "feedback_rule residual, not correlation"),
        ({"action_error": "coins"}, "action_error one_by_one or gradient, not coins"),
        ({"draws": 2}, "draws 1, not 2"),
    ],
)
def test_what_layers_in_processes_cannot_learn_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        DistributedLearner(feedback(**changes), OBSERVATION, ACTION, SEEDS)


def test_the_time_on_links_is_that_of_the_steps_by_hand():
    """Two layers, 1 observation, 2 hidden neurons, 1 action, 1 row; latency 1 s, 4 bytes per second: one number each."""
    rule, other = (messages.messages((1, 2, 1), 1, backpropagate) for backpropagate in (False, True))
    # s and s′; two voltages three times, and the expectation; the action twice, and the deviation; the error to two layers.
    assert messages.seconds(rule, 1.0, 4.0) == (1 + 2) + (1 + 7) + (1 + 3) + (1 + 2)
    # s and s′; twice two voltages; the action twice; the error; the error of two voltages.
    assert messages.seconds(other, 1.0, 4.0) == (1 + 2) + (1 + 4) + (1 + 2) + (1 + 1) + (1 + 2)
    assert (messages.exchanges(rule), messages.exchanges(other)) == (4, 5)


def test_a_message_waits_until_the_one_before_was_read_and_one_who_waits_looks_around(monkeypatch):
    monkeypatch.setattr(links, "LOOK_EVERY", 0.01)
    link = links.Link(multiprocessing.get_context("forkserver"), numbers=4)

    def look():
        raise RuntimeError("nobody reads")

    link.send([torch.tensor([1.0, 2.0]), torch.tensor([3.0])], 5, look)
    with pytest.raises(RuntimeError, match="nobody reads"):
        link.send([torch.zeros(4)], 6, look)
    (first, second), clock = link.receive([(1, 2), (1,)], look)
    assert first.tolist() == [[1.0, 2.0]] and second.tolist() == [3.0] and clock == 5
    assert (link.bytes, link.messages) == (12, 1)
