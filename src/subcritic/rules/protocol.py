"""All that a local rule may see: one layer, what that layer's neurons went through, and what is broadcast to all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Self, TypeVar

import torch
from torch import Tensor

from subcritic.nn.activations import Activation
from subcritic.nn.compiled import Packed, packed
from subcritic.rules.optimisers import Optimiser

# The value of a field that a rule does not receive. Fields are typed by what a rule finds in those it does receive.
ABSENT: Any = None


@dataclass(frozen=True)
class Layer:
    """The neurons of one layer of the actor, and their target copies; a rule changes these tensors in place.

    weight (S, n_in, n): column n is K^n. bias (S, 1, n): the weight from a presynaptic voltage that is always 1.
    last: whether these neurons' voltages are the action. feeds_action: whether they go straight to the action's neurons, so
    that their effect on z_L is the same in every state. observation_size: n_0 of the agent.
    """

    weight: Tensor
    bias: Tensor
    target_weight: Tensor
    target_bias: Tensor
    activation: Activation
    last: bool = False
    feeds_action: bool = False
    observation_size: int = 0

    @cached_property
    def packed(self) -> Packed | None:
        """weight, bias, target_weight and target_bias for compiled functions, if these can take them."""
        return packed(self.weight, self.bias, self.target_weight, self.target_bias)

    def track(self, polyak: float) -> None:
        """K′ ← τK + (1 − τ)K′, in place."""
        self.target_weight.lerp_(self.weight, polyak)
        self.target_bias.lerp_(self.bias, polyak)


@dataclass(frozen=True)
class LaterRows:
    """The rows stored after each of a minibatch's, in order; T of them.

    reward, terminated (S, B, T, 1), next_voltage (S, B, T, n_in), next_observation (S, B, T, n_0), as in LocalTransition.
    continues (S, B, T, 1): 1 while the episode has gone on since the minibatch's row, else 0.
    """

    reward: Tensor
    terminated: Tensor
    next_voltage: Tensor
    next_observation: Tensor
    continues: Tensor


@dataclass(frozen=True)
class LocalTransition:
    """A minibatch as the neurons of one layer saw it; a field that the rule does not receive is None.

    voltage v (S, B, n_in): presynaptic voltages. alpha α (S, B, n): the voltages the neurons put out, noise included.
    reward, terminated (S, B, 1): the whole agent's. next_voltage v′ (S, B, n_in). noise ξ (S, B, n): α − μ^n(v);
    recomputed, that of the action's neurons is the executed action less what today's weights do. noise_variance: E[ξ²], or
    (S, B, n) where it differs from state to state. later: the rows that came after, for rules with traces. observation s,
    next_observation s′ (S, B, n_0): what the agent observed, for rules whose critics read it.
    """

    voltage: Tensor = ABSENT
    alpha: Tensor = ABSENT
    reward: Tensor = ABSENT
    terminated: Tensor = ABSENT
    next_voltage: Tensor = ABSENT
    noise: Tensor = ABSENT
    noise_variance: float | Tensor = ABSENT
    later: LaterRows = ABSENT
    observation: Tensor = ABSENT
    next_observation: Tensor = ABSENT


@dataclass(frozen=True)
class Broadcast:
    """All that ever crosses layers besides reward and terminated; a field that the rule does not receive is None.

    target y (S, B, 1): what local critics regress on, when a global critic gives it. advantage A (S, B, 1): by how much
    the action was better than without the neurons' noise. feedback (S, B, n_L), for the two rules named after it: the error
    at the action's neurons. deviation Δz (S, B, n_L): by how much the hidden neurons' noise moved those neurons' z, or how
    much more than all hidden neurons together expected.

    What neurons say to all others (`Rule.says`) is added to these fields before anyone learns.
    """

    target: Tensor = ABSENT
    advantage: Tensor = ABSENT
    feedback: Tensor = ABSENT
    deviation: Tensor = ABSENT


NO_BROADCAST = Broadcast()

Seen = TypeVar("Seen", LocalTransition, Broadcast)


def only(seen: Seen, receives: frozenset[str]) -> Seen:
    """Of a transition or a broadcast, the fields that a rule receives."""
    return type(seen)(**{name: value for name, value in vars(seen).items() if name in receives})


@dataclass
class RuleState:
    """What a rule keeps for one layer: named tensors with a leading seed axis, each contiguous, and its optimisers.

    critic_optimiser moves the tensors in `learned`, weight_optimiser the layer's `weight` and `bias`; `Rule.init` adds both.
    """

    critic_optimiser: Optimiser = field(init=False, repr=False)
    weight_optimiser: Optimiser = field(init=False, repr=False)

    @property
    def per_neuron(self) -> bool:
        """Whether each neuron could keep its own column alone: nothing is kept, or the last axis is the layer's neurons."""
        return type(self) is RuleState

    def of_neurons(self, neurons: slice) -> Self:
        """The state of some of the neurons, views of this one's tensors, without optimisers; for `per_neuron` states."""
        return type(self)(**{name: tensor[..., neurons] for name, tensor in self.tensors().items()})

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state, by its name."""
        found = {part.name: getattr(self, part.name, None) for part in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, Tensor)}

    def learned(self) -> dict[str, Tensor]:
        """Those that the critic's optimiser moves: all but target copies, which follow."""
        return {name: tensor for name, tensor in self.tensors().items() if not name.startswith("target_")}

    def finite(self) -> Tensor | None:
        """Whether all of a seed's numbers are finite, (S,); None if there are none."""
        found = [tensor.isfinite().flatten(1).all(dim=1) for tensor in self.tensors().values()]
        return torch.stack(found).all(dim=0) if found else None

    def state_dict(self) -> dict[str, Any]:
        return {
            "tensors": self.tensors(),
            "critic_optimiser": self.critic_optimiser.state_dict(),
            "weight_optimiser": self.weight_optimiser.state_dict(),
        }

    def load_tensors(self, saved: Mapping[str, Tensor]) -> None:
        """Copy what `tensors` gave."""
        for name, tensor in self.tensors().items():
            tensor.copy_(saved[name])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.load_tensors(state["tensors"])
        self.critic_optimiser.load_state_dict(state["critic_optimiser"])
        self.weight_optimiser.load_state_dict(state["weight_optimiser"])
