"""Neurons that normalise their own net input by its own running mean and variance: nothing crosses neurons or states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from subcritic.config import LocalSettings
from subcritic.nn import MLP, Parameters
from subcritic.rules.optimisers import Optimiser, make_optimiser

# The share by which statistics move per update, and what is added to a variance before its root is taken.
SHARE = 0.01
EPSILON = 1e-5


class RunningNormalisation:
    """The hidden neurons of S actors, each with a mean and a variance of its own.

    Neuron n puts out σ((z − m_n) / √(s_n + ε) + b_n), z = K^n·v, and keeps K^n, b_n, m_n and s_n. From the z that its K^n
    makes of each state of a minibatch, one by one, it learns

        s_n += share · mean((z − m_n)²) − share · s_n        m_n += share · mean(z − m_n).

    They are constants of its update: with δ = ∂Q/∂(net input as normalised), K^n moves along δ v / √(s_n + ε) and b_n along
    δ. All others see an ordinary actor, `online`, with K^n / √(s_n + ε) for K^n. The action's neurons are left as they are:
    how far actions reach is theirs to learn. So is the observation, which is no neuron's net input.

    raw: K and b as learned. statistics (S, 2, N): m, then s, which start at 0 and 1.
    """

    def __init__(self, actor: MLP, online: Parameters) -> None:
        self.online = online
        self.raw = actor.views(online.flat.clone())
        hidden = list(actor.sizes[1:-1])
        start = torch.zeros(len(online.flat), sum(hidden), dtype=online.flat.dtype)
        self.statistics = torch.stack((start, torch.ones_like(start)), dim=1)
        self.means, self.variances = (
            part.unsqueeze(1).split(hidden, dim=-1) for part in self.statistics.unbind(dim=1)
        )
        # 1 / √(s + ε), the same tensors at all times: optimisers hold them.
        self.scales = [torch.empty_like(variance) for variance in self.variances]
        self.fold()

    def optimisers(
        self, given: Iterable[Optimiser | None], settings: LocalSettings
    ) -> Iterator[Optimiser | None]:
        """What moves `raw` where rules move the weights that they see; given: optimisers of `raw`, or None for the usual."""
        layers = zip(given, self.raw.weights, self.raw.biases, strict=True)
        for number, (own, weight, bias) in enumerate(layers):
            parameters = {"weight": weight, "bias": bias}
            inner = own or make_optimiser(settings.optimiser, parameters, settings.actor_rate)
            yield Divided(inner, self.scales[number]) if number < len(self.scales) else inner

    def follow(self, voltages: Sequence[Tensor]) -> None:
        """Statistics follow z at presynaptic voltages (S, B, n_in) of every layer, and `online` what has been learned."""
        of_hidden = zip(voltages, self.raw.weights, self.means, self.variances, strict=False)
        for v, weight, mean, variance in of_hidden:
            deviation = torch.bmm(v, weight) - mean
            variance.lerp_(deviation.square().mean(dim=1, keepdim=True), SHARE)
            mean.add_(deviation.mean(dim=1, keepdim=True), alpha=SHARE)
        self.fold()

    def fold(self) -> None:
        """Write the weights and biases of the ordinary actor."""
        self.online.flat.copy_(self.raw.flat)
        for layer, (scale, variance) in enumerate(zip(self.scales, self.variances, strict=True)):
            torch.rsqrt(variance + EPSILON, out=scale)
            self.online.weights[layer].mul_(scale)
            self.online.biases[layer].sub_(self.means[layer] * scale)

    def state_dict(self) -> dict[str, Tensor]:
        return {"raw": self.raw.flat, "statistics": self.statistics}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.raw.flat.copy_(state["raw"])
        self.statistics.copy_(state["statistics"])
        self.fold()


class Divided(Optimiser):
    """Moves K, for directions that are those of K · scale, scale (S, 1, n) being a constant."""

    def __init__(self, inner: Optimiser, scale: Tensor) -> None:
        super().__init__(inner.parameters, inner.rates)
        self.inner, self.scale = inner, scale

    def outer(self, name: str, v: Tensor, signal: Tensor) -> None:
        self.inner.outer(name, v, signal * self.scale)

    def mean(self, name: str, signal: Tensor) -> None:
        self.inner.mean(name, signal)

    def along(self, name: str, direction: Tensor) -> None:
        self.inner.along(name, direction * self.scale if name == "weight" else direction)

    def state_dict(self) -> dict[str, Tensor]:
        return self.inner.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.inner.load_state_dict(state)
