"""Activations σ, and their slopes σ'(z) written in terms of the output h = σ(z)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from subcritic.nn.products import affine

# A tensor, so that scaling and shifting are one pass over the data.
_MINUS_ONE = torch.tensor(-1.0)

Activation = Literal["identity", "relu", "tanh", "sigmoid"]
# By these places compiled functions know them.
ACTIVATIONS: tuple[str, ...] = get_args(Activation)


def neurons(v: Tensor, weight: Tensor, bias: Tensor, activation: Activation) -> Tensor:
    """h = σ(v K + b): v (S, B, n_in), weight K (S, n_in, n), bias b (S, 1, n) → (S, B, n)."""
    if activation == "tanh":
        # tanh z = 2 sigmoid(2z) − 1: torch's vectorised sigmoid is about five times faster than its tanh.
        return torch.add(_MINUS_ONE, affine(bias, v, weight, scale=2).sigmoid_(), alpha=2)
    z = affine(bias, v, weight)
    if activation == "relu":
        return z.relu_()
    return z.sigmoid_() if activation == "sigmoid" else z


def times_slope(upstream: Tensor, h: Tensor, activation: Activation) -> Tensor:
    """upstream · σ'(z), the slope taken from the output h = σ(z); both of one shape."""
    downstream: Tensor = upstream
    if activation == "relu":
        downstream = torch.ops.aten.threshold_backward(upstream, h, 0)
    elif activation == "tanh":
        downstream = torch.ops.aten.tanh_backward(upstream, h)
    elif activation == "sigmoid":
        downstream = torch.ops.aten.sigmoid_backward(upstream, h)
    return downstream


def slope(h: Tensor, activation: Activation) -> Tensor:
    """σ'(z) from the output h = σ(z), of h's shape."""
    return times_slope(torch.ones_like(h), h, activation)


def activate(z: Tensor, activation: Activation) -> Tensor:
    """σ(z), of z's shape."""
    return z if activation == "identity" else getattr(torch, activation)(z)
