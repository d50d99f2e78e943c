"""Experiment 1's sub-critic as the critic of a rule: every neuron has a small network Q^n of its own.

The one rule in which a gradient is taken through layers: those of one neuron's own critic. None leaves the neuron.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from subcritic.nn import MLP, backprop
from subcritic.nn.activations import neurons, times_slope
from subcritic.nn.network import Network
from subcritic.rules.base import Rule, made_as
from subcritic.rules.protocol import NO_BROADCAST, Broadcast, Layer, LocalTransition, RuleState


@dataclass
class MlpState(RuleState):
    """All Q^n of a layer as one stack of S·n networks."""

    network: Network
    seeds: int

    def tensors(self) -> dict[str, Tensor]:
        return {"online": self.network.online.flat}

    def learned(self) -> dict[str, Tensor]:
        """None: the network has an optimiser of its own."""
        return {}

    def finite(self) -> Tensor:
        return self.network.online.flat.isfinite().view(self.seeds, -1).all(dim=1)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"network": self.network.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.network.load_state_dict(state["network"])


@dataclass(frozen=True)
class MlpRule(Rule[MlpState]):
    """Q^n(v, α): three layers, ReLU within, as in Experiment 1; K^n += η_A mean(∂Q^n/∂α σ'(z) v) at α = μ^n(v).

    D = r + γ (1 − terminated) Q^n′(v′, μ^n′(v′)) − Q^n(v, α), or y − Q^n(v, α); the networks always learn by Adam, at
    the rate
    `critic_rate`, by the gradient of their own mean D². Reads what the linear rule reads. A layer of n neurons
    costs n small networks: by far the most expensive of the rules.
    """

    hidden: tuple[int, int] = (32, 32)

    has_critic: ClassVar[bool] = True

    def new_state(self, layer: Layer, rngs: Sequence[np.random.Generator]) -> MlpState:
        _, n_in, n_out = layer.weight.shape
        spec = MLP((n_in, *self.hidden, 1), "relu", "identity", side=(1, 1))
        each = [rng for rng in rngs for _ in range(n_out)]
        return MlpState(Network(spec, each, self.critic_rate, **made_as(layer.weight)), len(rngs))

    def values(
        self, state: MlpState, layer: Layer, voltage: Tensor, alpha: Tensor, *, target: bool = False
    ) -> Tensor:
        shared, own = _for_each(voltage, alpha)
        return _by_seed(state.network.forward(shared, own, target=target).output, state.seeds)

    def local_error(
        self, state: MlpState, layer: Layer, transition: LocalTransition, broadcast: Broadcast = NO_BROADCAST
    ) -> Tensor:
        h = neurons(transition.voltage, layer.weight, layer.bias, layer.activation)
        network, judged = state.network, state.network.forward(*_for_each(transition.voltage, h))
        slope = backprop.side_gradient(network.spec, network.online, judged, torch.ones_like(judged.output))
        return times_slope(_by_seed(slope, state.seeds), h, layer.activation)

    def diagnostics(self, state: MlpState) -> dict[str, Tensor]:
        return {"critic_norm": state.network.online.flat.view(state.seeds, -1).norm(dim=1)}

    def update_state(
        self, state: MlpState, layer: Layer, transition: LocalTransition, broadcast: Broadcast
    ) -> tuple[Tensor, Tensor]:
        target = self._target(state, layer, transition, broadcast)
        judged = state.network.forward(*_for_each(transition.voltage, transition.alpha))
        residual = state.network.fit(judged, _stacked(target.expand_as(transition.alpha)))
        state.network.track(self.polyak)
        return _by_seed(residual, state.seeds), self.local_error(state, layer, transition)

    def _target(
        self, state: MlpState, layer: Layer, transition: LocalTransition, broadcast: Broadcast
    ) -> Tensor:
        if self.aim == "told":
            return broadcast.target
        v_next = transition.next_voltage
        next_alpha = neurons(v_next, layer.target_weight, layer.target_bias, layer.activation)
        return self.td_target(transition, self.values(state, layer, v_next, next_alpha, target=True))


def _for_each(voltage: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """v once for every neuron, (S·n, B, n_in), and each neuron's own α, (S·n, B, 1)."""
    shared = voltage.unsqueeze(1).expand(-1, alpha.shape[-1], -1, -1).flatten(0, 1)
    return shared, _stacked(alpha)


def _stacked(per_neuron: Tensor) -> Tensor:
    """(S, B, n) → (S·n, B, 1)."""
    return per_neuron.mT.flatten(0, 1).unsqueeze(-1)


def _by_seed(stacked: Tensor, seeds: int) -> Tensor:
    """(S·n, B, 1) → (S, B, n)."""
    found: Tensor = stacked.squeeze(-1).unflatten(0, (seeds, -1))
    return found.mT
