"""The drafts' rule of Experiment 2: every neuron is an actor-critic of its own, with a linear critic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from subcritic.nn import compiled
from subcritic.nn.activations import ACTIVATIONS, neurons, times_slope
from subcritic.nn.products import add_product
from subcritic.rules.base import Rule, uniform
from subcritic.rules.optimisers import Plain
from subcritic.rules.protocol import NO_BROADCAST, Broadcast, Layer, LocalTransition, RuleState


@dataclass
class LinearState(RuleState):
    """θ of all neurons of a layer. voltage θ_v (S, n_in, n), bias θ_0 and alpha θ_a (S, 1, n), and their target copies."""

    voltage: Tensor
    bias: Tensor
    alpha: Tensor
    target_voltage: Tensor
    target_bias: Tensor
    target_alpha: Tensor

    @property
    def per_neuron(self) -> bool:
        return True

    @cached_property
    def arrays(self) -> list[np.ndarray] | None:
        """All tensors for compiled functions, if these can take them."""
        found = [compiled.array(tensor) for tensor in self.tensors().values()]
        complete = all(array is not None for array in found)
        return [array for array in found if array is not None] if complete else None


@dataclass(frozen=True)
class LinearRule(Rule[LinearState]):
    """Q^n(v, α) = θ_v·v + θ_0 + θ_a α and μ^n(v) = σ(K^n·v + b), plain gradient steps (drafts, Experiment 2).

    D = r + γ (1 − terminated) Q^n′(v′, μ^n′(v′)) − Q^n(v, α)
    θ_v += η_Q mean(D v);  θ_0 += η_Q mean(D);  θ_a += η_Q mean(D α);  K^n += η_A mean(θ_a σ'(z) v), with the new θ_a;
    then targets θ' ← τθ + (1 − τ)θ'. The biases b and θ_0 are the weights from a voltage that is always 1; θ_0 starts at 0.

    Reads v, α, v′, r, terminated; with aim 'told', y in place of the last three. Six products per layer, or four.
    """

    has_critic: ClassVar[bool] = True

    @cached_property
    def _discount(self) -> Tensor:
        # A number in its place would be made a tensor at every update.
        return torch.tensor(self.discount, dtype=torch.float64)

    def new_state(self, layer: Layer, rngs: Sequence[np.random.Generator]) -> LinearState:
        _, n_in, n_out = layer.weight.shape
        theta = uniform(rngs, n_in + 1, (n_in + 1, n_out), layer.weight)
        voltage, alpha = theta[:, :n_in].contiguous(), theta[:, n_in:].contiguous()
        learned = voltage, torch.zeros_like(alpha), alpha
        return LinearState(*learned, *(tensor.clone() for tensor in learned))

    def values(self, state: LinearState, layer: Layer, voltage: Tensor, alpha: Tensor) -> Tensor:
        return add_product(torch.addcmul(state.bias, alpha, state.alpha), voltage, state.voltage)

    def residual(
        self,
        state: LinearState,
        layer: Layer,
        transition: LocalTransition,
        broadcast: Broadcast = NO_BROADCAST,
    ) -> Tensor:
        """D, (S, B, n)."""
        if self.aim == "told":
            return broadcast.target - self.values(state, layer, transition.voltage, transition.alpha)
        next_voltage = transition.next_voltage
        next_alpha = neurons(next_voltage, layer.target_weight, layer.target_bias, layer.activation)
        next_value = torch.addcmul(state.target_bias, next_alpha, state.target_alpha)
        add_product(next_value, next_voltage, state.target_voltage)
        bootstrap = torch.sub(self._discount, transition.terminated, alpha=self.discount)
        target = next_value.mul_(bootstrap).add_(transition.reward)
        return target.sub_(self.values(state, layer, transition.voltage, transition.alpha))

    def local_error(
        self,
        state: LinearState,
        layer: Layer,
        transition: LocalTransition,
        broadcast: Broadcast = NO_BROADCAST,
    ) -> Tensor:
        """∂Q^n/∂α · σ'(z) = θ_a σ'(z), (S, B, n): the same θ_a in every state."""
        h = neurons(transition.voltage, layer.weight, layer.bias, layer.activation)
        return times_slope(state.alpha.expand_as(h), h, layer.activation)

    def diagnostics(self, state: LinearState) -> dict[str, Tensor]:
        return {"theta_a": state.alpha.abs().mean(dim=(1, 2)), "critic_norm": state.voltage.norm(dim=(1, 2))}

    def update_state(
        self, state: LinearState, layer: Layer, transition: LocalTransition, broadcast: Broadcast
    ) -> tuple[Tensor, Tensor]:
        residual = self.residual(state, layer, transition, broadcast)
        state.critic_optimiser.outer("voltage", transition.voltage, residual)
        state.critic_optimiser.mean("bias", residual)
        state.critic_optimiser.mean("alpha", residual * transition.alpha)
        targets = state.target_voltage, state.target_bias, state.target_alpha
        torch._foreach_lerp_(targets, (state.voltage, state.bias, state.alpha), self.polyak)
        return residual, self.local_error(state, layer, transition)

    def learn(
        self,
        state: LinearState,
        layer: Layer,
        transition: LocalTransition,
        broadcast: Broadcast = NO_BROADCAST,
        moves: bool = True,
    ) -> Tensor | None:
        """In one call where compiled functions are used, for plain steps towards the neuron's own target."""
        v, (seeds, n_in, n) = transition.voltage, layer.weight.shape
        kept, critic = layer.packed, state.arrays
        plain = self.optimiser == "sgd" and type(state.weight_optimiser) is Plain and self.aim == "own"
        if not plain or kept is None or critic is None or not compiled.serves(n_in * n, v):
            return super().learn(state, layer, transition, broadcast, moves)
        residual = np.empty((seeds, v.shape[1], n), np.float32)
        seen = (v, transition.alpha, transition.next_voltage, transition.reward, transition.terminated)
        compiled.kernels("rules.kernels").linear(
            *(tensor.numpy() for tensor in seen),
            *kept.arrays,
            kept.stride,
            *critic,
            ACTIVATIONS.index(layer.activation),
            self.discount,
            self.polyak,
            self.critic_rate,
            self.actor_rate,
            moves,
            residual,
        )
        return torch.from_numpy(residual)
