"""A network with batch normalisation (Ioffe and Szegedy 2015, arXiv 1502.03167), which everyone but its own update sees as a
plain one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subcritic.nn.activations import activate, neurons, times_slope
from subcritic.nn.adam import Adam
from subcritic.nn.mlp import MLP, Parameters, Voltages
from subcritic.nn.network import Network

# Added to a variance before its root is taken; and the share by which running statistics move towards those of a minibatch.
# Both are the defaults of torch.nn.BatchNorm1d.
EPSILON = 1e-5
MOMENTUM = 0.1


@dataclass
class NormalisedVoltages(Voltages):
    """Voltages by the statistics of their own minibatch. By layer, 0 for the input, of those that are normalised:

    standardised ẑ = (z − m) / √(v + ε), (S, B, n); means m and variances v over the batch, (S, 1, n), v divided by B.
    """

    standardised: dict[int, Tensor]
    means: dict[int, Tensor]
    variances: dict[int, Tensor]

    def standardise(self, layer: int, z: Tensor) -> Tensor:
        """ẑ of z (S, B, n), which is kept under its layer."""
        self.variances[layer], self.means[layer] = torch.var_mean(z, dim=1, correction=0, keepdim=True)
        self.standardised[layer] = (z - self.means[layer]) * (self.variances[layer] + EPSILON).rsqrt()
        return self.standardised[layer]

    def before(self, layer: int, upstream: Tensor) -> Tensor:
        """∂J/∂z from ∂J/∂ẑ, both (S, B, n): z also moves the mean and the variance of its minibatch."""
        z = self.standardised[layer]
        own = upstream - upstream.mean(dim=1, keepdim=True) - z * (upstream * z).mean(dim=1, keepdim=True)
        return own * (self.variances[layer] + EPSILON).rsqrt()


class Raw:
    """The raw parameters of S networks, and the running statistics of their layers.

    flat (S, P + G): the weights and biases of a plain network, `parameters`, then the gains. statistics (S, 2, G): running
    means, then variances. gains, means, variances: views (S, 1, n) by layer, 0 for the input.
    """

    def __init__(self, spec: MLP, layers: Sequence[int], flat: Tensor, statistics: Tensor) -> None:
        self.spec, self.flat, self.statistics = spec, flat, statistics
        widths = [spec.sizes[layer] for layer in layers]
        plain = flat.shape[1] - sum(widths)
        self.parameters = spec.views(flat[:, :plain])

        def named(found: Tensor) -> dict[int, Tensor]:
            return dict(zip(layers, found.unsqueeze(1).split(widths, dim=-1), strict=True))

        self.gains, self.means, self.variances = map(
            named, (flat[:, plain:], statistics[:, 0], statistics[:, 1])
        )

    def scale(self, layer: int) -> Tensor:
        """γ / √(v + ε) by the running variance, (S, 1, n)."""
        return self.gains[layer] * (self.variances[layer] + EPSILON).rsqrt()

    def fold(self, into: Parameters) -> None:
        """Write the weights and biases of the plain network that normalises by the running statistics."""
        below = self.spec.sizes[0]
        for layer, (weight, bias) in enumerate(
            zip(self.parameters.weights, self.parameters.biases, strict=True), start=1
        ):
            out, shift = into.weights[layer - 1], into.biases[layer - 1]
            out.copy_(weight)
            shift.zero_()
            if layer == 1 and 0 in self.gains:
                scale = self.scale(0)
                out[:, :below].mul_(scale.mT)
                shift.sub_(torch.bmm(self.means[0] * scale, weight[:, :below]))
            if layer in self.gains:
                scale = self.scale(layer)
                out.mul_(scale)
                shift.sub_(self.means[layer]).mul_(scale)
            shift.add_(bias)

    def follow(self, voltages: NormalisedVoltages) -> None:
        """Move the running statistics by those of a minibatch."""
        rows = voltages.input.shape[1]
        for layer, mean in self.means.items():
            mean.lerp_(voltages.means[layer], MOMENTUM)
            self.variances[layer].lerp_(voltages.variances[layer] * (rows / (rows - 1)), MOMENTUM)

    def move_towards(self, other: Raw, share: float) -> None:
        self.flat.lerp_(other.flat, share)
        self.statistics.lerp_(other.statistics, share)


class NormalisedNetwork(Network):
    """S stacked networks whose layers see what they receive normalised, over the minibatch and for each seed alone.

    normalised: which layers, 0 for the input. A layer's net input z = K·v becomes γ ẑ + β before the activation, with
    ẑ = (z − m) / √(v + ε); β is the layer's bias, and z has no other. The input x becomes γ x̂. It has no β, which the
    mean of a normalised first layer would take away again, and which the bias of another one is already.

    `learning` and `backward` go by the mean and variance of the minibatch. All else sees a plain network: `online` holds the
    weights and biases of the network that normalises by running statistics, K γ/√(v + ε) for K, and `target` those of a
    copy of raw weights, gains and statistics, which follows by Polyak averaging. So `forward`, `MLP.forward` with these
    parameters, saved policies and compiled functions need to know nothing of it. `gradient` is that of the raw weights.

    Lillicrap et al. 2016 (section 3) leave open the following. Running statistics move when the weights do, by `MOMENTUM`,
    towards those of the minibatch that the step was made from; they start at mean 0 and variance 1, and take the variance
    divided by B − 1. Conventions and constants are those of torch.nn.BatchNorm1d. Gains start at 1, and that of the last
    layer at the bound of its first weights, so that outputs start near 0 as without normalisation. Weight decay concerns
    all that is learned, gains too.

    raw, target_raw: what is learned, and the copy that follows.
    """

    def __init__(
        self,
        spec: MLP,
        rngs: Sequence[np.random.Generator],
        rate: float,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
        *,
        normalised: Sequence[int],
    ) -> None:
        super().__init__(spec, rngs, rate, weight_decay, dtype)
        seeds, layers = len(rngs), tuple(normalised)
        gains = torch.ones(seeds, sum(spec.sizes[layer] for layer in layers), dtype=dtype)
        statistics = torch.stack((torch.zeros_like(gains), gains), dim=1)

        def raw(flat: Tensor) -> Raw:
            return Raw(spec, layers, flat, statistics.clone())

        self.raw = raw(torch.cat((self.online.flat, gains), dim=1))
        if spec.depth in layers:
            self.raw.gains[spec.depth].fill_(spec.output_init or spec.shapes()[-1][0] ** -0.5)
        self.target_raw = raw(self.raw.flat.clone())
        self._gradient = raw(torch.zeros_like(self.raw.flat))
        self.gradient = self._gradient.parameters
        self.optimiser = Adam(self.raw.flat, self._gradient.flat, rate, weight_decay)
        self._learned_from: NormalisedVoltages | None = None
        self._fold()

    def learning(self, x: torch.Tensor, side: torch.Tensor | None = None) -> NormalisedVoltages:
        """The forward pass of an update, by the statistics of this minibatch; changes nothing."""
        found = NormalisedVoltages([x], [], [], {}, {}, {})
        parameters, gains = self.raw.parameters, self.raw.gains
        v = found.standardise(0, x) * gains[0] if 0 in gains else x
        for layer in range(1, self.spec.depth + 1):
            if self.spec.side is not None and self.spec.side[0] == layer:
                assert side is not None, "the network has a second input"
                v = torch.cat((v, side), dim=-1)
            found.inputs.append(v)
            weight, bias, activation = (
                parameters.weights[layer - 1],
                parameters.biases[layer - 1],
                self.spec.activation(layer),
            )
            if layer in gains:
                z = found.standardise(layer, torch.bmm(v, weight))
                v = activate(torch.addcmul(bias, z, gains[layer]), activation)
            else:
                v = neurons(v, weight, bias, activation)
            found.h.append(v)
            found.activations.append(v)
        return found

    def backward(self, voltages: Voltages, upstream: torch.Tensor) -> None:
        """As Network's, through the statistics of the minibatch; for voltages that `learning` gave."""
        voltages = _of_learning(voltages)
        weights, biases = self.gradient.weights, self.gradient.biases
        for layer, outer, inner in self._errors(voltages, upstream):
            torch.bmm(voltages.inputs[layer - 1].mT, inner, out=weights[layer - 1])
            torch.sum(outer, dim=1, keepdim=True, out=biases[layer - 1])
            if layer in self.raw.gains:
                self._gain_gradient(voltages, layer, outer)
        if 0 in self.raw.gains or self.passes_on:
            upstream = self._to_previous(1, inner)
            if 0 in self.raw.gains:
                self._gain_gradient(voltages, 0, upstream)
                upstream = voltages.before(0, upstream * self.raw.gains[0])
            self.passed = upstream
        self._learned_from = voltages

    def side_gradient(self, voltages: Voltages, upstream: torch.Tensor) -> torch.Tensor:
        if self.spec.side is None:
            raise ValueError("the network has no second input, and so no gradient for one")
        joins, width = self.spec.side
        for layer, _, inner in self._errors(_of_learning(voltages), upstream):
            if layer == joins:
                return torch.bmm(inner, self.raw.parameters.weights[joins - 1][:, -width:].mT)
        raise AssertionError("a second input joins a layer")

    def step(self) -> None:
        """One Adam step, after which running statistics follow the minibatch of the last `backward`."""
        assert self._learned_from is not None, "backward comes first"
        self.optimiser.step()
        self.raw.follow(self._learned_from)
        self.raw.fold(self.online)

    def track(self, polyak: float) -> None:
        self.target_raw.move_towards(self.raw, polyak)
        self.target_raw.fold(self.target)

    def state_dict(self) -> dict[str, Any]:
        return {**self._tensors(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, tensor in self._tensors().items():
            tensor.copy_(state[name])
        self.optimiser.load_state_dict(state["optimiser"])
        self._fold()

    def _tensors(self) -> dict[str, Tensor]:
        return {
            "online": self.raw.flat,
            "statistics": self.raw.statistics,
            "target": self.target_raw.flat,
            "target_statistics": self.target_raw.statistics,
        }

    def _fold(self) -> None:
        self.raw.fold(self.online)
        self.target_raw.fold(self.target)

    def _errors(self, voltages: NormalisedVoltages, upstream: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Of every layer, the last one first: its number, ∂J/∂(γẑ + β), and ∂J/∂z before normalisation, (S, B, n) each."""
        for layer in range(self.spec.depth, 0, -1):
            outer = times_slope(upstream, voltages.activations[layer - 1], self.spec.activation(layer))
            inner = (
                voltages.before(layer, outer * self.raw.gains[layer]) if layer in self.raw.gains else outer
            )
            yield layer, outer, inner
            if layer > 1:
                upstream = self._to_previous(layer, inner)

    def _to_previous(self, layer: int, inner: Tensor) -> Tensor:
        """∂J/∂v of a layer, without the share of a second input."""
        return torch.bmm(inner, self.raw.parameters.weights[layer - 1][:, : self.spec.sizes[layer - 1]].mT)

    def _gain_gradient(self, voltages: NormalisedVoltages, layer: int, outer: Tensor) -> None:
        product = outer * voltages.standardised[layer]
        torch.sum(product, dim=1, keepdim=True, out=self._gradient.gains[layer])


def _of_learning(voltages: Voltages) -> NormalisedVoltages:
    if not isinstance(voltages, NormalisedVoltages):
        raise TypeError(
            "batch normalisation learns from the voltages of `learning`, not from those of `forward`"
        )
    return voltages
