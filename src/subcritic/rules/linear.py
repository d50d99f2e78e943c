"""The drafts' rule of Experiment 2: every neuron its own actor-critic with a linear critic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from subcritic.nn.activations import neurons, times_slope
from subcritic.rules.protocol import Layer, LocalTransition


@dataclass
class LinearCritics:
    """θ of all neurons of a layer. voltage θ_v (S, n_in, n), alpha θ_a (S, 1, n), and their target copies."""

    voltage: Tensor
    alpha: Tensor
    target_voltage: Tensor
    target_alpha: Tensor


@dataclass(frozen=True)
class LinearRule:
    """Q^n(v, α) = θ_v·v + θ_a α and μ^n(v) = σ(K^n·v + b), plain gradient steps (drafts, Experiment 2).

    D = r + γ (1 − terminated) Q^n′(v′, μ^n′(v′)) − Q^n(v, α)
    θ_v += η_Q mean(D v);  θ_a += η_Q mean(D α);  K^n += η_A mean(θ_a σ'(z) v), with the new θ_a;
    then targets θ' ← τθ + (1 − τ)θ'. The bias b is the weight from a voltage that is always 1.
    """

    critic_rate: float
    actor_rate: float
    discount: float
    polyak: float

    def init(self, layer: Layer, rngs: Sequence[np.random.Generator]) -> LinearCritics:
        _, n_in, n_out = layer.weight.shape
        bound = 1 / np.sqrt(n_in + 1)
        drawn = np.stack([rng.uniform(-bound, bound, (n_in + 1, n_out)) for rng in rngs])
        theta = torch.from_numpy(drawn).to(layer.weight.dtype)
        voltage, alpha = theta[:, :n_in].contiguous(), theta[:, n_in:].contiguous()
        return LinearCritics(voltage, alpha, voltage.clone(), alpha.clone())

    def values(self, state: LinearCritics, voltage: Tensor, alpha: Tensor) -> Tensor:
        return torch.bmm(voltage, state.voltage).addcmul_(alpha, state.alpha)

    def residual(self, state: LinearCritics, layer: Layer, transition: LocalTransition) -> Tensor:
        """D, (S, B, n)."""
        next_voltage = transition.next_voltage
        next_alpha = neurons(next_voltage, layer.target_weight, layer.target_bias, layer.activation)
        next_value = torch.bmm(next_voltage, state.target_voltage).addcmul_(next_alpha, state.target_alpha)
        bootstrap = self.discount * (1 - transition.terminated)
        target = next_value.mul_(bootstrap).add_(transition.reward)
        # Minus Q^n(v, α), accumulated in place.
        target.addcmul_(transition.alpha, state.alpha, value=-1)
        return target.baddbmm_(transition.voltage, state.voltage, alpha=-1)

    def direction(
        self, state: LinearCritics, layer: Layer, transition: LocalTransition
    ) -> tuple[Tensor, Tensor]:
        push = self._push(state, layer, transition.voltage)
        batch = push.shape[1]
        return torch.bmm(transition.voltage.mT, push) / batch, push.mean(dim=1, keepdim=True)

    def update(self, state: LinearCritics, layer: Layer, transition: LocalTransition) -> Tensor:
        v, batch = transition.voltage, transition.voltage.shape[1]
        # Sums over the minibatch, divided by its size in the rate.
        critic_rate, actor_rate = self.critic_rate / batch, self.actor_rate / batch
        residual = self.residual(state, layer, transition)
        state.voltage.baddbmm_(v.mT, residual, alpha=critic_rate)
        state.alpha.add_((residual * transition.alpha).sum(dim=1, keepdim=True), alpha=critic_rate)
        push = self._push(state, layer, v)
        layer.weight.baddbmm_(v.mT, push, alpha=actor_rate)
        layer.bias.add_(push.sum(dim=1, keepdim=True), alpha=actor_rate)
        state.target_voltage.lerp_(state.voltage, self.polyak)
        state.target_alpha.lerp_(state.alpha, self.polyak)
        layer.target_weight.lerp_(layer.weight, self.polyak)
        layer.target_bias.lerp_(layer.bias, self.polyak)
        return residual

    def _push(self, state: LinearCritics, layer: Layer, voltage: Tensor) -> Tensor:
        """∂Q^n/∂α · σ'(z) = θ_a σ'(z), (S, B, n): the critic's push on z, the same θ_a in every state."""
        h = neurons(voltage, layer.weight, layer.bias, layer.activation)
        return times_slope(state.alpha.expand_as(h), h, layer.activation)
