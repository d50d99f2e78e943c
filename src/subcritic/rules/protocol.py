"""What a local rule is, and all it may see: one layer, and what that layer's neurons went through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from subcritic.nn.activations import Activation


@dataclass(frozen=True)
class Layer:
    """The neurons of one layer of the actor, and their target copies; a rule changes these tensors in place.

    weight (S, n_in, n): column n is K^n. bias (S, 1, n): the weight from a presynaptic voltage that is always 1.
    """

    weight: Tensor
    bias: Tensor
    target_weight: Tensor
    target_bias: Tensor
    activation: Activation


@dataclass(frozen=True)
class LocalTransition:
    """A minibatch as the neurons of one layer saw it.

    voltage v (S, B, n_in): presynaptic voltages. alpha α (S, B, n): the voltages the neurons put out, noise included.
    reward, terminated (S, B, 1): the whole agent's. next_voltage v′ (S, B, n_in).
    """

    voltage: Tensor
    alpha: Tensor
    reward: Tensor
    terminated: Tensor
    next_voltage: Tensor


class LocalRule(Protocol):
    """A learning rule for the neurons of one layer. Nothing but its arguments reaches it."""

    def init(self, layer: Layer, rngs: Sequence[np.random.Generator]) -> Any:
        """The state the rule keeps for a layer: its critics' weights."""

    def values(self, state: Any, voltage: Tensor, alpha: Tensor) -> Tensor:
        """Q^n(v, α) of every neuron, (S, B, n)."""

    def direction(self, state: Any, layer: Layer, transition: LocalTransition) -> tuple[Tensor, Tensor]:
        """The ascent direction it would move (weight, bias) in: (S, n_in, n), (S, 1, n)."""

    def update(self, state: Any, layer: Layer, transition: LocalTransition) -> Tensor:
        """One update of critics, neurons and targets, in place; returns the residual D, (S, B, n)."""
