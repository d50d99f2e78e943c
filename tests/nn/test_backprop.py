"""Closed-form gradients equal autograd's, in float64."""

import pytest
import torch

from subcritic import seeding
from subcritic.nn import MLP, backprop

SEEDS, BATCH, SIDE = 2, 5, 3


def network(hidden, output, side):
    spec = MLP((4, 6, 7, 2), hidden, output, side=(side, SIDE) if side else None)
    return spec, spec.init(seeding.generators(range(SEEDS), "test"), torch.float64)


def autograd_forward(spec, params, x, side):
    """The same network written with torch's own functions."""
    functions = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "identity": lambda z: z}
    h = [x]
    for layer in range(1, spec.depth + 1):
        v = h[-1]
        if spec.side and spec.side[0] == layer:
            v = torch.cat((v, side), dim=-1)
        h.append(functions[spec.activation(layer)](v @ params.weights[layer - 1] + params.biases[layer - 1]))
        h[-1].retain_grad() if h[-1].requires_grad else None
    return h


@pytest.mark.parametrize("hidden", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("output", ["identity", "tanh"])
@pytest.mark.parametrize("side", [None, 1, 2, 3])
def test_closed_form_gradients_equal_autograd(hidden, output, side):
    torch.manual_seed(0)
    spec, params = network(hidden, output, side)
    x = torch.randn(SEEDS, BATCH, 4, dtype=torch.float64)
    extra = torch.randn(SEEDS, BATCH, SIDE, dtype=torch.float64) if side else None
    upstream = torch.randn(SEEDS, BATCH, 2, dtype=torch.float64)
    voltages = spec.forward(params, x, extra)
    into = spec.parameters(SEEDS, torch.float64)
    backprop.gradients(spec, params, voltages, upstream, into)
    by_voltage = backprop.voltage_gradients(spec, params, voltages, upstream)

    leaf = spec.views(params.flat.clone().requires_grad_())
    x.requires_grad_()
    if side:
        extra.requires_grad_()
    h = autograd_forward(spec, leaf, x, extra)
    torch.testing.assert_close(voltages.output, h[-1].detach(), rtol=0, atol=1e-12)
    h[-1].backward(upstream)
    torch.testing.assert_close(into.flat, leaf.flat.grad, rtol=1e-10, atol=1e-10)
    for ours, theirs in zip(by_voltage, h, strict=True):
        torch.testing.assert_close(ours, theirs.grad, rtol=1e-10, atol=1e-10)
    if side:
        ours = backprop.side_gradient(spec, params, voltages, upstream)
        torch.testing.assert_close(ours, extra.grad, rtol=1e-10, atol=1e-10)


def test_a_perturbation_enters_the_next_layer_but_not_the_slope():
    spec, params = network("tanh", "tanh", None)
    x = torch.randn(SEEDS, BATCH, 4, dtype=torch.float64)
    noise = [None, torch.full((SEEDS, BATCH, 7), 0.5, dtype=torch.float64), None]
    clean, noisy = spec.forward(params, x), spec.forward(params, x, perturbation=noise)
    torch.testing.assert_close(noisy.h[2], clean.h[2] + 0.5)
    torch.testing.assert_close(noisy.activations[1], clean.h[2])
    assert not torch.allclose(noisy.output, clean.output)


def test_a_missing_second_input_is_named():
    spec, params = network("relu", "identity", side=2)
    with pytest.raises(ValueError, match="layer 2 has a second input of width 3; side is missing"):
        spec.forward(params, torch.zeros(SEEDS, BATCH, 4, dtype=torch.float64))
    spec, params = network("relu", "identity", side=None)
    voltages = spec.forward(params, torch.zeros(SEEDS, BATCH, 4, dtype=torch.float64))
    with pytest.raises(ValueError, match="no second input"):
        backprop.side_gradient(spec, params, voltages, torch.ones_like(voltages.output))
