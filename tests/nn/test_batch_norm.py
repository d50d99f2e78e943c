"""Batch normalisation: gradients through the statistics of a minibatch, and the plain network of running ones."""

import pytest
import torch
from torch.nn import functional

from subcritic import seeding
from subcritic.nn import MLP
from subcritic.nn.batch_norm import EPSILON, MOMENTUM, NormalisedNetwork

SEEDS, BATCH, SIDE = 3, 6, 2
EXACT = {"rtol": 1e-10, "atol": 1e-10}


def network(spec, normalised, seeds=range(SEEDS), dtype=torch.float64, **settings):
    """A network whose gains, biases and statistics are not those of the start."""
    net = NormalisedNetwork(
        spec, seeding.generators(seeds, "net"), rate=1e-2, dtype=dtype, normalised=normalised, **settings
    )
    for own, rng in enumerate(seeding.generators(seeds, "numbers")):
        for raw in (net.raw, net.target_raw):
            gains, means, variances = (
                torch.from_numpy(found(size=raw.statistics.shape[2]))
                for found in (rng.normal, rng.normal, rng.random)
            )
            raw.flat[own, raw.flat.shape[1] - len(gains) :] = gains
            raw.statistics[own, 0], raw.statistics[own, 1] = means, variances + 0.1
    net.load_state_dict(net.state_dict())
    return net


def normal(seeds, width, what="x", rows=BATCH):
    drawn = [rng.normal(0.5, 2.0, size=(rows, width)) for rng in seeding.generators(seeds, what)]
    return torch.stack([torch.from_numpy(of_seed) for of_seed in drawn])


def normalised_by(raw, layer, z, running):
    """Every seed by torch's own function; by running statistics, or by those of the minibatch."""
    found = []
    for seed, of_seed in enumerate(z):
        statistics = (raw.means[layer][seed, 0], raw.variances[layer][seed, 0]) if running else (None, None)
        found.append(functional.batch_norm(of_seed, *statistics, training=not running, eps=EPSILON))
    return torch.stack(found)


def reference(spec, raw, x, side=None, running=False):
    """The same network by torch's functions, differentiable by raw.flat."""
    functions = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "identity": lambda z: z}
    v = normalised_by(raw, 0, x, running) * raw.gains[0] if 0 in raw.gains else x
    for layer in range(1, spec.depth + 1):
        if spec.side and spec.side[0] == layer:
            v = torch.cat((v, side), dim=-1)
        z = v @ raw.parameters.weights[layer - 1]
        if layer in raw.gains:
            z = normalised_by(raw, layer, z, running) * raw.gains[layer]
        v = functions[spec.activation(layer)](z + raw.parameters.biases[layer - 1])
    return v


def with_gradient(net):
    raw = net.raw
    return type(raw)(net.spec, tuple(raw.gains), raw.flat.clone().requires_grad_(), raw.statistics.clone())


SHAPES = {
    "all layers": ((0, 1, 2, 3), None),
    "before the action": ((0, 1), 2),
    "the state alone": ((0,), 1),
    "the last alone": ((3,), None),
    "also after the action": ((0, 1, 2, 3), 2),
}


@pytest.mark.parametrize("hidden", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize(("normalised", "joins"), SHAPES.values(), ids=SHAPES)
def test_gradients_through_the_statistics_equal_autograd(normalised, joins, hidden):
    spec = MLP((4, 6, 7, 2), hidden, "tanh", side=(joins, SIDE) if joins else None)
    net = network(spec, normalised)
    net.passes_on = True
    x = normal(range(SEEDS), 4).requires_grad_()
    side = normal(range(SEEDS), SIDE, "side").requires_grad_() if joins else None
    upstream = normal(range(SEEDS), 2, "upstream")
    with torch.no_grad():
        voltages = net.learning(x, side)
        net.backward(voltages, upstream)
    raw = with_gradient(net)
    output = reference(spec, raw, x, side)
    output.backward(upstream)
    torch.testing.assert_close(voltages.output, output.detach(), **EXACT)
    torch.testing.assert_close(net._gradient.flat, raw.flat.grad, **EXACT)
    torch.testing.assert_close(net.passed, x.grad, **EXACT)
    assert raw.flat.grad.abs().amax(dim=1).min() > 1e-3
    if joins:
        with torch.no_grad():
            torch.testing.assert_close(net.side_gradient(voltages, upstream), side.grad, **EXACT)


@pytest.mark.parametrize(("normalised", "joins"), SHAPES.values(), ids=SHAPES)
def test_the_plain_network_normalises_by_running_statistics(normalised, joins):
    spec = MLP((4, 6, 7, 2), "tanh", "identity", side=(joins, SIDE) if joins else None)
    net = network(spec, normalised)
    x, side = normal(range(SEEDS), 4), normal(range(SEEDS), SIDE, "side") if joins else None
    for target, raw in ((False, net.raw), (True, net.target_raw)):
        expected = reference(spec, raw, x, side, running=True)
        torch.testing.assert_close(net.forward(x, side, target=target).output, expected, **EXACT)


def test_running_statistics_and_the_target_follow_as_they_should():
    net = network(MLP((4, 6, 2), "tanh"), (0, 1))
    modules = [torch.nn.BatchNorm1d(width, momentum=MOMENTUM, dtype=torch.float64) for width in (4, 6)]
    for module, layer in zip(modules, (0, 1), strict=True):
        module.running_mean.copy_(net.raw.means[layer][1, 0])
        module.running_var.copy_(net.raw.variances[layer][1, 0])
    before, copied = net.raw.flat.clone(), net.target_raw.statistics.clone()
    x = normal(range(SEEDS), 4)
    voltages = net.learning(x)
    net.backward(voltages, torch.ones_like(voltages.output))
    old = net.raw.statistics.clone()
    net.learning(normal(range(SEEDS), 4, "other"))
    assert torch.equal(net.raw.statistics, old)
    net.step()
    modules[0](x[1])
    modules[1](voltages.inputs[0][1] @ net.spec.views(before[:, : net.online.flat.shape[1]]).weights[0][1])
    for module, layer in zip(modules, (0, 1), strict=True):
        torch.testing.assert_close(net.raw.means[layer][1, 0], module.running_mean, **EXACT)
        torch.testing.assert_close(net.raw.variances[layer][1, 0], module.running_var, **EXACT)
    net.track(0.25)
    torch.testing.assert_close(net.target_raw.statistics, 0.75 * copied + 0.25 * net.raw.statistics, **EXACT)
    torch.testing.assert_close(net.target.flat, _folded(net.spec, net.target_raw).flat, **EXACT)
    assert not torch.allclose(net.raw.flat, before)


def _folded(spec, raw):
    found = spec.parameters(SEEDS, torch.float64)
    raw.fold(found)
    return found


def test_outputs_start_near_0_as_without_normalisation():
    spec = MLP((4, 20, 2), "relu", "tanh", output_init=3e-3)
    net = NormalisedNetwork(spec, seeding.generators([0], "net"), rate=1e-3, normalised=(0, 1, 2))
    assert net.learning(normal([0], 4).float()).output.abs().max() < 0.02


def test_voltages_without_statistics_of_their_minibatch_are_refused():
    net = network(MLP((4, 6, 2)), (0, 1))
    with pytest.raises(TypeError, match="learning"):
        net.backward(net.forward(normal(range(SEEDS), 4)), torch.ones(SEEDS, BATCH, 2))
