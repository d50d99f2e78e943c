"""A linear critic plus one v·α term, so that ∂Q/∂α can depend on v."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from subcritic.nn.activations import neurons, times_slope
from subcritic.rules.base import Rule, uniform
from subcritic.rules.protocol import NO_BROADCAST, Broadcast, Layer, LocalTransition, RuleState


@dataclass
class BilinearState(RuleState):
    """voltage θ_v and mixed w (S, n_in, n), bias θ_0 and alpha θ_a (S, 1, n), and their target copies."""

    voltage: Tensor
    bias: Tensor
    alpha: Tensor
    mixed: Tensor
    target_voltage: Tensor
    target_bias: Tensor
    target_alpha: Tensor
    target_mixed: Tensor

    @property
    def per_neuron(self) -> bool:
        return True


@dataclass(frozen=True)
class BilinearRule(Rule[BilinearState]):
    """Q^n(v, α) = θ_v·v + θ_0 + (θ_a + w·v) α: whether more α is better may differ from state to state.

    D, θ_v, θ_0 and θ_a as of the linear rule;  w += η_Q mean(D α v);
    K^n += η_A mean((θ_a + w·v) σ'(z) v), with the new θ_a and w; then targets.

    Reads v, α, v′, r, terminated; with aim 'told', y in place of the last three. Ten products per layer, or seven.
    """

    has_critic: ClassVar[bool] = True

    def new_state(self, layer: Layer, rngs: Sequence[np.random.Generator]) -> BilinearState:
        _, n_in, n_out = layer.weight.shape
        theta = uniform(rngs, n_in + 1, (n_in + 1, n_out), layer.weight)
        mixed = uniform(rngs, n_in + 1, (n_in, n_out), layer.weight)
        voltage, alpha = theta[:, :n_in].contiguous(), theta[:, n_in:].contiguous()
        learned = voltage, torch.zeros_like(alpha), alpha, mixed
        return BilinearState(*learned, *(tensor.clone() for tensor in learned))

    def values(self, state: BilinearState, layer: Layer, voltage: Tensor, alpha: Tensor) -> Tensor:
        return _value(voltage, alpha, state.voltage, state.bias, state.alpha, state.mixed)

    def residual(
        self,
        state: BilinearState,
        layer: Layer,
        transition: LocalTransition,
        broadcast: Broadcast = NO_BROADCAST,
    ) -> Tensor:
        """D, (S, B, n)."""
        value = self.values(state, layer, transition.voltage, transition.alpha)
        if self.aim == "told":
            return broadcast.target - value
        v_next = transition.next_voltage
        next_alpha = neurons(v_next, layer.target_weight, layer.target_bias, layer.activation)
        targets = state.target_voltage, state.target_bias, state.target_alpha, state.target_mixed
        return self.td_target(transition, _value(v_next, next_alpha, *targets)).sub_(value)

    def local_error(
        self,
        state: BilinearState,
        layer: Layer,
        transition: LocalTransition,
        broadcast: Broadcast = NO_BROADCAST,
    ) -> Tensor:
        h = neurons(transition.voltage, layer.weight, layer.bias, layer.activation)
        return times_slope(torch.baddbmm(state.alpha, transition.voltage, state.mixed), h, layer.activation)

    def diagnostics(self, state: BilinearState) -> dict[str, Tensor]:
        return {"theta_a": state.alpha.abs().mean(dim=(1, 2)), "critic_norm": state.mixed.norm(dim=(1, 2))}

    def update_state(
        self, state: BilinearState, layer: Layer, transition: LocalTransition, broadcast: Broadcast
    ) -> tuple[Tensor, Tensor]:
        residual = self.residual(state, layer, transition, broadcast)
        times_alpha = residual * transition.alpha
        state.critic_optimiser.outer("voltage", transition.voltage, residual)
        state.critic_optimiser.mean("bias", residual)
        state.critic_optimiser.mean("alpha", times_alpha)
        state.critic_optimiser.outer("mixed", transition.voltage, times_alpha)
        targets = state.target_voltage, state.target_bias, state.target_alpha, state.target_mixed
        torch._foreach_lerp_(targets, (state.voltage, state.bias, state.alpha, state.mixed), self.polyak)
        return residual, self.local_error(state, layer, transition)


def _value(
    v: Tensor, alpha: Tensor, theta_v: Tensor, theta_0: Tensor, theta_a: Tensor, mixed: Tensor
) -> Tensor:
    slope = torch.baddbmm(theta_a, v, mixed)
    return torch.addcmul(theta_0, slope, alpha).baddbmm_(v, theta_v)
