"""Coagents: a neuron multiplies its own executed noise by an error, of its own critic or of a global one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from subcritic.bellman import bellman_target
from subcritic.config import LocalSettings, Role
from subcritic.config.sections import Count, Sizes
from subcritic.nn import MLP, backprop
from subcritic.nn.activations import neurons, times_slope
from subcritic.nn.network import Network
from subcritic.rules.base import OBSERVATIONS, TRANSITION, Rule, lambda_return, made_as, shared
from subcritic.rules.protocol import (
    NO_BROADCAST,
    Broadcast,
    LaterRows,
    Layer,
    LocalTransition,
    RuleState,
)

OwnCritic = Literal["layer", "layer_value", "neuron", "linear"]
NOISE = frozenset({"noise", "noise_variance"})


class CoagentSettings(LocalSettings):
    """Whose error it is: with target own_td that of an own critic, which `own_critic` chooses; else a global critic's."""

    own_critic: OwnCritic = Field(
        "layer",
        description="The critic whose TD error multiplies the noise, with target own_td: layer, Q(v, α) of all neurons of "
        "the layer together; layer_value, V(v) of the layer; neuron, Q(v, α) of each neuron; linear, a linear V(v).",
    )
    own_critic_hidden: Sizes = Field(
        (32, 32), description="Hidden neurons of these critics; linear has none."
    )
    critic_reads: Literal["voltage", "observation"] = Field(
        "voltage",
        description="What these critics know of the state: voltage, the layer's presynaptic voltages v, as in the drafts; "
        "observation, the agent's observation in place of v, so that it goes forward to every layer.",
    )
    reads: Literal["error", "slope"] = Field(
        "error",
        description="What is read of the own critic: error, its TD error, times the neuron's own noise; or "
        "slope, its ∂Q/∂α, the control of a critic that knows only v.",
    )
    trace: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="λ of the λ-return in the own critic's error; 0 is the one-step target."
    )
    trace_length: Count = Field(8, description="Rows stored in a row that a λ-return spans.")

    @property
    def role(self) -> Role:
        """A control if it reads slopes of critics that know only v; of critics that read the observation, it is a rule."""
        return "control" if (self.reads, self.critic_reads) == ("slope", "voltage") else super().role

    @classmethod
    def defaults(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {"replay": "recomputed", "exploration": "neuron"} | super().defaults(given)

    def conflicts(self) -> list[tuple[bool, str]]:
        scales = self.noise_scale if isinstance(self.noise_scale, tuple) else (self.noise_scale,)
        own = self.target == "own_td"
        return [
            *super().conflicts(),
            (
                self.replay != "recomputed",
                f"coagent learns from the noise as it was executed: replay must be recomputed, not {self.replay}",
            ),
            (
                self.exploration == "action" or 0 in scales,
                "coagent needs exploration neuron or subset, with noise_scale above 0",
            ),
            (
                self.noise != "gaussian",
                f"coagent needs noise that does not depend on earlier noise: noise must be gaussian, not {self.noise}",
            ),
            (
                self.target == "global_q",
                "coagent needs a baseline: target must be own_td, global_td or global_advantage, not global_q",
            ),
            (
                own and self.reads == "slope" and self.own_critic in ("layer_value", "linear"),
                f"own_critic {self.own_critic} does not see α: reads must be error, not slope",
            ),
        ]

    def unused(self) -> dict[str, tuple[bool, str]]:
        own = (self.target == "own_td", "target own_td")
        return {
            **super().unused(),
            "own_critic": own,
            "own_critic_hidden": own,
            "critic_reads": own,
            "reads": own,
            "trace": own,
            "trace_length": (self.trace > 0, "trace above 0"),
        }


@dataclass
class CoagentState(RuleState):
    """The own critics of a layer: one network per seed, or, each (one per neuron), S·n; None with a global critic."""

    network: Network | None
    seeds: int
    each: bool = False

    def tensors(self) -> dict[str, Tensor]:
        return {"online": self.network.online.flat} if self.network else {}

    def learned(self) -> dict[str, Tensor]:
        """None: the networks have an optimiser of their own."""
        return {}

    def finite(self) -> Tensor | None:
        if self.network is None:
            return None
        return self.network.online.flat.isfinite().view(self.seeds, -1).all(dim=1)

    def state_dict(self) -> dict[str, Any]:
        kept = {"network": self.network.state_dict()} if self.network else {}
        return super().state_dict() | kept

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        if self.network is not None:
            self.network.load_state_dict(state["network"])


@dataclass(frozen=True)
class CoagentRule(Rule[CoagentState]):
    """K^n += η_A mean(D ξ_n/E[ξ²] · σ'(z) v): an error times the neuron's own noise, as it was executed.

    That of hidden neurons is stored; for the action's neurons ξ = a − μ(s) by today's weights, which from a replay is more
    than noise: random actions of the warm-up, and what the policy has changed since (docs/local-rules.md has measurements).

    The score function of a stochastic neuron (Williams 1992; coagents: Thomas 2011), Proposition 6 in docs/theory.md. D is
    the TD error r + γ (1 − terminated) Q′(v′, μ′(v′)) − Q(v, μ(v)) of the layer's or the neuron's own critic, or V in place
    of Q(v, μ(v)), or a broadcast one. The critic only predicts; its slope in α is not read. With trace λ, the λ-return in
    place of the one-step target. With `reads` slope the same critic's ∂Q/∂α at μ(v) in place of D ξ/E[ξ²].

    Critics learn by Adam at the rate `critic_rate`, from α as it was; their own gradient leaves neither layer nor neuron.
    Nothing crosses layers with an own critic, one scalar with a global one. Reads v, α, ξ and r, terminated, v′, or D. With
    critic_reads observation, own critics are Q(s, α) and V(s) in place of Q(v, α) and V(v): the observation goes forward to
    every layer, past the layers below.
    """

    own_critic: OwnCritic = "layer"
    own_critic_hidden: tuple[int, ...] = (32, 32)
    critic_reads: Literal["voltage", "observation"] = "voltage"
    reads: Literal["error", "slope"] = "error"
    trace: float = 0.0
    trace_length: int = 8

    Settings: ClassVar[type[LocalSettings]] = CoagentSettings

    @classmethod
    def from_settings(cls, settings: Any, action_size: int) -> Self:
        names = ("own_critic", "own_critic_hidden", "critic_reads", "reads", "trace", "trace_length")
        return cls(**shared(settings), **{name: getattr(settings, name) for name in names})

    @property
    def has_critic(self) -> bool:  # type: ignore[override]
        return self.aim == "own"

    @property
    def consecutive(self) -> int:
        return self.trace_length if self.trace > 0 else 1

    @property
    def receives(self) -> frozenset[str]:
        if self.aim == "told":
            return NOISE | {"voltage", "alpha", "advantage"}
        observed = OBSERVATIONS if self.critic_reads == "observation" else frozenset()
        return TRANSITION | NOISE | observed | ({"later"} if self.trace > 0 else set())

    def new_state(self, layer: Layer, rngs: Sequence[np.random.Generator]) -> CoagentState:
        if self.aim == "told":
            return CoagentState(None, len(rngs))
        _, n_in, n = layer.weight.shape
        hidden = () if self.own_critic == "linear" else self.own_critic_hidden
        side = {"layer": (1, n), "neuron": (1, 1)}.get(self.own_critic)
        known = layer.observation_size if self.critic_reads == "observation" else n_in
        spec = MLP((known, *hidden, 1), "relu", "identity", side=side)
        each = self.own_critic == "neuron"
        own = [rng for rng in rngs for _ in range(n)] if each else rngs
        return CoagentState(Network(spec, own, self.critic_rate, **made_as(layer.weight)), len(rngs), each)

    def values(
        self, state: CoagentState, layer: Layer, voltage: Tensor, alpha: Tensor, *, target: bool = False
    ) -> Tensor:
        """Q(v, α), or V(v): (S, B, n) of each neuron, else (S, B, 1). voltage: what `read` gives."""
        return _back(state, self._judge(state, voltage, alpha, target=target).output)

    def read(self, transition: LocalTransition) -> Tensor:
        """v, or the observation s in its place, as `critic_reads` says."""
        return transition.observation if self.critic_reads == "observation" else transition.voltage

    def local_error(
        self,
        state: CoagentState,
        layer: Layer,
        transition: LocalTransition,
        broadcast: Broadcast = NO_BROADCAST,
    ) -> Tensor:
        if self.aim == "told":
            return self._times_noise(layer, transition, broadcast.advantage)
        target = None if self.reads == "slope" else self._target(state, layer, transition)
        return self._own_error(state, layer, transition, target)

    def update_state(
        self, state: CoagentState, layer: Layer, transition: LocalTransition, broadcast: Broadcast
    ) -> tuple[Tensor | None, Tensor]:
        """The error is taken before the critic has learned from these rows, which would make it depend on their noise."""
        if state.network is None:
            return None, self.local_error(state, layer, transition, broadcast)
        target = self._target(state, layer, transition)
        error = self._own_error(state, layer, transition, target)
        judged = self._judge(state, self.read(transition), transition.alpha)
        residual = state.network.fit(judged, _forth(state, target))
        state.network.track(self.polyak)
        return _back(state, residual), error

    def diagnostics(self, state: CoagentState) -> dict[str, Tensor]:
        if state.network is None:
            return {}
        return {"critic_norm": state.network.online.flat.view(state.seeds, -1).norm(dim=1)}

    def _judge(self, state: CoagentState, voltage: Tensor, alpha: Tensor, *, target: bool = False) -> Any:
        assert state.network is not None
        if state.each:
            shared_voltage = voltage.unsqueeze(1).expand(-1, alpha.shape[-1], -1, -1).flatten(0, 1)
            return state.network.forward(shared_voltage, _forth(state, alpha), target=target)
        return state.network.forward(voltage, alpha if self.own_critic == "layer" else None, target=target)

    def _own_error(
        self, state: CoagentState, layer: Layer, transition: LocalTransition, target: Tensor | None
    ) -> Tensor:
        """δ from D = target − Q(v, μ(v)), or from the slope ∂Q/∂α there."""
        h = transition.alpha - transition.noise
        if self.reads == "slope":
            return times_slope(self._slope(state, self.read(transition), h), h, layer.activation)
        assert target is not None
        return self._times_noise(
            layer, transition, target - self.values(state, layer, self.read(transition), h)
        )

    def _times_noise(self, layer: Layer, transition: LocalTransition, error: Tensor) -> Tensor:
        h = transition.alpha - transition.noise
        return times_slope(transition.noise * (error / transition.noise_variance), h, layer.activation)

    def _target(self, state: CoagentState, layer: Layer, transition: LocalTransition) -> Tensor:
        """The one-step target or the λ-return, (S, B, 1) or (S, B, n)."""
        next_value = self._next_value(state, layer, transition)
        if self.trace == 0:
            return bellman_target(transition.reward, self.discount, transition.terminated, next_value)
        later = self._next_value(state, layer, transition.later)
        return lambda_return(transition, next_value, later, self.discount, self.trace)

    def _next_value(self, state: CoagentState, layer: Layer, seen: LocalTransition | LaterRows) -> Tensor:
        """Q′(v′, μ′(v′)) or V′(v′), (S, …, 1) or (S, …, n), of the minibatch's rows or of those that follow them."""
        v, rows = seen.next_voltage.flatten(1, -2), seen.next_voltage.shape[1:-1]
        alpha = neurons(v, layer.target_weight, layer.target_bias, layer.activation)
        read = seen.next_observation.flatten(1, -2) if self.critic_reads == "observation" else v
        value: Tensor = self.values(state, layer, read, alpha, target=True).unflatten(1, rows)
        return value

    def _slope(self, state: CoagentState, voltage: Tensor, h: Tensor) -> Tensor:
        """∂Q/∂α at α = μ(v), (S, B, n)."""
        assert state.network is not None
        judged = self._judge(state, voltage, h)
        network = state.network
        slope = backprop.side_gradient(network.spec, network.online, judged, torch.ones_like(judged.output))
        return _back(state, slope)


def _forth(state: CoagentState, per_neuron: Tensor) -> Tensor:
    """(S, B, n) → (S·n, B, 1) for critics of single neurons."""
    return per_neuron.mT.flatten(0, 1).unsqueeze(-1) if state.each else per_neuron


def _back(state: CoagentState, stacked: Tensor) -> Tensor:
    """(S·n, B, 1) → (S, B, n) for critics of single neurons."""
    if not state.each:
        return stacked
    found: Tensor = stacked.squeeze(-1).unflatten(0, (state.seeds, -1))
    return found.mT
