"""The critic of a whole agent of local learners: what it tells them, and how it learns without backpropagation."""

import numpy as np
import pytest
import torch
from local_helpers import SMALL, filled, learner

from subcritic.agents import LocalLearner
from subcritic.config import parse_method


@pytest.mark.parametrize("name", ["imagined", "imagined-heads"])
def test_a_critic_that_is_not_finite_is_found_for_its_seed_alone(name):
    agent = learner(name)
    critic = agent.global_critic
    weights = critic.online if name == "imagined-heads" else critic.network.online.flat
    weights[1, 0] = float("nan")
    assert agent.finite().tolist() == [True, False]


@pytest.mark.parametrize("target", ["global_td", "global_q", "global_advantage"])
def test_the_broadcast_target_is_what_its_name_says(target):
    agent = LocalLearner(
        parse_method(SMALL | {"algorithm": "linear", "target": target}), 3, 2, [0, 1], torch.float64
    )
    batch = filled(agent)
    agent.learn(batch)
    whole, critic = agent.agent_batch(batch), agent.global_critic
    broadcast = agent.rule_inputs(batch, agent.noise_rngs)[1]
    own = agent.actor.forward(agent.online, whole.observation).output
    after = agent.actor.forward(agent.target, whole.next_observation).output
    q = critic.values(whole.observation, whole.action)
    expected = {
        "global_td": whole.reward + 0.99 * critic.values(whole.next_observation, after, target=True),
        "global_q": q,
        "global_advantage": q - critic.values(whole.observation, own),
    }[target]
    torch.testing.assert_close(broadcast.target, expected)
    assert broadcast.advantage is None and broadcast.feedback is None
    assert broadcast.target.shape == (2, 30, 1)


@pytest.mark.parametrize("target", ["global_td", "global_advantage"])
def test_the_error_of_coagents_is_that_of_the_global_critic_that_is_named(target):
    agent = LocalLearner(
        parse_method(SMALL | {"algorithm": "coagent", "target": target}), 3, 2, [0, 1], torch.float64
    )
    batch = filled(agent)
    batch["terminated"] = (torch.rand_like(batch["terminated"]) < 0.5).to(batch["terminated"].dtype)
    agent.learn(batch)
    whole, critic = agent.agent_batch(batch), agent.global_critic
    own = agent.actor.forward(agent.online, whole.observation).output
    after = agent.actor.forward(agent.target, whole.next_observation).output
    later = critic.values(whole.next_observation, after, target=True)
    value = {
        "global_td": whole.reward + 0.99 * (1 - whole.terminated) * later,
        "global_advantage": critic.values(whole.observation, whole.action),
    }[target]
    broadcast = agent.rule_inputs(batch, agent.noise_rngs)[1]
    torch.testing.assert_close(broadcast.advantage, value - critic.values(whole.observation, own))
    assert whole.terminated.any() and not whole.terminated.all()


@pytest.mark.parametrize("name", ["imagined-heads", "imagined-features"])
def test_a_critic_without_backpropagation_steps_along_autograd_of_its_own_layers(name):
    """Of local heads: the gradient of each head's loss by its layer alone, the input taken as given."""
    agent = learner(name, critic_hidden=(6, 4))
    critic, batch = agent.global_critic, filled(agent)
    x, action = batch["observation"], batch["action"]
    target = torch.randn(2, 30, 1, dtype=torch.float64)
    if name == "imagined-heads":
        trunk, heads = critic._own
        leaves = [trunk.flat, *(head.flat for head in heads)]
        leaves = [leaf.clone().requires_grad_() for leaf in leaves]
        trunk = critic.trunk.views(leaves[0])
        heads = [spec.views(leaf) for spec, leaf in zip(critic.head_shapes, leaves[1:], strict=True)]
        v, loss = torch.cat((x, action), dim=-1), 0.0
        for weight, bias, head in zip(trunk.weights, trunk.biases, heads, strict=True):
            h = torch.relu(v.detach() @ weight + bias)
            loss = loss + ((target - h @ head.weights[0] - head.biases[0]) ** 2 / 2).mean(dim=1).sum()
            v = h
    else:
        leaves = [critic.online.clone().requires_grad_()]
        readout = critic.readout.views(leaves[0])
        features = torch.relu(torch.cat((x, action), dim=-1) @ critic.weight + critic.bias)
        value = features @ readout.weights[0] + readout.biases[0]
        loss = ((target - value) ** 2 / 2).mean(dim=1).sum()
    loss.backward()
    before, target_before = critic.online.clone(), critic.target.clone()
    critic.fit(x, action, target)
    torch.testing.assert_close(critic.target, target_before.lerp(critic.online, critic.polyak))
    expected = torch.cat([leaf.grad for leaf in leaves], dim=1)
    torch.testing.assert_close(critic.gradient, expected, rtol=0, atol=1e-10)
    assert not torch.equal(critic.online, before)


def test_a_critic_with_learned_feedback_steps_along_autograd_when_the_feedback_is_the_readout():
    agent = learner("imagined-feedback", critic_hidden=(6,))
    critic, batch = agent.global_critic, filled(agent)
    critic.rate = 0.0
    critic.feedback[0].copy_(critic.spec.views(critic.online).weights[1].mT)
    target = torch.randn(2, 30, 1, dtype=torch.float64)
    leaf = critic.online.clone().requires_grad_()
    named = critic.spec.views(leaf)
    h = torch.cat((batch["observation"], batch["action"]), dim=-1)
    h = torch.relu(h @ named.weights[0] + named.biases[0])
    value = h @ named.weights[1] + named.biases[1]
    ((target - value) ** 2 / 2).mean(dim=1).sum().backward()
    critic.fit(batch["observation"], batch["action"], target)
    torch.testing.assert_close(critic.gradient, leaf.grad, rtol=0, atol=1e-10)


def test_the_feedback_of_a_critic_becomes_the_mean_effect_of_each_neuron_on_the_value():
    agent = learner("imagined-feedback", seeds=(0,), critic_hidden=(6, 4))
    critic, batch = agent.global_critic, filled(agent)
    x, action = batch["observation"].repeat(1, 20, 1), batch["action"].repeat(1, 20, 1)
    for _ in range(300):
        critic._learn_feedback(x, action)
    weights, biases = critic._own.weights, critic._own.biases
    first = torch.relu(torch.cat((x, action), dim=-1) @ weights[0] + biases[0]).requires_grad_()
    (torch.relu(first @ weights[1] + biases[1]) @ weights[2]).sum().backward()
    expected = [first.grad.mean(dim=1, keepdim=True), weights[2].mT]
    for found, effect in zip(critic.feedback, expected, strict=True):
        torch.testing.assert_close(found, effect, rtol=0, atol=0.02)


@pytest.mark.parametrize("kind", ["backprop", "learned_feedback", "local_heads", "random_features"])
def test_every_global_critic_learns_a_value_that_depends_on_state_and_action(kind):
    settings = parse_method(
        {"algorithm": "node_perturbation", "hidden": (32, 32), "critic": kind, "global_critic_rate": 3e-3}
    )
    agent, rng = LocalLearner(settings, 3, 1, [0]), torch.Generator().manual_seed(0)

    def draw():
        x, a = torch.randn(1, 64, 3, generator=rng), 2 * torch.rand(1, 64, 1, generator=rng) - 1
        return x, a, (x[..., :1] - a) ** 2

    for _ in range(1_500):
        agent.global_critic.fit(*draw())
    x, a, y = draw()
    found = agent.global_critic.values(x, a)
    assert np.corrcoef(found.flatten(), y.flatten())[0, 1] > 0.95
