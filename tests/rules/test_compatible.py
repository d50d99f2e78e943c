"""The compatible rule: one V for all neurons of a layer, gradients of what it says, and no bias in its way."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from rule_helpers import (
    BATCH,
    N_IN,
    N_OUT,
    SEEDS,
    SIGMA,
    close,
    draw,
    make_broadcast,
    make_layer,
    make_transition,
    mean_voltage,
    rngs,
)  # fmt: skip

from subcritic.rules.compatible import CompatibleRule
from subcritic.rules.protocol import Broadcast, LocalTransition

CRITIC_RATE, ACTOR_RATE = 0.05, 0.3


def rule(**extra):
    return CompatibleRule(critic_rate=CRITIC_RATE, actor_rate=ACTOR_RATE, discount=0.9, polyak=0.1, **extra)


def opinionated(rule, layer, rng):
    """Critics that are not at zero."""
    critics = rule.init(layer, rngs())
    for tensor in critics.tensors().values():
        tensor.copy_(0.5 * draw(rng, *tensor.shape))
    return critics


class NeuronByNeuron:
    """Every neuron with its own V and its own w, one seed, one neuron, one row at a time."""

    def __init__(self, layer, seed, natural):
        self.sigma, self.natural = SIGMA[layer.activation], natural
        self.k = np.vstack([layer.weight[seed].numpy(), layer.bias[seed].numpy()]).copy()
        self.value, self.w = np.zeros((N_IN + 1, N_OUT)), np.zeros((N_IN + 1, N_OUT))
        self.value_target = self.value.copy()

    def update(self, seen, seed):
        for n in range(N_OUT):
            steps = [self.row(seen, seed, i, n) for i in range(BATCH)]
            value, w, k = (sum(parts) / BATCH for parts in zip(*steps, strict=True))
            self.value[:, n] += CRITIC_RATE * value
            self.w[:, n] += CRITIC_RATE * w
            self.k[:, n] += ACTOR_RATE * (self.w[:, n] if self.natural else k)
        self.value_target += 0.1 * (self.value - self.value_target)

    def row(self, seen, seed, i, n):
        v = np.append(seen.voltage[seed, i].numpy(), 1)
        v_next = np.append(seen.next_voltage[seed, i].numpy(), 1)
        z = torch.tensor(self.k[:, n] @ v, requires_grad=True)
        mean = self.sigma(z)
        mean.backward()
        slope, mean = z.grad.item(), mean.item()
        feature = (seen.alpha[seed, i, n].item() - mean) * slope * v
        going_on = 1 - seen.terminated[seed, i].item()
        target = seen.reward[seed, i].item() + 0.9 * going_on * (self.value_target[:, n] @ v_next)
        surprise = target - self.value[:, n] @ v
        residual = surprise - self.w[:, n] @ feature
        return surprise * v, residual * feature, slope**2 * (self.w[:, n] @ v) * v


@pytest.mark.parametrize("natural", [False, True], ids=["plain", "natural"])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_one_value_per_layer_equals_a_value_per_neuron_over_hundred_updates(activation, natural):
    rng = np.random.default_rng(0)
    layer, compatible = make_layer(activation, rng), rule(natural=natural)
    critics = compatible.init(layer, rngs())
    references = [NeuronByNeuron(layer, seed, natural) for seed in range(SEEDS)]
    start = layer.weight.clone()
    for _ in range(100):
        seen = make_transition(rng, layer)
        compatible.update(critics, layer, seen)
        for seed, reference in enumerate(references):
            reference.update(seen, seed)
    assert (layer.weight - start).abs().max() > 0.01, "the comparison needs weights that moved"
    for seed, reference in enumerate(references):
        assert np.ptp(reference.value, axis=1).max() == 0, "all neurons have the same V"
        close(layer.weight[seed], reference.k[:-1])
        close(layer.bias[seed, 0], reference.k[-1])
        close(critics.weight[seed], reference.w[:-1])
        close(critics.bias[seed, 0], reference.w[-1])
        close(critics.value[seed, :, 0], reference.value[:-1, 0])
        close(critics.target_value[seed, :, 0], reference.value_target[:-1, 0])


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_the_direction_of_k_is_the_gradient_of_the_critics_mean_value_by_autograd(activation):
    """∇_K of mean Q^n(v, μ^n_K(v)), where the critic's own μ and σ' stay those of the weights before."""
    rng = np.random.default_rng(1)
    layer, compatible = make_layer(activation, rng), rule()
    critics, seen = opinionated(compatible, layer, rng), make_transition(rng, layer)
    weight, bias = layer.weight.clone().requires_grad_(), layer.bias.clone().requires_grad_()
    alpha = SIGMA[activation](seen.voltage @ weight + bias)
    compatible.values(critics, layer, seen.voltage, alpha).mean(dim=1).sum().backward()
    for ours, expected in zip(
        compatible.direction(critics, layer, seen), (weight.grad, bias.grad), strict=True
    ):
        close(ours, expected)


def test_the_natural_direction_is_the_fisher_matrix_inverse_times_the_plain_one():
    """For Gaussian noise of unit variance the Fisher matrix is mean(σ'² v v), and the plain step is that times w."""
    rng = np.random.default_rng(2)
    layer, compatible = make_layer("tanh", rng), rule(natural=True)
    critics, seen = opinionated(compatible, layer, rng), make_transition(rng, layer)
    plain_weight, plain_bias = rule().direction(critics, layer, seen)
    slope = 1 - mean_voltage(layer, seen.voltage) ** 2
    v = torch.cat((seen.voltage, torch.ones(SEEDS, BATCH, 1)), dim=-1)
    for n in range(N_OUT):
        fisher = torch.einsum("sb,sbi,sbj->sij", slope[..., n] ** 2, v, v) / BATCH
        w = torch.cat((critics.weight[..., n], critics.bias[..., n]), dim=-1)
        plain = torch.cat((plain_weight[..., n], plain_bias[..., n]), dim=-1)
        close((fisher @ w.unsqueeze(-1)).squeeze(-1), plain)
    assert compatible.direction(critics, layer, seen)[0] is critics.weight


@pytest.mark.parametrize("value_rate", [None, 0.4])
@pytest.mark.parametrize("aim", ["own", "told", "imagined"])
def test_critic_steps_descend_their_squared_residuals_by_autograd(aim, value_rate):
    rng = np.random.default_rng(3)
    layer = make_layer("tanh", rng)
    compatible = rule(
        aim="told" if aim == "told" else "own", imagined=aim == "imagined", value_rate=value_rate
    )
    critics = opinionated(compatible, layer, rng)
    seen, broadcast = make_transition(rng, layer), make_broadcast(rng)
    learned = {name: tensor.clone().requires_grad_() for name, tensor in critics.tensors().items()}
    if aim == "own":
        after = seen.next_voltage @ learned["target_value"] + learned["target_value_bias"]
        target = seen.reward + 0.9 * (1 - seen.terminated) * after.detach()
    else:
        target = broadcast.advantage if aim == "imagined" else broadcast.target
    value = 0 if aim == "imagined" else seen.voltage @ learned["value"] + learned["value_bias"]
    slope = 1 - mean_voltage(layer, seen.voltage) ** 2
    advantage = seen.noise * slope * (seen.voltage @ learned["weight"] + learned["bias"])
    surprise = target - value
    residual = (surprise.detach() if aim != "imagined" else surprise) - advantage
    loss = (residual**2).mean(dim=1).sum() / 2
    if aim != "imagined":
        loss = loss + (surprise**2).mean(dim=1).sum() / 2
    loss.backward()
    found = compatible.learn(critics, layer, seen, broadcast, moves=False)
    close(found, residual)
    rates = dict.fromkeys(("value", "value_bias"), value_rate or CRITIC_RATE)
    for name, rate in (rates | dict.fromkeys(("weight", "bias"), CRITIC_RATE)).items():
        gradient = learned[name].grad
        moved = 0 if gradient is None else rate * gradient
        close(critics.tensors()[name], learned[name].detach() - moved)


def test_by_adam_a_value_of_large_returns_needs_a_rate_of_its_own():
    """A reward of −3 in every state, γ = 0.9: V is −30 everywhere. At 1e-3, 400 updates move a weight by about 0.4."""
    rng = np.random.default_rng(6)
    layer = make_layer("tanh", rng)
    seen = make_transition(rng, layer)
    always = replace(
        seen, reward=-3 * torch.ones_like(seen.reward), terminated=torch.zeros_like(seen.terminated)
    )
    found = {}
    for value_rate in (None, 0.3):
        compatible = rule(optimiser="adam", value_rate=value_rate)
        compatible = replace(compatible, critic_rate=1e-3, actor_rate=0.0)
        critics = compatible.init(layer, rngs())
        for _ in range(400):
            compatible.update(critics, layer, replace(always, next_voltage=seen.voltage.roll(1, dims=1)))
        assert critics.weight.abs().max() < 1, "w keeps critic_rate"
        found[value_rate] = (seen.voltage @ critics.value + critics.value_bias).mean().item()
    assert -1.5 < found[None] < 0
    assert found[0.3] == pytest.approx(-30, rel=0.05)


def test_a_value_that_fits_its_target_at_once_is_slowed_down_by_its_target_copy():
    """V = r + γ V′ after every update leaves V′ at the share 1 − (1 − τ(1 − γ))^U of r / (1 − γ)."""
    layer, updates = make_layer("tanh", np.random.default_rng(7)), 250
    compatible = CompatibleRule(critic_rate=1.0, actor_rate=0.0, discount=0.99, polyak=0.05)
    critics = compatible.init(layer, rngs())
    nothing, one = (torch.full((SEEDS, BATCH, n), value).double() for n, value in ((N_IN, 0.0), (1, 1.0)))
    seen = LocalTransition(nothing, mean_voltage(layer, nothing), -3 * one, 0 * one, nothing)
    for _ in range(updates):
        compatible.update(critics, layer, seen)
    expected = -300 * (1 - (1 - 0.05 * 0.01) ** updates)
    close(critics.target_value_bias, torch.full_like(critics.target_value_bias, expected))


def test_known_noise_gives_what_computing_mu_gives():
    rng = np.random.default_rng(4)
    layer = make_layer("tanh", rng)
    critics, seen = opinionated(rule(), layer, rng), make_transition(rng, layer)
    unknown = LocalTransition(seen.voltage, seen.alpha, seen.reward, seen.terminated, seen.next_voltage)
    for told, untold in zip(
        rule().direction(critics, layer, seen), rule().direction(critics, layer, unknown), strict=True
    ):
        close(told, untold)


def test_regression_on_imagined_noise_finds_the_gradient_of_what_the_noise_causes():
    """A = Σ_n g_n(v) ξ_n: w·v becomes g_n(v)/σ'(z), so that the local error is σ'(z) g_n(v)."""
    rng = np.random.default_rng(5)
    layer = make_layer("tanh", rng, seeds=1)
    compatible = CompatibleRule(critic_rate=1.0, actor_rate=0.1, imagined=True)
    critics = compatible.init(layer, rngs([0]))
    true = draw(rng, 1, N_IN, N_OUT)
    for _ in range(3_000):
        voltage, noise = draw(rng, 1, 32, N_IN), 0.5 * draw(rng, 1, 32, N_OUT)
        mean = mean_voltage(layer, voltage)
        feature = noise * (1 - mean**2)
        broadcast = Broadcast(advantage=(feature * (voltage @ true)).sum(dim=-1, keepdim=True))
        seen = LocalTransition(voltage=voltage, alpha=mean + noise, noise=noise)
        compatible.learn(critics, layer, seen, broadcast, moves=False)
    cosine = torch.cosine_similarity(critics.weight.flatten(), true.flatten(), dim=0)
    assert cosine > 0.95
    assert math.isclose(critics.value.abs().max().item(), 0.0)
