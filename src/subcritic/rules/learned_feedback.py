"""Learned feedback: each neuron learns from its own noise how it moves the action, and weighs the error there by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from subcritic.config import ImaginingSettings, LocalSettings
from subcritic.rules.base import shared
from subcritic.rules.feedback_alignment import FeedbackAlignmentRule, FeedbackState
from subcritic.rules.protocol import NO_BROADCAST, Broadcast, Layer, LocalTransition


class LearnedFeedbackSettings(ImaginingSettings):
    """Feedback is learned from imagined noise, at `feedback_rate`."""

    @property
    def learns_feedback(self) -> bool:
        return True

    @classmethod
    def defaults(cls, given: dict[str, Any]) -> dict[str, Any]:
        own = {"replay": "imagined"}
        return own | super().defaults({**own, **given})

    def conflicts(self) -> list[tuple[bool, str]]:
        return [
            *super().conflicts(),
            (
                self.replay != "imagined",
                f"learned_feedback learns from imagined noise: replay must be imagined, not {self.replay}",
            ),
        ]


@dataclass(frozen=True)
class LearnedFeedbackRule(FeedbackAlignmentRule):
    """K^n += η_A mean((e · B_n) σ'(z) v), with B_n learned from noise (Lansdell, Prakash and Kording 2020).

    e (S, B, n_L) is what the action's neurons find for their own z, each from its own noise and one scalar:
    e_i = σ'(z_i) A ξ_i / E[ξ²]. Δz (S, B, n_L) is by how much the noise of the hidden neurons moved those z.
    B_n += η_B (mean(Δz ξ_n) − B_n mean(ξ_n²)) / E[ξ²]: B_n is the slope of Δz on the neuron's own noise, the mean ∂z_L/∂h_n.
    So Q^n(v, α) = (α − μ^n(v)) (e · B_n) is a critic whose context is broadcast. B starts at 0: no opinion.

    Reads v, ξ, and two vectors, e and Δz: 2 n_L scalars cross layers, no gradient does. One wide product per layer.
    """

    feedback_rate: float = 0.1

    Settings: ClassVar[type[LocalSettings]] = LearnedFeedbackSettings

    @classmethod
    def from_settings(cls, settings: LocalSettings, action_size: int) -> Self:
        return cls(**shared(settings), action_size=action_size, feedback_rate=settings.feedback_rate)

    @property
    def receives(self) -> frozenset[str]:
        return frozenset({"voltage", "alpha", "noise", "feedback", "deviation"})

    def new_state(self, layer: Layer, rngs: Sequence[np.random.Generator]) -> FeedbackState:
        state = super().new_state(layer, rngs)
        return state if layer.last else FeedbackState(torch.zeros_like(state.weight))

    def diagnostics(self, state: FeedbackState) -> dict[str, Tensor]:
        return {"critic_norm": state.weight.norm(dim=(1, 2))}

    def local_error(
        self,
        state: FeedbackState,
        layer: Layer,
        transition: LocalTransition,
        broadcast: Broadcast = NO_BROADCAST,
    ) -> Tensor:
        if layer.last:
            return broadcast.feedback
        return self._through(state, layer, broadcast.feedback, transition.alpha - transition.noise)

    def update_state(
        self, state: FeedbackState, layer: Layer, transition: LocalTransition, broadcast: Broadcast
    ) -> tuple[None, Tensor]:
        if not layer.last:
            xi, rate = transition.noise, self.feedback_rate / layer.noise_variance
            power = xi.square().mean(dim=1, keepdim=True)
            state.weight.sub_(state.weight * power, alpha=rate)
            state.weight.baddbmm_(broadcast.deviation.mT, xi, alpha=rate / xi.shape[1])
        return None, self.local_error(state, layer, transition, broadcast)
