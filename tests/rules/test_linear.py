"""The linear rule against the drafts' equations written as loops over neurons, and against autograd."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from subcritic import seeding
from subcritic.rules.linear import LinearRule
from subcritic.rules.protocol import Layer, LocalTransition

SEEDS, BATCH, N_IN, N_OUT = 2, 6, 5, 4
CRITIC_RATE, ACTOR_RATE = 0.05, 0.3
RULE = LinearRule(critic_rate=CRITIC_RATE, actor_rate=ACTOR_RATE, discount=0.9, polyak=0.1)
SIGMA = {"tanh": np.tanh, "sigmoid": lambda z: 1 / (1 + np.exp(-z)), "relu": lambda z: np.maximum(z, 0)}
SIGMA_SLOPE = {
    "tanh": lambda z: 1 - np.tanh(z) ** 2,
    "sigmoid": lambda z: SIGMA["sigmoid"](z) * (1 - SIGMA["sigmoid"](z)),
    "relu": lambda z: float(z > 0),
}


def make_layer(activation, rng):
    weight = torch.from_numpy(rng.normal(size=(SEEDS, N_IN, N_OUT)) * 0.5)
    bias = torch.from_numpy(rng.normal(size=(SEEDS, 1, N_OUT)) * 0.5)
    return Layer(weight, bias, weight.clone(), bias.clone(), activation)


def make_transition(rng):
    def draw(*shape):
        return torch.from_numpy(rng.normal(size=shape))

    terminated = torch.from_numpy((rng.random((SEEDS, BATCH, 1)) < 0.3).astype(float))
    v, v_next = draw(SEEDS, BATCH, N_IN), draw(SEEDS, BATCH, N_IN)
    return LocalTransition(v, draw(SEEDS, BATCH, N_OUT), draw(SEEDS, BATCH, 1), terminated, v_next)


class NeuronByNeuron:
    """One seed, one neuron at a time, as the drafts print it (with γ and the terminal mask)."""

    def __init__(self, layer, critics, seed):
        self.k, self.b = layer.weight[seed].numpy().copy(), layer.bias[seed, 0].numpy().copy()
        self.k_target, self.b_target = self.k.copy(), self.b.copy()
        self.theta_v, self.theta_0, self.theta_a = (
            critics.voltage[seed].numpy().copy(),
            critics.bias[seed, 0].numpy().copy(),
            critics.alpha[seed, 0].numpy().copy(),
        )
        self.theta_v_target, self.theta_a_target = self.theta_v.copy(), self.theta_a.copy()
        self.theta_0_target = self.theta_0.copy()
        self.activation = layer.activation

    def update(self, seen, seed):
        sigma, slope = SIGMA[self.activation], SIGMA_SLOPE[self.activation]
        v, alpha = seen.voltage[seed].numpy(), seen.alpha[seed].numpy()
        v_next = seen.next_voltage[seed].numpy()
        r, done = seen.reward[seed, :, 0].numpy(), seen.terminated[seed, :, 0].numpy()
        batch = len(v)
        for n in range(self.k.shape[1]):
            step_v, step_k = np.zeros(self.k.shape[0]), np.zeros(self.k.shape[0])
            step_1, step_a, step_b = 0.0, 0.0, 0.0
            for i in range(batch):
                alpha_next = sigma(self.k_target[:, n] @ v_next[i] + self.b_target[n])
                q_next = self.theta_v_target[:, n] @ v_next[i] + self.theta_0_target[n]
                q_next += self.theta_a_target[n] * alpha_next
                q = self.theta_v[:, n] @ v[i] + self.theta_0[n] + self.theta_a[n] * alpha[i, n]
                d = r[i] + RULE.discount * (1 - done[i]) * q_next - q
                step_v, step_1 = step_v + d * v[i] / batch, step_1 + d / batch
                step_a += d * alpha[i, n] / batch
            self.theta_v[:, n] += CRITIC_RATE * step_v
            self.theta_0[n] += CRITIC_RATE * step_1
            self.theta_a[n] += CRITIC_RATE * step_a
            for i in range(batch):
                error = self.theta_a[n] * slope(self.k[:, n] @ v[i] + self.b[n])
                step_k, step_b = step_k + error * v[i] / batch, step_b + error / batch
            self.k[:, n] += ACTOR_RATE * step_k
            self.b[n] += ACTOR_RATE * step_b
        for name in ("k", "b", "theta_v", "theta_0", "theta_a"):
            target = getattr(self, f"{name}_target")
            target += RULE.polyak * (getattr(self, name) - target)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_hundred_updates_equal_the_loop_over_neurons(activation):
    rng = np.random.default_rng(0)
    layer = make_layer(activation, rng)
    critics = RULE.init(layer, seeding.generators(range(SEEDS), "test"))
    references = [NeuronByNeuron(layer, critics, seed) for seed in range(SEEDS)]
    start = layer.weight.clone()
    for _ in range(100):
        seen = make_transition(rng)
        RULE.update(critics, layer, seen)
        for seed, reference in enumerate(references):
            reference.update(seen, seed)
    assert (layer.weight - start).abs().max() > 0.05, "the comparison needs weights that moved"
    for seed, reference in enumerate(references):
        pairs = {
            "k": layer.weight[seed],
            "b": layer.bias[seed, 0],
            "k_target": layer.target_weight[seed],
            "theta_v": critics.voltage[seed],
            "theta_0": critics.bias[seed, 0],
            "theta_a": critics.alpha[seed, 0],
            "theta_v_target": critics.target_voltage[seed],
            "theta_0_target": critics.target_bias[seed, 0],
            "theta_a_target": critics.target_alpha[seed, 0],
        }
        for name, ours in pairs.items():
            np.testing.assert_allclose(
                ours.numpy(), getattr(reference, name), rtol=0, atol=1e-10, err_msg=name
            )


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_critic_and_actor_steps_equal_autograd(activation):
    rng = np.random.default_rng(1)
    layer, seen = make_layer(activation, rng), make_transition(rng)
    critics = RULE.init(layer, seeding.generators(range(SEEDS), "test"))
    critics.bias.copy_(torch.from_numpy(rng.normal(size=critics.bias.shape)))
    target = RULE.residual(critics, layer, seen) + RULE.values(critics, layer, seen.voltage, seen.alpha)
    theta_v, theta_a = critics.voltage.clone().requires_grad_(), critics.alpha.clone().requires_grad_()
    theta_0 = critics.bias.clone().requires_grad_()
    value = seen.voltage @ theta_v + theta_0 + seen.alpha * theta_a
    (0.5 * (target - value) ** 2).mean(dim=1).sum().backward()
    weight, bias = layer.weight.clone().requires_grad_(), layer.bias.clone().requires_grad_()
    RULE.update(critics, layer, seen)
    expected_v = theta_v.detach() - CRITIC_RATE * theta_v.grad
    torch.testing.assert_close(critics.voltage, expected_v, rtol=0, atol=1e-12)
    expected_1 = theta_0.detach() - CRITIC_RATE * theta_0.grad
    torch.testing.assert_close(critics.bias, expected_1, rtol=0, atol=1e-12)
    expected_a = theta_a.detach() - CRITIC_RATE * theta_a.grad
    torch.testing.assert_close(critics.alpha, expected_a, rtol=0, atol=1e-12)
    sigma = {"tanh": torch.tanh, "sigmoid": torch.sigmoid}[activation]
    own_alpha = sigma(seen.voltage @ weight + bias)
    RULE.values(critics, layer, seen.voltage, own_alpha).mean(dim=1).sum().backward()
    expected_k = weight.detach() + ACTOR_RATE * weight.grad
    torch.testing.assert_close(layer.weight, expected_k, rtol=0, atol=1e-12)
    expected_b = bias.detach() + ACTOR_RATE * bias.grad
    torch.testing.assert_close(layer.bias, expected_b, rtol=0, atol=1e-12)


def test_a_terminal_transition_does_not_bootstrap():
    rng = np.random.default_rng(2)
    layer, seen = make_layer("tanh", rng), make_transition(rng)
    critics = RULE.init(layer, seeding.generators(range(SEEDS), "test"))
    ended = LocalTransition(
        seen.voltage, seen.alpha, seen.reward, torch.ones_like(seen.terminated), seen.next_voltage
    )
    expected = seen.reward - RULE.values(critics, layer, seen.voltage, seen.alpha)
    torch.testing.assert_close(RULE.residual(critics, layer, ended), expected)


def test_what_all_states_have_in_common_is_learned_by_the_bias():
    """Of a reward of −3 in every state, at voltages of mean 0: θ_0 becomes −3 / (1 − γ)."""
    rng = np.random.default_rng(3)
    rule = LinearRule(critic_rate=0.1, actor_rate=0.0, discount=0.9, polyak=0.1)
    layer = replace(make_layer("tanh", rng), bias=torch.zeros(SEEDS, 1, N_OUT, dtype=torch.float64))
    layer.target_bias.zero_()
    critics = rule.init(layer, seeding.generators(range(SEEDS), "test"))
    assert (critics.bias == 0).all()
    half = make_transition(rng).voltage
    v = torch.cat((half, -half), dim=1)
    reward, terminated = torch.full_like(v[..., :1], -3.0), torch.zeros_like(v[..., :1])
    seen = LocalTransition(
        v, torch.tanh(v @ layer.weight), reward, terminated, next_voltage=v.roll(1, dims=1)
    )
    for _ in range(4_000):
        rule.update(critics, layer, seen)
    expected = torch.full_like(critics.bias, -30.0)
    torch.testing.assert_close(critics.bias, expected, rtol=0, atol=1e-6)
    mean = rule.values(critics, layer, v, seen.alpha).mean(dim=1, keepdim=True)
    torch.testing.assert_close(mean, expected, rtol=0, atol=1e-6)
