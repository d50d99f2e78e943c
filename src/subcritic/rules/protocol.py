"""What a local rule is, and all it may see: one layer, what that layer's neurons went through, what everyone is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from subcritic.nn.activations import Activation


@dataclass(frozen=True)
class Layer:
    """The neurons of one layer of the actor, and their target copies; a rule changes these tensors in place.

    weight (S, n_in, n): column n is K^n. bias (S, 1, n): the weight from a presynaptic voltage that is always 1.
    last: whether these neurons' voltages are the action. noise_variance: E[ξ²] of one of these neurons.
    """

    weight: Tensor
    bias: Tensor
    target_weight: Tensor
    target_bias: Tensor
    activation: Activation
    last: bool = False
    noise_variance: float = 1.0

    def track(self, polyak: float) -> None:
        """K′ ← τK + (1 − τ)K′, in place."""
        self.target_weight.lerp_(self.weight, polyak)
        self.target_bias.lerp_(self.bias, polyak)


@dataclass(frozen=True)
class Following:
    """The rows stored after each of a minibatch's, in order; T of them.

    reward, terminated (S, B, T, 1), next_voltage (S, B, T, n_in), as in LocalTransition. continues (S, B, T, 1): 1 while
    the episode has gone on since the minibatch's row, else 0.
    """

    reward: Tensor
    terminated: Tensor
    next_voltage: Tensor
    continues: Tensor


@dataclass(frozen=True)
class LocalTransition:
    """A minibatch as the neurons of one layer saw it; None for what the rule does not receive.

    voltage v (S, B, n_in): presynaptic voltages. alpha α (S, B, n): the voltages the neurons put out, noise included.
    reward, terminated (S, B, 1): the whole agent's. next_voltage v′ (S, B, n_in). noise ξ (S, B, n): α − μ^n(v).
    following: what came after, for rules with traces.
    """

    voltage: Tensor | None = None
    alpha: Tensor | None = None
    reward: Tensor | None = None
    terminated: Tensor | None = None
    next_voltage: Tensor | None = None
    noise: Tensor | None = None
    following: Following | None = None


@dataclass(frozen=True)
class Broadcast:
    """All that ever crosses layers besides reward and terminated; None for what the rule does not receive.

    target y (S, B, 1): what local critics regress on, when a global critic says it. advantage A (S, B, 1): by how much the
    action was better than without the neurons' noise. feedback (S, B, n_L), for the two rules named after it: the error at
    the action's neurons. deviation Δz (S, B, n_L): by how much the hidden neurons' noise moved those neurons' z.
    """

    target: Tensor | None = None
    advantage: Tensor | None = None
    feedback: Tensor | None = None
    deviation: Tensor | None = None


SILENCE = Broadcast()


@dataclass
class Critics:
    """What a rule keeps for a layer: named tensors with a leading seed axis, each contiguous."""

    def tensors(self) -> dict[str, Tensor]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def learned(self) -> list[Tensor]:
        """Those that steps move; target copies follow."""
        return [tensor for name, tensor in self.tensors().items() if not name.startswith("target_")]

    def finite(self) -> Tensor | None:
        """Whether all of a seed's numbers are finite, (S,); None if there are none."""
        found = [tensor.isfinite().flatten(1).all(dim=1) for tensor in self.tensors().values()]
        return torch.stack(found).all(dim=0) if found else None

    def state_dict(self) -> dict[str, Any]:
        return self.tensors()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, tensor in self.tensors().items():
            tensor.copy_(state[name])


class LocalRule(Protocol):
    """A learning rule for the neurons of one layer. Nothing but its arguments reaches it.

    receives: the fields of LocalTransition and Broadcast that it reads; the others it is given as None.
    judges: whether it has critics whose values mean something.
    """

    judges: bool

    @property
    def receives(self) -> frozenset[str]: ...

    def init(self, layer: Layer, rngs: Sequence[np.random.Generator]) -> Critics:
        """The state the rule keeps for a layer: its critics' weights."""

    def values(self, state: Critics, layer: Layer, voltage: Tensor, alpha: Tensor) -> Tensor:
        """Q^n(v, α) of every neuron, (S, B, n)."""

    def direction(
        self, state: Critics, layer: Layer, seen: LocalTransition, heard: Broadcast = SILENCE
    ) -> tuple[Tensor, Tensor]:
        """The ascent direction it would move (weight, bias) in: (S, n_in, n), (S, 1, n)."""

    def learn(
        self,
        state: Critics,
        layer: Layer,
        seen: LocalTransition,
        heard: Broadcast = SILENCE,
        moves: bool = True,
    ) -> Tensor | None:
        """One update of critics, their targets and (if `moves`) neurons, in place; returns the residual D, (S, B, n)."""

    def diagnostics(self, state: Critics) -> dict[str, Tensor]:
        """Norms of what the critics hold, (S,) each."""
