"""Compatible features: a critic that can hold the policy gradient of its neuron, and nothing in its way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from subcritic.bellman import bellman_target
from subcritic.nn.activations import neurons, times_slope
from subcritic.rules.base import TRANSITION, Rule
from subcritic.rules.protocol import SILENCE, Broadcast, Critics, Layer, LocalTransition


@dataclass
class CompatibleCritics(Critics):
    """V: value (S, n_in, 1), value_bias (S, 1, 1). The advantage: weight w (S, n_in, n), bias (S, 1, n)."""

    value: Tensor
    value_bias: Tensor
    target_value: Tensor
    target_value_bias: Tensor
    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class CompatibleRule(Rule):
    """Q^n(v, α) = V(v) + (α − μ^n(v)) σ'(z) (w·v), after Silver et al. 2014, section 4.3 (z = K^n·v + b).

    D_V = r + γ (1 − terminated) V′(v′) − V(v), since Q^n′(v′, μ^n(v′)) = V′(v′);  D = D_V − (α − μ) σ'(z) (w·v)
    V's weights += η_Q mean(D_V v);  w += η_Q mean(D (α − μ) σ'(z) v)
    K^n += η_A mean(σ'(z)² (w·v) v), with w as before the update (it saves a product);
    or the natural gradient's step K^n += η_A w, with the new w.

    V starts at 0 and sees what is the same for all neurons of a layer, so they all have the same V: it is kept once.
    w starts at 0: no opinion. V and w have biases, weights from a voltage that is always 1.

    With a broadcast y in place of the TD target, D_V = y − V(v). With a broadcast advantage (`imagined`), which already is
    free of V, D_V = A. Reads v, α, v′, r, terminated, or ξ in place of z where it is known. Four products per layer at most.

    With trace λ > 0, the TD target is the λ-return over the rows that follow, as far as they are of the same episode:
    G_k = r_k + γ (1 − terminated_k) ((1 − λ) V′(v′_k) + λ G_{k+1}), the last one with V′ alone (Sutton and Barto 2018,
    section 12.3). It is not corrected for the actions in between, which were those of older policies.
    """

    natural: bool = False
    imagined: bool = False
    knows_noise: bool = False
    trace: float = 0.0

    @property
    def receives(self) -> frozenset[str]:
        if self.imagined:
            return frozenset({"voltage", "alpha", "noise", "advantage"})
        told = TRANSITION if self.aim == "own" else frozenset({"voltage", "alpha", "target"})
        extra = {"noise": self.knows_noise, "following": self.trace > 0}
        return told | {name for name, wanted in extra.items() if wanted}

    def init(self, layer: Layer, rngs: Sequence[np.random.Generator]) -> CompatibleCritics:
        seeds, n_in, n_out = layer.weight.shape
        shapes = [(n_in, 1), (1, 1), (n_in, 1), (1, 1), (n_in, n_out), (1, n_out)]
        return CompatibleCritics(*(layer.weight.new_zeros(seeds, *shape) for shape in shapes))

    def values(self, state: CompatibleCritics, layer: Layer, voltage: Tensor, alpha: Tensor) -> Tensor:
        h = neurons(voltage, layer.weight, layer.bias, layer.activation)
        slope = torch.baddbmm(state.bias, voltage, state.weight)
        value = torch.baddbmm(state.value_bias, voltage, state.value)
        return times_slope(slope, h, layer.activation).mul_(alpha - h).add_(value)

    def push(
        self, state: CompatibleCritics, layer: Layer, seen: LocalTransition, heard: Broadcast = SILENCE
    ) -> Tensor:
        slope = torch.baddbmm(state.bias, seen.voltage, state.weight)
        return self._push(layer, self._mean_voltage(layer, seen), slope)

    def direction(
        self, state: CompatibleCritics, layer: Layer, seen: LocalTransition, heard: Broadcast = SILENCE
    ) -> tuple[Tensor, Tensor]:
        return (state.weight, state.bias) if self.natural else super().direction(state, layer, seen, heard)

    def diagnostics(self, state: CompatibleCritics) -> dict[str, Tensor]:
        return {"critic_norm": state.weight.norm(dim=(1, 2))}

    def _learn(
        self, state: CompatibleCritics, layer: Layer, seen: LocalTransition, heard: Broadcast
    ) -> tuple[Tensor, Tensor]:
        v = seen.voltage
        surprise = self._value_residual(state, seen, heard)
        h = self._mean_voltage(layer, seen)
        feature = times_slope(seen.alpha - h, h, layer.activation)
        slope = torch.baddbmm(state.bias, v, state.weight)
        residual = torch.addcmul(surprise, feature, slope, value=-1)
        if not self.imagined:
            self._learn_value(state, v, surprise)
        feature.mul_(residual)
        self.critic.outer(state.weight, v, feature)
        self.critic.mean(state.bias, feature)
        return residual, None if self.natural else self._push(layer, h, slope)

    def _move(self, state: CompatibleCritics, layer: Layer, seen: LocalTransition, push: Tensor) -> None:
        if not self.natural:
            return super()._move(state, layer, seen, push)
        self.actor.along(layer.weight, state.weight)
        self.actor.along(layer.bias, state.bias)

    def _value_residual(self, state: CompatibleCritics, seen: LocalTransition, heard: Broadcast) -> Tensor:
        """D_V, (S, B, 1)."""
        if self.imagined:
            return heard.advantage
        target = heard.target if self.aim == "told" else self._return(state, seen)
        return target - torch.baddbmm(state.value_bias, seen.voltage, state.value)

    def _return(self, state: CompatibleCritics, seen: LocalTransition) -> Tensor:
        """The TD target, or the λ-return, (S, B, 1)."""
        next_value = torch.baddbmm(state.target_value_bias, seen.next_voltage, state.target_value)
        if self.trace == 0:
            return self._bellman(seen, next_value)
        after = seen.following
        v = after.next_voltage.flatten(1, 2)
        later = torch.baddbmm(state.target_value_bias, v, state.target_value).view_as(after.reward)
        values = torch.cat((next_value.unsqueeze(2), later), dim=2)
        rewards = torch.cat((seen.reward.unsqueeze(2), after.reward), dim=2)
        ends = torch.cat((seen.terminated.unsqueeze(2), after.terminated), dim=2)
        mixed = values[:, :, -1]
        for k in range(values.shape[2] - 1, 0, -1):
            found = bellman_target(rewards[:, :, k], self.discount, ends[:, :, k], mixed)
            mixed = values[:, :, k - 1].lerp(found, self.trace * after.continues[:, :, k - 1])
        return bellman_target(rewards[:, :, 0], self.discount, ends[:, :, 0], mixed)

    def _learn_value(self, state: CompatibleCritics, v: Tensor, surprise: Tensor) -> None:
        self.critic.outer(state.value, v, surprise)
        self.critic.mean(state.value_bias, surprise)
        state.target_value.lerp_(state.value, self.polyak)
        state.target_value_bias.lerp_(state.value_bias, self.polyak)

    def _mean_voltage(self, layer: Layer, seen: LocalTransition) -> Tensor:
        """μ^n(v): from the noise where that is known, which saves a product."""
        if seen.noise is not None:
            return seen.alpha - seen.noise
        return neurons(seen.voltage, layer.weight, layer.bias, layer.activation)

    def _push(self, layer: Layer, h: Tensor, slope: Tensor) -> Tensor:
        """σ'(z)² (w·v): once for ∂Q^n/∂α at α = μ, once for ∂μ/∂z."""
        return times_slope(times_slope(slope, h, layer.activation), h, layer.activation)
