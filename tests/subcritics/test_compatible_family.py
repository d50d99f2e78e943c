"""Compatible sub-critics learn beside an actor that stays as it is; a regression finds what v tells."""

import pytest
import torch

from subcritic import seeding
from subcritic.nn import MLP
from subcritic.subcritics import CompatibleSubCritics
from subcritic.subcritics.regression import regression

ACTOR = MLP((3, 6, 2), "tanh", "tanh")
SEEDS = [0, 1]


def critics(aim, rate=1e-2):
    params = ACTOR.init(seeding.generators(SEEDS, "actor"))
    found = CompatibleSubCritics(
        ACTOR, params, params, aim, rate, 0.9, 0.1, seeding.generators(SEEDS, "critics")
    )
    return params, found


def noisy(params, scale, batch=64):
    noise = [scale * torch.randn(len(SEEDS), batch, width) for width in ACTOR.sizes[1:]]
    return ACTOR.forward(params, torch.randn(len(SEEDS), batch, 3), perturbation=noise), noise


def test_the_slope_is_the_derivative_of_the_values():
    params, found = critics("own")
    torch.manual_seed(0)
    for layer, state in enumerate(found.critics, 1):
        state.weight.normal_(), state.bias.normal_(), state.value.normal_()
        h = noisy(params, 0.3)[0].h
        alpha = h[layer].clone().requires_grad_()
        found.values(layer, h[layer - 1], alpha).sum().backward()
        torch.testing.assert_close(found.action_gradient(layer, h[layer - 1]), alpha.grad)


def test_with_noise_and_the_true_advantage_they_learn_the_slope():
    """A = 2 ξ_1 of layer 1's neuron 1: its slope is 2 where σ'(z) lets it through, and that of the others is 0."""
    params, found = critics("told")
    torch.manual_seed(0)
    for _ in range(1500):
        voltages, noise = noisy(params, 0.3)
        nothing = torch.zeros(len(SEEDS), 64, 1)
        found.learn(voltages.h, voltages.h, nothing, nothing, told=2 * noise[0][..., 1:2])
    h = ACTOR.forward(params, torch.randn(len(SEEDS), 500, 3)).h
    slopes = found.action_gradient(1, h[0]).mean(dim=(0, 1))
    assert slopes[1] == pytest.approx(2, abs=0.4)
    assert slopes[[0, 2, 3, 4, 5]].abs().max() < 0.3


def test_the_actor_is_not_moved_and_a_copy_goes_on_the_same():
    params, found = critics("own")
    before = params.flat.clone()
    torch.manual_seed(0)
    voltages, _ = noisy(params, 0.3)
    reward = torch.randn(len(SEEDS), 64, 1)
    seen = (voltages.h, voltages.h, reward, torch.zeros_like(reward))
    found.learn(*seen)
    _, copy = critics("own")
    copy.load_state_dict(found.state_dict())
    torch.testing.assert_close(found.learn(*seen), copy.learn(*seen), rtol=0, atol=0)
    assert torch.equal(params.flat, before)
    for one, other in zip(found.critics, copy.critics, strict=True):
        assert torch.equal(one.weight, other.weight)


def test_a_regression_finds_a_function_of_v():
    torch.manual_seed(0)
    v = torch.randn(2, 2000, 3)
    voltage_gradient = torch.stack((v[..., 0] * 2, torch.tanh(v[..., 1])), dim=-1)
    network = regression(v, voltage_gradient, 600, seeding.generators(SEEDS, "regression"))
    fresh = torch.randn(2, 500, 3)
    error = network.forward(fresh).output - torch.stack(
        (fresh[..., 0] * 2, torch.tanh(fresh[..., 1])), dim=-1
    )
    assert error.square().mean() < 0.02 * voltage_gradient.square().mean()
