"""Compatible function approximation (Silver et al. 2014): a critic with just the features that the policy gradient needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from subcritic.config import ImaginingSettings, LocalSettings
from subcritic.config.sections import Count, Rate
from subcritic.nn.activations import neurons, times_slope
from subcritic.rules.base import TRANSITION, Rule, lambda_return, shared
from subcritic.rules.protocol import NO_BROADCAST, Broadcast, Layer, LocalTransition, RuleState


class CompatibleSettings(ImaginingSettings):
    """A critic with compatible features; from imagined noise it regresses on the advantage alone."""

    natural: bool = Field(
        False, description="Whether weights step along w, the natural gradient, in place of the gradient."
    )
    value_rate: Rate | None = Field(
        None,
        description="Step size η_V of V, since by Adam a weight moves by at most about this much per update, and V has to "
        "reach the size of the returns; None: critic_rate.",
    )
    trace: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="λ of the λ-return that V regresses on; 0 is the one-step target."
    )
    trace_length: Count = Field(8, description="Rows stored in a row that a λ-return spans.")

    def conflicts(self) -> list[tuple[bool, str]]:
        told = self.target != "own_td" or self.replay == "imagined"
        return [
            *super().conflicts(),
            (self.trace > 0 and told, "trace needs target own_td and replay stored or recomputed"),
            (
                self.natural and self.normalisation != "none",
                "natural steps along the gradient of weights that are not divided: normalisation must be none, "
                f"not {self.normalisation}",
            ),
        ]

    def unused(self) -> dict[str, tuple[bool, str]]:
        return {
            **super().unused(),
            "value_rate": (self.replay != "imagined", "replay stored or recomputed"),
            "trace_length": (self.trace > 0, "trace above 0"),
        }


@dataclass
class CompatibleState(RuleState):
    """V: value (S, n_in, 1), value_bias (S, 1, 1). The advantage: weight w (S, n_in, n), bias (S, 1, n)."""

    value: Tensor
    value_bias: Tensor
    target_value: Tensor
    target_value_bias: Tensor
    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class CompatibleRule(Rule[CompatibleState]):
    """Q^n(v, α) = V(v) + (α − μ^n(v)) σ'(z) (w·v), after Silver et al. 2014, section 4.3 (z = K^n·v + b).

    D_V = r + γ (1 − terminated) V′(v′) − V(v), since Q^n′(v′, μ^n(v′)) = V′(v′);  D = D_V − (α − μ) σ'(z) (w·v)
    V's weights += η_V mean(D_V v);  w += η_Q mean(D (α − μ) σ'(z) v)
    K^n += η_A mean(σ'(z)² (w·v) v), with w as before the update (it saves a product);
    or the natural gradient's step K^n += η_A w, with the new w.

    V starts at 0 and sees what is the same for all neurons of a layer, so they all have the same V: it is kept once.
    w starts at 0: no opinion. V and w have biases, weights from a voltage that is always 1.

    With a broadcast y in place of the TD target, D_V = y − V(v). With a broadcast advantage (`imagined`), which already is
    free of V, D_V = A. Reads v, α, v′, r, terminated, or ξ in place of z where it is known. Four products per layer at most.

    With trace λ > 0, the TD target is the λ-return, see `lambda_return`.
    """

    natural: bool = False
    imagined: bool = False
    knows_noise: bool = False
    value_rate: float | None = None
    trace: float = 0.0
    trace_length: int = 8

    Settings: ClassVar[type[LocalSettings]] = CompatibleSettings
    has_critic: ClassVar[bool] = True

    @classmethod
    def from_settings(cls, settings: CompatibleSettings, action_size: int) -> Self:
        return cls(
            **shared(settings),
            natural=settings.natural,
            imagined=settings.replay == "imagined",
            knows_noise=settings.replay != "stored",
            value_rate=settings.value_rate,
            trace=settings.trace,
            trace_length=settings.trace_length,
        )

    @property
    def consecutive(self) -> int:
        return self.trace_length if self.trace > 0 else 1

    @property
    def receives(self) -> frozenset[str]:
        if self.imagined:
            return frozenset({"voltage", "alpha", "noise", "advantage"})
        told = TRANSITION if self.aim == "own" else frozenset({"voltage", "alpha", "target"})
        extra = {"noise": self.knows_noise, "later": self.trace > 0}
        return told | {name for name, wanted in extra.items() if wanted}

    def rate_of(self, name: str) -> float:
        if self.value_rate is not None and name in ("value", "value_bias"):
            return self.value_rate
        return self.critic_rate

    def new_state(self, layer: Layer, rngs: Sequence[np.random.Generator]) -> CompatibleState:
        seeds, n_in, n_out = layer.weight.shape
        shapes = [(n_in, 1), (1, 1), (n_in, 1), (1, 1), (n_in, n_out), (1, n_out)]
        return CompatibleState(*(layer.weight.new_zeros(seeds, *shape) for shape in shapes))

    def values(self, state: CompatibleState, layer: Layer, voltage: Tensor, alpha: Tensor) -> Tensor:
        h = neurons(voltage, layer.weight, layer.bias, layer.activation)
        slope = torch.baddbmm(state.bias, voltage, state.weight)
        value = torch.baddbmm(state.value_bias, voltage, state.value)
        return times_slope(slope, h, layer.activation).mul_(alpha - h).add_(value)

    def local_error(
        self,
        state: CompatibleState,
        layer: Layer,
        transition: LocalTransition,
        broadcast: Broadcast = NO_BROADCAST,
    ) -> Tensor:
        slope = torch.baddbmm(state.bias, transition.voltage, state.weight)
        return self._error(layer, self._mean_voltage(layer, transition), slope)

    def direction(
        self,
        state: CompatibleState,
        layer: Layer,
        transition: LocalTransition,
        broadcast: Broadcast = NO_BROADCAST,
    ) -> tuple[Tensor, Tensor]:
        return (
            (state.weight, state.bias)
            if self.natural
            else super().direction(state, layer, transition, broadcast)
        )

    def diagnostics(self, state: CompatibleState) -> dict[str, Tensor]:
        return {"critic_norm": state.weight.norm(dim=(1, 2))}

    def update_state(
        self, state: CompatibleState, layer: Layer, transition: LocalTransition, broadcast: Broadcast
    ) -> tuple[Tensor, Tensor | None]:
        v = transition.voltage
        surprise = self._value_residual(state, transition, broadcast)
        h = self._mean_voltage(layer, transition)
        feature = times_slope(transition.alpha - h, h, layer.activation)
        slope = torch.baddbmm(state.bias, v, state.weight)
        residual = torch.addcmul(surprise, feature, slope, value=-1)
        if not self.imagined:
            self._learn_value(state, v, surprise)
        feature.mul_(residual)
        state.critic_optimiser.outer("weight", v, feature)
        state.critic_optimiser.mean("bias", feature)
        return residual, None if self.natural else self._error(layer, h, slope)

    def update_weights(
        self, state: CompatibleState, layer: Layer, transition: LocalTransition, error: Tensor | None
    ) -> None:
        if not self.natural:
            return super().update_weights(state, layer, transition, error)
        state.weight_optimiser.along("weight", state.weight)
        state.weight_optimiser.along("bias", state.bias)

    def _value_residual(
        self, state: CompatibleState, transition: LocalTransition, broadcast: Broadcast
    ) -> Tensor:
        """D_V, (S, B, 1)."""
        if self.imagined:
            return broadcast.advantage
        target = broadcast.target if self.aim == "told" else self._return(state, transition)
        return target - torch.baddbmm(state.value_bias, transition.voltage, state.value)

    def _return(self, state: CompatibleState, transition: LocalTransition) -> Tensor:
        """The TD target, or the λ-return, (S, B, 1)."""
        next_value = torch.baddbmm(state.target_value_bias, transition.next_voltage, state.target_value)
        if self.trace == 0:
            return self.td_target(transition, next_value)
        after = transition.later
        v = after.next_voltage.flatten(1, 2)
        later = torch.baddbmm(state.target_value_bias, v, state.target_value).view_as(after.reward)
        return lambda_return(transition, next_value, later, self.discount, self.trace)

    def _learn_value(self, state: CompatibleState, v: Tensor, surprise: Tensor) -> None:
        state.critic_optimiser.outer("value", v, surprise)
        state.critic_optimiser.mean("value_bias", surprise)
        state.target_value.lerp_(state.value, self.polyak)
        state.target_value_bias.lerp_(state.value_bias, self.polyak)

    def _mean_voltage(self, layer: Layer, transition: LocalTransition) -> Tensor:
        """μ^n(v): from the noise where that is known, which saves a product."""
        if transition.noise is not None:
            return transition.alpha - transition.noise
        return neurons(transition.voltage, layer.weight, layer.bias, layer.activation)

    def _error(self, layer: Layer, h: Tensor, slope: Tensor) -> Tensor:
        """σ'(z)² (w·v): once for ∂Q^n/∂α at α = μ, once for ∂μ/∂z."""
        return times_slope(times_slope(slope, h, layer.activation), h, layer.activation)
