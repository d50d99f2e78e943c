"""Stacked multilayer perceptrons: S networks of one shape, run together along a leading seed axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from subcritic.nn.activations import Activation, neurons


@dataclass
class Parameters:
    """All weights of S networks in one tensor, `flat` (S, P), and views of it per layer.

    `weights[l]` is (S, n_in, n_out): column n holds K^n, the connections into neuron n. `biases[l]` is (S, 1, n_out).
    """

    flat: Tensor
    weights: list[Tensor]
    biases: list[Tensor]

    def move_towards(self, other: Parameters, polyak: float) -> None:
        """θ' ← τθ + (1 − τ)θ' (targets by Polyak averaging), in place."""
        self.flat.lerp_(other.flat, polyak)


@dataclass
class Voltages:
    """What a forward pass leaves behind, layer by layer; index 0 of `h` is the network's input.

    `h` (L+1 tensors (S, B, n_l)) are the voltages with perturbations, `inputs` (L tensors) what each layer read, and
    `activations` (L tensors) σ(z) before the perturbation was added.
    """

    h: list[Tensor]
    inputs: list[Tensor]
    activations: list[Tensor]

    @property
    def output(self) -> Tensor:
        return self.h[-1]


@dataclass(frozen=True)
class MLP:
    """The shape of a network: `sizes` (n_0, …, n_L), activations, and an optional second input.

    side: (layer, width) of a second input that joins the input of `layer`, counted from 1: how the action enters a critic.
    output_init: the last layer starts uniform in ±output_init; the others in ±1/√fan-in (Lillicrap et al. 2016, section 7).
    """

    sizes: tuple[int, ...]
    hidden: Activation = "relu"
    output: Activation = "identity"
    side: tuple[int, int] | None = None
    output_init: float | None = None

    @property
    def depth(self) -> int:
        return len(self.sizes) - 1

    def activation(self, layer: int) -> Activation:
        """The activation of layer 1 … L."""
        return self.output if layer == self.depth else self.hidden

    def shapes(self) -> list[tuple[int, int]]:
        """(n_in, n_out) of every layer, the second input counted in."""
        extra = [
            self.side[1] if self.side and self.side[0] == layer else 0 for layer in range(1, self.depth + 1)
        ]
        return [
            (n_in + more, n_out) for n_in, n_out, more in zip(self.sizes, self.sizes[1:], extra, strict=False)
        ]

    def parameters(self, seeds: int, dtype: torch.dtype = torch.float32) -> Parameters:
        """Zeros of the right shapes for `seeds` networks."""
        count = sum((n_in + 1) * n_out for n_in, n_out in self.shapes())
        return self.views(torch.zeros(seeds, count, dtype=dtype))

    def views(self, flat: Tensor) -> Parameters:
        """Name the parts of a flat (S, P) tensor."""
        weights, biases, start = [], [], 0
        for n_in, n_out in self.shapes():
            weights.append(flat[:, start : start + n_in * n_out].view(-1, n_in, n_out))
            start += n_in * n_out
            biases.append(flat[:, start : start + n_out].view(-1, 1, n_out))
            start += n_out
        return Parameters(flat, weights, biases)

    def init(self, rngs: Sequence[np.random.Generator], dtype: torch.dtype = torch.float32) -> Parameters:
        """Random parameters for S = len(rngs) networks, each drawn from its own generator."""
        params = self.parameters(len(rngs), dtype)
        for s, rng in enumerate(rngs):
            for layer, (n_in, n_out) in enumerate(self.shapes(), start=1):
                bound = 1 / math.sqrt(n_in)
                if layer == self.depth and self.output_init is not None:
                    bound = self.output_init
                params.weights[layer - 1][s] = torch.from_numpy(rng.uniform(-bound, bound, (n_in, n_out)))
                params.biases[layer - 1][s] = torch.from_numpy(rng.uniform(-bound, bound, (1, n_out)))
        return params

    def forward(
        self,
        params: Parameters,
        x: Tensor,
        side: Tensor | None = None,
        perturbation: Sequence[Tensor | None] | None = None,
    ) -> Voltages:
        """h_l = σ(h_{l-1} K_l + b_l) + ξ_l for every layer.

        x: (S, B, n_0); side: (S, B, width) if the spec has a second input; perturbation: ξ_1 … ξ_L, (S, B, n_l) or None.
        """
        h, inputs, activations = [x], [], []
        for layer in range(1, self.depth + 1):
            v = h[-1]
            if self.side is not None and self.side[0] == layer:
                if side is None:
                    raise ValueError(
                        f"layer {layer} has a second input of width {self.side[1]}; side is missing"
                    )
                v = torch.cat((v, side), dim=-1)
            out = neurons(v, params.weights[layer - 1], params.biases[layer - 1], self.activation(layer))
            inputs.append(v)
            activations.append(out)
            noise = perturbation[layer - 1] if perturbation is not None else None
            h.append(out if noise is None else out + noise)
        return Voltages(h, inputs, activations)
