"""Direct feedback alignment: the error at the action, sent to every neuron through fixed random weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from subcritic.nn.activations import neurons, times_slope
from subcritic.rules.base import Rule, uniform
from subcritic.rules.protocol import SILENCE, Broadcast, Critics, Layer, LocalTransition


@dataclass
class Feedback(Critics):
    """weight B (S, n_L, n): fixed."""

    weight: Tensor


@dataclass(frozen=True)
class FeedbackAlignmentRule(Rule):
    """K^n += η_A mean((∂Q^μ/∂a · B_n) σ'(z) v), B_n fixed and random, the identity for the action's neurons (Nøkland 2016).

    B is uniform in ±1/√n_L. Reads v and a vector, ∂Q^μ/∂a: more than a scalar crosses layers. Two products per layer and
    a small one.
    """

    action_size: int = 1

    judges: ClassVar[bool] = False

    @property
    def receives(self) -> frozenset[str]:
        return frozenset({"voltage", "feedback"})

    def init(self, layer: Layer, rngs: Sequence[np.random.Generator]) -> Feedback:
        shape = (self.action_size, layer.weight.shape[-1])
        if layer.last:
            return Feedback(torch.eye(*shape, dtype=layer.weight.dtype).repeat(len(rngs), 1, 1))
        return Feedback(uniform(rngs, self.action_size, shape, layer.weight))

    def push(
        self, state: Feedback, layer: Layer, seen: LocalTransition, heard: Broadcast = SILENCE
    ) -> Tensor:
        h = neurons(seen.voltage, layer.weight, layer.bias, layer.activation)
        return self._through(state, layer, heard.feedback, h)

    def _through(self, state: Feedback, layer: Layer, feedback: Tensor, h: Tensor) -> Tensor:
        return times_slope(torch.bmm(feedback, state.weight), h, layer.activation)

    def _learn(
        self, state: Feedback, layer: Layer, seen: LocalTransition, heard: Broadcast
    ) -> tuple[None, Tensor]:
        return None, self.push(state, layer, seen, heard)
