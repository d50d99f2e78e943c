"""Stacked multilayer perceptrons: S networks of one shape, run together along a leading seed axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subcritic.nn import compiled
from subcritic.nn.activations import ACTIVATIONS, Activation, neurons


@dataclass
class Parameters:
    """All weights of S networks in one tensor, `flat` (S, P), and views of it per layer.

    `weights[l]` is (S, n_in, n_out): column n holds K^n, the connections into neuron n. `biases[l]` is (S, 1, n_out).
    """

    flat: Tensor
    weights: list[Tensor]
    biases: list[Tensor]

    @cached_property
    def array(self) -> np.ndarray | None:
        """`flat` for compiled functions, the same memory; None if they cannot take it."""
        return compiled.array(self.flat)

    def move_towards(self, other: Parameters, polyak: float) -> None:
        """θ' ← τθ + (1 − τ)θ' (targets by Polyak averaging), in place."""
        mine, others = self.array, other.array
        if mine is None or others is None or not compiled.allowed():
            self.flat.lerp_(other.flat, polyak)
        else:
            compiled.kernels("nn.kernels").move_towards(mine, others, polyak)


@dataclass
class Voltages:
    """What a forward pass leaves behind, layer by layer; index 0 of `h` is the network's input.

    `h` (L+1 tensors (S, B, n_l)) are the voltages with perturbations, `inputs` (L tensors) what each layer read, and
    `activations` (L tensors) σ(z) before the perturbation was added. picture: what an encoder made the input of, if one did.
    """

    h: list[Tensor]
    inputs: list[Tensor]
    activations: list[Tensor]
    picture: Tensor | None = field(default=None, kw_only=True)

    @property
    def input(self) -> Tensor:
        return self.h[0]

    @property
    def output(self) -> Tensor:
        return self.h[-1]

    def replace_output(self, output: Tensor) -> None:
        """Another output took the place of the one found; `activations` stay."""
        self.h[-1] = output


class PackedVoltages(Voltages):
    """Voltages of a compiled forward pass in one piece of memory, `block`; see `MLP.layout`.

    The tensors of each layer are views of it, made when they are asked for. clean: where there was a perturbation, the same
    without that of a layer's own output.
    """

    def __init__(self, spec: MLP, block: np.ndarray, x: Tensor, clean: np.ndarray | None = None) -> None:
        self.spec, self.block, self.x, self.clean = spec, block, x, clean
        self.seeds, self.rows, _ = x.shape
        self._last = self._view(block, *spec.places[1][-1])

    def __getattr__(self, name: str) -> Any:
        """h, inputs or activations, on first use."""
        inputs, outputs = self.spec.places
        found: list[Tensor]
        if name == "activations":
            block = self.block if self.clean is None else self.clean
            found = [self._view(block, *place) for place in outputs]
        elif name == "inputs":
            found = [self._view(self.block, *place) for place in inputs]
        elif name == "h":
            found = [self.x, *(self._view(self.block, *place) for place in outputs[:-1]), self._last]
        else:
            raise AttributeError(name)
        setattr(self, name, found)
        return found

    @property
    def input(self) -> Tensor:
        return self.x

    @property
    def output(self) -> Tensor:
        return self.h[-1] if "h" in self.__dict__ else self._last

    def replace_output(self, output: Tensor) -> None:
        self._last = output
        if "h" in self.__dict__:
            self.h[-1] = output

    def _view(self, block: np.ndarray, at: int, width: int) -> Tensor:
        size = self.seeds * self.rows
        part = block[at * size : (at + width) * size]
        return torch.from_numpy(part.reshape(self.seeds, self.rows, width))


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

    @cached_property
    def layout(self) -> np.ndarray:
        """Where compiled functions find what belongs to a layer, one row each.

        Columns: n_in with the second input, n, number of the activation, place of the weights in a seed's parameters (the
        bias comes after them), places of the layer's input and of its output in `PackedVoltages.block`, n_in without the
        second input. Places in the block are times S · B. A layer reads the output of the one before, if nothing joins it.
        """
        rows, start, place = [], 0, 0
        for layer, (n_in, n_out) in enumerate(self.shapes(), start=1):
            below = self.sizes[layer - 1]
            if layer == 1 or n_in > below:
                v_at, place = place, place + n_in
            else:
                v_at = place - n_in
            number = ACTIVATIONS.index(self.activation(layer))
            rows.append((n_in, n_out, number, start, v_at, place, below))
            start, place = start + (n_in + 1) * n_out, place + n_out
        return np.array(rows, dtype=np.int64)

    @cached_property
    def largest(self) -> int:
        """Connections of the largest layer."""
        return max(n_in * n_out for n_in, n_out in self.shapes())

    @cached_property
    def places(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """(place in `PackedVoltages.block`, width) of every layer's input, and of its output; the last ends the block."""
        rows = self.layout.tolist()
        return [(row[4], row[0]) for row in rows], [(row[5], row[1]) for row in rows]

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
        if packed := self._packed(params, x, side, perturbation):
            return packed
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

    def _packed(
        self,
        params: Parameters,
        x: Tensor,
        side: Tensor | None,
        perturbation: Sequence[Tensor | None] | None,
    ) -> PackedVoltages | None:
        """The compiled forward pass, where it is used; arguments that do not fit are left to torch, which says so."""
        if not compiled.serves(self.largest, x) or (flat := params.array) is None or x.ndim != 3:
            return None
        seeds, rows, n_in = x.shape
        second = _NONE
        if self.side is not None:
            if side is None or side.shape != (seeds, rows, self.side[1]) or not compiled.serves(0, side):
                return None
            second = side.numpy()
        if seeds != len(flat) or n_in != self.sizes[0]:
            return None
        count = sum(self.places[1][-1]) * seeds * rows
        block = np.empty(count, np.float32)
        forward = compiled.kernels("nn.kernels").forward
        if perturbation is None:
            forward(flat, x.numpy(), second, _NONE, self.layout, block, block)
            return PackedVoltages(self, block, x)
        noise = self._noise(perturbation, seeds, rows)
        if noise is None:
            return None
        clean = np.empty(count, np.float32)
        forward(flat, x.numpy(), second, noise, self.layout, block, clean)
        return PackedVoltages(self, block, x, clean)

    def _noise(self, perturbation: Sequence[Tensor | None], seeds: int, rows: int) -> np.ndarray | None:
        """All perturbations side by side, 0 where there is none; None if compiled functions cannot take them."""
        noise = np.zeros((seeds, rows, sum(self.sizes[1:])), np.float32)
        start = 0
        for xi, width in zip(perturbation, self.sizes[1:], strict=True):
            if xi is not None:
                if xi.shape != (seeds, rows, width) or not compiled.serves(0, xi):
                    return None
                noise[..., start : start + width] = xi.numpy()
            start += width
        return noise


_NONE = np.empty((0, 0, 0), np.float32)
