"""Learned feedback: each neuron finds out by its own noise how it moves the action, and follows what the action wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from subcritic.rules.feedback_alignment import Feedback, FeedbackAlignmentRule
from subcritic.rules.protocol import SILENCE, Broadcast, Critics, Layer, LocalTransition


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

    @property
    def receives(self) -> frozenset[str]:
        return frozenset({"voltage", "alpha", "noise", "feedback", "deviation"})

    def init(self, layer: Layer, rngs: Sequence[np.random.Generator]) -> Feedback:
        state = super().init(layer, rngs)
        return state if layer.last else Feedback(torch.zeros_like(state.weight))

    def diagnostics(self, state: Feedback) -> dict[str, Tensor]:
        return {"critic_norm": state.weight.norm(dim=(1, 2))}

    def push(
        self, state: Feedback, layer: Layer, seen: LocalTransition, heard: Broadcast = SILENCE
    ) -> Tensor:
        if layer.last:
            return heard.feedback
        return self._through(state, layer, heard.feedback, seen.alpha - seen.noise)

    def _learn(
        self, state: Critics, layer: Layer, seen: LocalTransition, heard: Broadcast
    ) -> tuple[None, Tensor]:
        if not layer.last:
            xi, rate = seen.noise, self.feedback_rate / layer.noise_variance
            power = xi.square().mean(dim=1, keepdim=True)
            state.weight.sub_(state.weight * power, alpha=rate)
            state.weight.baddbmm_(heard.deviation.mT, xi, alpha=rate / xi.shape[1])
        return None, self.push(state, layer, seen, heard)
