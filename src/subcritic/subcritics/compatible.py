"""Sub-critics with compatible features: the critic of the rule `compatible`, learned beside an actor without moving it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from subcritic.nn import MLP, Parameters
from subcritic.nn.activations import neurons, times_slope
from subcritic.rules.compatible import CompatibleRule
from subcritic.rules.optimisers import Plain
from subcritic.rules.protocol import NO_BROADCAST, Broadcast, Layer, LocalTransition


class CompatibleSubCritics:
    """Q^n(v, α) = V(v) + (α − μ^n(v)) σ'(z) (w·v) of every neuron of an actor's layers; steps are Adam's.

    aim 'own': each neuron's own TD target; 'told': a target that all neurons are told. h are h_0 … h_L, (S, B, n_l).
    """

    def __init__(
        self,
        actor: MLP,
        policy: Parameters,
        target: Parameters,
        aim: Literal["own", "told"],
        rate: float,
        discount: float,
        polyak: float,
        rngs: Sequence[np.random.Generator],
    ) -> None:
        self.layers = layers_of(actor, policy, target)
        self.rule = CompatibleRule("adam", critic_rate=rate, discount=discount, polyak=polyak, aim=aim)
        # The actor's neurons are never moved.
        nothing = Plain({}, rate)
        self.critics = [self.rule.init(layer, rngs, nothing) for layer in self.layers]

    def learn(
        self,
        h: Sequence[Tensor],
        h_next: Sequence[Tensor],
        reward: Tensor,
        terminated: Tensor,
        told: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """One step of every neuron's critic; `told` (S, B, 1) is the target where the aim is that. Returns losses, (S,)."""
        losses = {}
        for number, (state, layer) in enumerate(zip(self.critics, self.layers, strict=True), start=1):
            transition = LocalTransition(h[number - 1], h[number], reward, terminated, h_next[number - 1])
            residual = self.rule.learn(
                state,
                layer,
                transition,
                Broadcast(target=told) if told is not None else NO_BROADCAST,
                moves=False,
            )
            assert residual is not None, "the rule has critics"
            losses[f"neurons_{number}"] = residual.square().mean(dim=(1, 2))
        return losses

    def values(self, number: int, v: Tensor, alpha: Tensor) -> Tensor:
        """Q^n(v, α) of layer `number`, (S, B, n)."""
        return self.rule.values(self.critics[number - 1], self.layers[number - 1], v, alpha)

    def action_gradient(self, number: int, v: Tensor) -> Tensor:
        """∂Q^n/∂α = σ'(z) (w·v), the same at every α, (S, B, n)."""
        state, layer = self.critics[number - 1], self.layers[number - 1]
        h = neurons(v, layer.weight, layer.bias, layer.activation)
        return times_slope(torch.baddbmm(state.bias, v, state.weight), h, layer.activation)

    def state_dict(self) -> dict[str, Any]:
        return {"critics": [state.state_dict() for state in self.critics]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for mine, saved in zip(self.critics, state["critics"], strict=True):
            mine.load_state_dict(saved)


def layers_of(actor: MLP, policy: Parameters, target: Parameters) -> list[Layer]:
    """The layers of an actor as a local rule sees them, views of its parameters."""
    return [
        Layer(weight, bias, target_weight, target_bias, actor.activation(number), last=number == actor.depth)
        for number, (weight, bias, target_weight, target_bias) in enumerate(
            zip(policy.weights, policy.biases, target.weights, target.biases, strict=True), start=1
        )
    ]
