"""Direct feedback alignment: the error at the action, sent to every neuron through fixed random weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from subcritic.config import LocalSettings
from subcritic.nn.activations import neurons, times_slope
from subcritic.rules.base import Rule, made_as, shared, uniform
from subcritic.rules.protocol import NO_BROADCAST, Broadcast, Layer, LocalTransition, RuleState


class FeedbackAlignmentSettings(LocalSettings):
    """The error at the action is ∂Q^μ/∂a of a global critic."""

    @classmethod
    def defaults(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {"replay": "recomputed", "target": "global_q"} | super().defaults(given)

    def conflicts(self) -> list[tuple[bool, str]]:
        return [
            *super().conflicts(),
            (
                self.target != "global_q",
                f"feedback_alignment follows the global critic's ∂Q/∂a: target must be global_q, not {self.target}",
            ),
            (
                self.critic in ("local_heads", "learned_feedback"),
                f"feedback_alignment needs ∂Q/∂a: critic must be backprop or random_features, not {self.critic}",
            ),
        ]


@dataclass
class FeedbackState(RuleState):
    """weight B (S, n_L, n)."""

    weight: Tensor

    def learned(self) -> dict[str, Tensor]:
        """None: B is fixed, or follows an equation of its own."""
        return {}


@dataclass(frozen=True)
class FeedbackAlignmentRule(Rule[FeedbackState]):
    """K^n += η_A mean((∂Q^μ/∂a · B_n) σ'(z) v), B_n fixed and random, the identity for the action's neurons (Nøkland 2016).

    B is uniform in ±1/√n_L. Reads v and a vector, ∂Q^μ/∂a: more than a scalar crosses layers. Two products per layer and
    a small one.
    """

    action_size: int = 1

    Settings: ClassVar[type[LocalSettings]] = FeedbackAlignmentSettings

    @classmethod
    def from_settings(cls, settings: LocalSettings, action_size: int) -> Self:
        return cls(**shared(settings), action_size=action_size)

    @property
    def receives(self) -> frozenset[str]:
        return frozenset({"voltage", "feedback"})

    def new_state(self, layer: Layer, rngs: Sequence[np.random.Generator]) -> FeedbackState:
        shape = (self.action_size, layer.weight.shape[-1])
        if layer.last:
            return FeedbackState(torch.eye(*shape, **made_as(layer.weight)).repeat(len(rngs), 1, 1))
        return FeedbackState(uniform(rngs, self.action_size, shape, layer.weight))

    def local_error(
        self,
        state: FeedbackState,
        layer: Layer,
        transition: LocalTransition,
        broadcast: Broadcast = NO_BROADCAST,
    ) -> Tensor:
        h = neurons(transition.voltage, layer.weight, layer.bias, layer.activation)
        return self._through(state, layer, broadcast.feedback, h)

    def _through(self, state: FeedbackState, layer: Layer, feedback: Tensor, h: Tensor) -> Tensor:
        return times_slope(torch.bmm(feedback, state.weight), h, layer.activation)
