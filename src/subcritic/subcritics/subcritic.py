"""Sub-critics of Experiment 1: value functions Q^n(v, α) for one layer of an actor, learned while the actor trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from subcritic.bellman import bellman_target
from subcritic.nn import MLP, backprop
from subcritic.nn.network import Network


class SubCritic:
    """M critics per seed for one layer of an actor, all trained at once (stacked, no loop over neurons).

    kind 'layer': one critic Q_l(h_{l-1}, h_l), M = 1. kind 'neuron': one critic Q^n(h_{l-1}, h_l[n]) for each n in
    `neurons`, M = len(neurons). A critic is a three-layer ReLU network with a linear last layer and a target copy.

    v (S, B, n_in): presynaptic voltages. alpha, α (S, B, n_out): voltages of the whole layer, of which each critic reads its
    own part. values (S, B, M).
    """

    def __init__(
        self,
        kind: Literal["layer", "neuron"],
        layer_shape: tuple[int, int],
        neurons: Sequence[int],
        hidden: tuple[int, int],
        rate: float,
        discount: float,
        polyak: float,
        rngs: Sequence[np.random.Generator],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        n_in, n_out = layer_shape
        self.kind, self.neurons = kind, list(range(n_out)) if kind == "layer" else list(neurons)
        self.seeds, self.count = len(rngs), 1 if kind == "layer" else len(self.neurons)
        self.width = n_out if kind == "layer" else 1
        self.discount, self.polyak = discount, polyak
        spec = MLP((n_in, *hidden, 1), "relu", "identity", side=(1, self.width))
        stacked_rngs = [rng for rng in rngs for _ in range(self.count)]
        self.network = Network(spec, stacked_rngs, rate, dtype=dtype)

    def values(self, v: Tensor, alpha: Tensor, *, target: bool = False) -> Tensor:
        """Q^n(v, α), (S, B, M)."""
        output = self.network.forward(self._shared(v), self._own(alpha), target=target).output
        return self._by_seed(output)

    def action_gradient(self, v: Tensor, alpha: Tensor) -> Tensor:
        """∂Q^n/∂α, (S, B, M); for a layer critic ∂Q_l/∂h_l, (S, B, n_out)."""
        voltages = self.network.forward(self._shared(v), self._own(alpha))
        upstream = torch.ones_like(voltages.output)
        found = backprop.side_gradient(self.network.spec, self.network.online, voltages, upstream)
        return self._by_seed(found)

    def learn(
        self, v: Tensor, alpha: Tensor, reward: Tensor, terminated: Tensor, v_next: Tensor, alpha_next: Tensor
    ) -> Tensor:
        """One step on (r + γ (1 − terminated) Q^n′(v′, α′) − Q^n(v, α))²; reward, terminated (S, B, 1).

        Returns the mean squared residual of every critic, (S, M). This is the drafts' loss with three corrections: the
        discount γ, the terminal mask, and a linear last layer.
        """
        next_value = self.values(v_next, alpha_next, target=True)
        target = bellman_target(reward, self.discount, terminated, next_value)
        judged = self.network.forward(self._shared(v), self._own(alpha))
        residual = self.network.fit(judged, self._stacked(target))
        self.network.track(self.polyak)
        return residual.square().mean(dim=(1, 2)).view(self.seeds, self.count)

    def _shared(self, v: Tensor) -> Tensor:
        """v once for every critic: (S·M, B, n_in)."""
        return v.unsqueeze(1).expand(-1, self.count, -1, -1).flatten(0, 1)

    def _own(self, alpha: Tensor) -> Tensor:
        """The part of α that each critic reads: (S·M, B, width)."""
        return alpha if self.kind == "layer" else self._stacked(alpha[..., self.neurons])

    def _stacked(self, per_critic: Tensor) -> Tensor:
        """(S, B, M) → (S·M, B, 1)."""
        return per_critic.mT.flatten(0, 1).unsqueeze(-1)

    def _by_seed(self, stacked: Tensor) -> Tensor:
        """(S·M, B, width) → (S, B, M·width); one of M and width is 1."""
        return stacked.unflatten(0, (self.seeds, self.count)).movedim(1, 2).flatten(2)

    def state_dict(self) -> dict[str, Any]:
        return self.network.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state)
