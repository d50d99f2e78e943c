"""Coagents: a step of the neurons and of their own critics, held against loops over neurons and autograd."""

import numpy as np
import pytest
import torch
from rule_helpers import BATCH, N_OUT, SEEDS, close, draw, make_layer, make_transition, mean_voltage, rngs

from subcritic.rules.coagent import CoagentRule

CRITIC_RATE, ACTOR_RATE, DISCOUNT, POLYAK = 0.01, 0.3, 0.9, 0.1
CRITICS = ["layer", "layer_value", "neuron", "linear"]


def value(params, row, x):
    """A critic of the stack, its `row`-th, at x (B, n), written with torch's functions; ReLU, and a linear last layer."""
    depth = len(params.weights)
    for number, (weight, bias) in enumerate(zip(params.weights, params.biases, strict=True), 1):
        x = x @ weight[row] + bias[row]
        x = torch.relu(x) if number < depth else x
    return x[:, 0]


def seen_by(own_critic, state, alpha, n):
    """What the critic of neuron n reads: `state` alone or with α of the layer or of the neuron, (B, …)."""
    parts = {"layer": [alpha], "neuron": [alpha[:, [n]]]}.get(own_critic, [])
    return torch.cat((state, *parts), dim=-1)


@pytest.mark.parametrize("reads", ["voltage", "observation"])
@pytest.mark.parametrize("own_critic", CRITICS)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_coagents_and_their_critics_step_by_the_critics_td_error(own_critic, reads, activation):
    rng = np.random.default_rng(0)
    layer = make_layer(activation, rng)
    # As after some training: all targets lag.
    for lagging in (layer.target_weight, layer.target_bias):
        lagging += 0.3 * draw(rng, *lagging.shape)
    rule = CoagentRule(
        critic_rate=CRITIC_RATE, actor_rate=ACTOR_RATE, discount=DISCOUNT, polyak=POLYAK,
        own_critic=own_critic, own_critic_hidden=(7, 6), critic_reads=reads,
    )  # fmt: skip
    state, seen = rule.init(layer, rngs()), make_transition(rng, layer)
    network = state.network
    network.target.flat += 0.3 * draw(rng, *network.target.flat.shape)
    network.online.flat += 0.3 * draw(rng, *network.online.flat.shape)
    before, target_before = network.online.flat.clone(), network.target.flat.clone()
    weight, bias = layer.weight.clone(), layer.bias.clone()
    now, after = {
        "voltage": (seen.voltage, seen.next_voltage),
        "observation": (seen.observation, seen.next_observation),
    }[reads]

    leaf = before.clone().requires_grad_()
    online = network.spec.views(leaf)
    neurons = range(N_OUT) if own_critic == "neuron" else [0]
    mean, sigma = mean_voltage(layer, seen.voltage), {"tanh": torch.tanh, "relu": torch.relu}[activation]
    mean_later = sigma(seen.next_voltage @ layer.target_weight + layer.target_bias)
    loss, errors, residuals = 0.0, torch.zeros_like(seen.alpha), []
    for s in range(SEEDS):
        for n in neurons:
            row = s * len(neurons) + n
            later = value(network.target, row, seen_by(own_critic, after[s], mean_later[s], n))
            aim = seen.reward[s, :, 0] + DISCOUNT * (1 - seen.terminated[s, :, 0]) * later
            residual = aim - value(online, row, seen_by(own_critic, now[s], seen.alpha[s], n))
            loss = loss + residual.square().mean()
            residuals.append(residual)
            error = aim - value(online, row, seen_by(own_critic, now[s], mean[s], n))
            for m in [n] if own_critic == "neuron" else range(N_OUT):
                errors[s, :, m] = error.detach() * seen.noise[s, :, m] / seen.noise_variance
    loss.backward()
    z = (seen.voltage @ weight + bias).requires_grad_()
    sigma(z).sum().backward()
    delta = errors * z.grad

    close(rule.local_error(state, layer, seen), delta)
    found = rule.learn(state, layer, seen)

    close(network.gradient.flat, leaf.grad)
    # Adam's first step is the step size down the sign of every slope.
    step = CRITIC_RATE * -leaf.grad / (leaf.grad.abs() + 1e-8)
    close(network.online.flat, before + step)
    close(network.target.flat, target_before + POLYAK * (network.online.flat - target_before))
    close(found, torch.stack(residuals).view(SEEDS, len(neurons), BATCH).mT)
    close(layer.weight, weight + ACTOR_RATE * torch.bmm(seen.voltage.mT, delta) / BATCH)
    close(layer.bias, bias + ACTOR_RATE * delta.mean(dim=1, keepdim=True))
