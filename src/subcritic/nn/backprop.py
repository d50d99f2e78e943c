"""Error backpropagation in closed form: the only place where an error travels backwards through layers, but for
`batch_norm.py`, where it also passes the statistics of a minibatch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from subcritic.nn import compiled
from subcritic.nn.activations import times_slope
from subcritic.nn.mlp import MLP, PackedVoltages, Parameters, Voltages

if TYPE_CHECKING:
    from subcritic.nn.convolution import Convolutions, Features


def gradients(spec: MLP, params: Parameters, voltages: Voltages, upstream: Tensor, into: Parameters) -> None:
    """Write ∂J/∂θ into `into`, for upstream = ∂J/∂h_L (S, B, n_L) summed over the batch."""
    if (
        isinstance(voltages, PackedVoltages)
        and (found := into.array) is not None
        and _goes_on(voltages, upstream)
    ):
        functions = compiled.kernels("nn.backprop_kernels")
        functions.gradients(params.array, voltages.block, upstream.numpy(), spec.layout, found)
        return
    for layer in range(spec.depth, 0, -1):
        delta = times_slope(upstream, voltages.activations[layer - 1], spec.activation(layer))
        v = voltages.inputs[layer - 1]
        torch.bmm(v.mT, delta, out=into.weights[layer - 1])
        torch.sum(delta, dim=1, keepdim=True, out=into.biases[layer - 1])
        if layer > 1:
            upstream = _to_previous(spec, params, layer, delta)


def voltage_gradients(spec: MLP, params: Parameters, voltages: Voltages, upstream: Tensor) -> list[Tensor]:
    """∂J/∂h_l for l = 0 … L, (S, B, n_l) each: what a backpropagated error tells every neuron."""
    found = [upstream]
    for layer in range(spec.depth, 0, -1):
        delta = times_slope(found[0], voltages.activations[layer - 1], spec.activation(layer))
        found.insert(0, _to_previous(spec, params, layer, delta))
    return found


def side_gradient(spec: MLP, params: Parameters, voltages: Voltages, upstream: Tensor) -> Tensor:
    """∂J/∂side (S, B, width): for a critic, ∂Q/∂a."""
    if spec.side is None:
        raise ValueError("the network has no second input, and so no gradient for one")
    joins, width = spec.side
    if isinstance(voltages, PackedVoltages) and _goes_on(voltages, upstream):
        found = np.empty((voltages.seeds, voltages.rows, width), np.float32)
        functions = compiled.kernels("nn.backprop_kernels")
        functions.side_gradient(params.array, voltages.block, upstream.numpy(), spec.layout, joins - 1, found)
        return torch.from_numpy(found)
    for layer in range(spec.depth, joins - 1, -1):
        delta = times_slope(upstream, voltages.activations[layer - 1], spec.activation(layer))
        if layer > joins:
            upstream = _to_previous(spec, params, layer, delta)
    return torch.bmm(delta, params.weights[joins - 1][:, -width:].mT)


def convolution_gradients(
    spec: Convolutions, params: Parameters, features: Features, upstream: Tensor, into: Parameters
) -> None:
    """Write ∂J/∂θ of convolutions into `into`, for upstream = ∂J/∂features (S, B, n) summed over the batch."""
    for s, maps in enumerate(features.maps):
        height, width, filters = spec.shapes[-1]
        error = upstream[s].view(-1, height, width, filters).permute(0, 3, 1, 2)
        for layer in reversed(range(len(spec.strides))):
            error = times_slope(error, maps[layer + 1], "relu")
            stride = [spec.strides[layer]] * 2
            wanted = [layer > 0, True, True]
            error, weight, bias = torch.ops.aten.convolution_backward(
                error,
                maps[layer],
                spec.filter_bank(params.weights[layer][s], layer),
                [filters],
                stride,
                [0, 0],
                [1, 1],
                False,
                [0, 0],
                1,
                wanted,
            )
            spec.filter_bank(into.weights[layer][s], layer).copy_(weight)
            into.biases[layer][s, 0] = bias


def _to_previous(spec: MLP, params: Parameters, layer: int, delta: Tensor) -> Tensor:
    """∂J/∂h_{l-1} from ∂J/∂z_l; a second input's share is left out."""
    return torch.bmm(delta, params.weights[layer - 1][:, : spec.sizes[layer - 1]].mT)


def _goes_on(voltages: PackedVoltages, upstream: Tensor) -> bool:
    """Whether compiled functions go on from a compiled forward pass."""
    fits = upstream.shape == (voltages.seeds, voltages.rows, voltages.spec.sizes[-1])
    return fits and voltages.clean is None and compiled.serves(0, upstream)
