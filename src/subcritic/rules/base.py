"""What a local rule is: the one interface, and what all rules share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from subcritic.bellman import bellman_target
from subcritic.config import LocalSettings
from subcritic.nn.devices import to_device
from subcritic.rules.optimisers import Kind, Optimiser, make_optimiser
from subcritic.rules.protocol import NO_BROADCAST, Broadcast, Layer, LocalTransition, RuleState

TRANSITION = frozenset({"voltage", "alpha", "reward", "terminated", "next_voltage"})
OBSERVATIONS = frozenset({"observation", "next_observation"})

State = TypeVar("State", bound=RuleState)


@dataclass(frozen=True)
class Rule(Generic[State]):
    """A learning rule for the neurons of one layer; nothing but the arguments of its methods reaches it.

    Every rule finds a local error δ = ∂Q/∂z for each of its neurons, (S, B, n), uphill, and moves the neuron's weights by

        K^n += η_A mean(δ v),  b^n += η_A mean(δ).

    A new rule defines `local_error` and says in `receives` what it reads. One that learns a critic also defines `new_state`,
    `update_state` and `values`. One with settings of its own names their class in `Settings`, and passes them on in
    `from_settings`.

    optimiser, critic_rate, actor_rate: how the critic and the weights step. aim: 'own' if critics regress on the neuron's
    own TD target, 'told' if on a broadcast one.
    """

    optimiser: Kind = "sgd"
    critic_rate: float = 1e-3
    actor_rate: float = 1e-4
    discount: float = 0.99
    polyak: float = 0.005
    aim: Literal["own", "told"] = "own"

    Settings: ClassVar[type[LocalSettings]] = LocalSettings
    # Whether it has critics, whose values `values` gives.
    has_critic: ClassVar[bool] = False
    # Where it can learn: it makes its tensors where the layer's are.
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    # Whether an update draws random numbers itself, so that it cannot be replayed without Python.
    draws: ClassVar[bool] = False

    @classmethod
    def from_settings(cls, settings: Any, action_size: int) -> Self:
        """The rule with the values of `settings`, an instance of `Settings`."""
        return cls(**shared(settings))

    @classmethod
    def check(cls, settings: LocalSettings) -> None:
        """Raise ValueError if the rule would read what it is not given with these settings."""
        receives = cls.from_settings(settings, action_size=1).receives
        missing = receives - given(settings, receives)
        if missing:
            raise ValueError(
                f"{settings.algorithm} reads {', '.join(sorted(missing))}: not given with replay {settings.replay}, "
                f"target {settings.target}"
            )
        if settings.normalisation != "none" and "voltage" not in receives:
            raise ValueError(
                f"{settings.algorithm} reads no presynaptic voltages, so that its neurons do not know their net input: "
                f"normalisation must be none, not {settings.normalisation}"
            )

    @property
    def consecutive(self) -> int:
        """How many rows stored in a row an update reads."""
        return 1

    @property
    def receives(self) -> frozenset[str]:
        """The fields of LocalTransition and Broadcast that the rule reads; it is given None for all others."""
        return TRANSITION if self.aim == "own" else frozenset({"voltage", "alpha", "target"})

    def init(
        self, layer: Layer, rngs: Sequence[np.random.Generator], weights: Optimiser | None = None
    ) -> State:
        """The state for a layer, with its optimisers. weights: what moves K and b; None: what `optimiser` names."""
        state = self.new_state(layer, rngs)
        self.add_optimisers(state, layer, weights)
        return state

    def add_optimisers(self, state: State, layer: Layer, weights: Optimiser | None = None) -> None:
        """Give a state the optimisers of its critic and of the layer's weights, see `init`."""
        learned = state.learned()
        rates = {name: self.rate_of(name) for name in learned}
        state.critic_optimiser = make_optimiser(self.optimiser, learned, rates)
        state.weight_optimiser = weights or make_optimiser(
            self.optimiser, {"weight": layer.weight, "bias": layer.bias}, self.actor_rate
        )

    def rate_of(self, name: str) -> float:
        """The step size of a tensor that the critic learns, by its name in the state."""
        return self.critic_rate

    def new_state(self, layer: Layer, rngs: Sequence[np.random.Generator]) -> State:
        """What the rule keeps for a layer, at the start; nothing, unless it says otherwise. One generator per seed."""
        return cast(State, RuleState())

    def local_error(
        self, state: State, layer: Layer, transition: LocalTransition, broadcast: Broadcast = NO_BROADCAST
    ) -> Tensor:
        """δ = ∂Q/∂z, (S, B, n): in which direction, and how much, z should move in each state."""
        raise NotImplementedError

    def values(self, state: State, layer: Layer, voltage: Tensor, alpha: Tensor) -> Tensor:
        """Q^n(v, α) of every neuron, (S, B, n); v as `read` gives it."""
        raise NotImplementedError

    def read(self, transition: LocalTransition) -> Tensor:
        """What its critics read of the state, the `voltage` of `values`: v, unless the rule says otherwise."""
        return transition.voltage

    def says(
        self, state: State, layer: Layer, transition: LocalTransition, broadcast: Broadcast
    ) -> dict[str, Tensor]:
        """What these neurons say to all before anyone learns, by the field of Broadcast to which it is added."""
        return {}

    def update_state(
        self, state: State, layer: Layer, transition: LocalTransition, broadcast: Broadcast
    ) -> tuple[Tensor | None, Tensor | None]:
        """Update what is kept, in place: the residual D, (S, B, n), None without a critic; and the local error."""
        return None, self.local_error(state, layer, transition, broadcast)

    def update_weights(
        self, state: State, layer: Layer, transition: LocalTransition, error: Tensor | None
    ) -> None:
        """Move K and b by the local error that `update_state` gave. Raises ValueError if that has another shape."""
        assert error is not None
        self._check_shape(layer, transition, error)
        state.weight_optimiser.neurons(transition.voltage, error)

    def learn(
        self,
        state: State,
        layer: Layer,
        transition: LocalTransition,
        broadcast: Broadcast = NO_BROADCAST,
        moves: bool = True,
    ) -> Tensor | None:
        """One update of the state and, if `moves`, of the weights, in place; returns the residual D."""
        residual, error = self.update_state(state, layer, transition, broadcast)
        if moves:
            self.update_weights(state, layer, transition, error)
        return residual

    def update(
        self, state: State, layer: Layer, transition: LocalTransition, broadcast: Broadcast = NO_BROADCAST
    ) -> Tensor | None:
        """`learn`, then the target policy of this layer follows."""
        residual = self.learn(state, layer, transition, broadcast)
        layer.track(self.polyak)
        return residual

    def direction(
        self, state: State, layer: Layer, transition: LocalTransition, broadcast: Broadcast = NO_BROADCAST
    ) -> tuple[Tensor, Tensor]:
        """The ascent direction of (weight, bias) before the optimiser: (S, n_in, n), (S, 1, n)."""
        error = self.local_error(state, layer, transition, broadcast)
        self._check_shape(layer, transition, error)
        return torch.bmm(transition.voltage.mT, error) / error.shape[1], error.mean(dim=1, keepdim=True)

    def _check_shape(self, layer: Layer, transition: LocalTransition, error: Tensor) -> None:
        """One that torch would stretch to the shape of the weights teaches all neurons the same, unnoticed."""
        shape = (*transition.voltage.shape[:2], layer.weight.shape[-1])
        if error.shape != shape:
            raise ValueError(
                f"{type(self).__name__}.local_error gave a tensor of shape {tuple(error.shape)}, not (S, B, n) = {shape}"
            )

    def diagnostics(self, state: State) -> dict[str, Tensor]:
        """Norms of what is kept, (S,) each."""
        return {}

    def td_target(self, transition: LocalTransition, next_value: Tensor) -> Tensor:
        """y = r + γ (1 − terminated) Q′, with the agent's reward."""
        return bellman_target(transition.reward, self.discount, transition.terminated, next_value)


def shared(settings: LocalSettings) -> dict[str, Any]:
    """The arguments that all rules take, from a method's settings."""
    return {
        "optimiser": settings.optimiser,
        "critic_rate": settings.critic_rate,
        "actor_rate": settings.actor_rate,
        "discount": settings.discount,
        "polyak": settings.polyak,
        "aim": "own" if settings.target == "own_td" else "told",
    }


def given(settings: LocalSettings, receives: frozenset[str]) -> frozenset[str]:
    """The fields of LocalTransition and Broadcast that a rule which asks for `receives` can be given."""
    if settings.replay == "imagined":
        # Output and hidden neurons are perturbed in separate passes for a rule that reads the deviation.
        scored = {"advantage", "feedback", "deviation"} if "deviation" in receives else {"advantage"}
        return frozenset({"voltage", "alpha", "noise", "noise_variance"} | scored)
    noise = {"noise", "noise_variance"} if settings.replay == "recomputed" else set()
    broadcast = {"target", "advantage", "feedback"} if settings.needs_global_critic else set()
    return TRANSITION | OBSERVATIONS | {"later"} | noise | broadcast


def lambda_return(
    transition: LocalTransition, next_value: Tensor, later_values: Tensor, discount: float, trace: float
) -> Tensor:
    """G_k = r_k + γ (1 − terminated_k) ((1 − λ) V′(v′_k) + λ G_{k+1}), (S, B, n), over the rows that follow, as far as they
    are of the same episode; the last one with V′ alone (Sutton and Barto 2018, section 12.3).

    next_value V′(v′) (S, B, n), later_values V′ at the v′ of `transition.later` (S, B, T, n). It is not corrected for the
    actions in between, which were those of older policies.
    """
    after = transition.later
    values = torch.cat((next_value.unsqueeze(2), later_values), dim=2)
    rewards = torch.cat((transition.reward.unsqueeze(2), after.reward), dim=2)
    ends = torch.cat((transition.terminated.unsqueeze(2), after.terminated), dim=2)
    mixed = values[:, :, -1]
    for k in range(values.shape[2] - 1, 0, -1):
        found = bellman_target(rewards[:, :, k], discount, ends[:, :, k], mixed)
        mixed = values[:, :, k - 1].lerp(found, trace * after.continues[:, :, k - 1])
    return bellman_target(rewards[:, :, 0], discount, ends[:, :, 0], mixed)


def uniform(rngs: Sequence[np.random.Generator], fan_in: int, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """(S, *shape), uniform in ±1/√fan_in, each seed from its own generator; like: a tensor of that type and device."""
    bound = 1 / np.sqrt(fan_in)
    drawn = np.stack([rng.uniform(-bound, bound, shape) for rng in rngs])
    return to_device(torch.from_numpy(drawn).to(like.dtype), like.device)


def made_as(like: Tensor) -> dict[str, Any]:
    """The arguments `dtype` and `device` of a tensor or a network like another one."""
    return {"dtype": like.dtype, "device": like.device}
