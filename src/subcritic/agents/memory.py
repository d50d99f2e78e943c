"""What the replay of a local learner holds, and how a minibatch of it becomes what every layer saw: three kinds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from subcritic.agents.broadcast import Broadcaster, Randomness
from subcritic.agents.rows import AgentRows, Rows, VoltageRows
from subcritic.config import ImaginingSettings, LocalSettings
from subcritic.exploration import per_layer, stationary_variance
from subcritic.nn import MLP, Parameters
from subcritic.rules.protocol import NO_BROADCAST, Broadcast, LaterRows, LocalTransition, only

RuleInputs = tuple[list[LocalTransition], Broadcast]


class Memory(ABC):
    """actor, policy: the learner's. receives: what its rule reads. rows: what the replay stores."""

    rows: Rows

    def __init__(
        self, settings: LocalSettings, actor: MLP, policy: Parameters, receives: frozenset[str]
    ) -> None:
        self.settings, self.actor, self.policy, self.receives = settings, actor, policy, receives

    @abstractmethod
    def rule_inputs(
        self,
        batch: dict[str, Tensor],
        broadcaster: Broadcaster | None,
        rngs: Randomness,
    ) -> RuleInputs:
        """What each layer sees of a minibatch, and what is broadcast to all; imagined noise comes from `rngs`."""


class _ReplayedMemory(Memory):
    """What is replayed is what happened."""

    @abstractmethod
    def voltages(self, batch: dict[str, Tensor]) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
        """h_0 … h_L as acted, noise included; μ^n(v) of layers 1 … L; and h_0 … h_{L-1} at s′, without noise."""

    @abstractmethod
    def _later_voltages(self, later: dict[str, Tensor]) -> Sequence[Tensor]:
        """h_0 … h_{L-1} at the next states of the rows that follow, (S, B, T, n_l)."""

    def _noise_variances(self) -> list[float]:
        """E[ξ²] of a neuron of layers 1 … L; clipping of the action is left out of account."""
        raise NotImplementedError("the noise is not kept")

    def rule_inputs(
        self,
        batch: dict[str, Tensor],
        broadcaster: Broadcaster | None,
        rngs: Randomness,
    ) -> RuleInputs:
        transitions = self.transitions(batch)
        if broadcaster is None:
            return transitions, NO_BROADCAST
        return transitions, broadcaster.about(self.rows.agent_batch(batch), self.receives)

    def transitions(self, batch: dict[str, Tensor]) -> list[LocalTransition]:
        """What each layer sees of a minibatch of replay rows: of each field, only what the rule receives."""
        h, clean, h_next = self.voltages(batch)
        fields: dict[str, Sequence[Any]] = {"voltage": h[:-1], "alpha": h[1:], "next_voltage": h_next}
        if "noise" in self.receives:
            fields["noise"] = [alpha - mean for alpha, mean in zip(h[1:], clean, strict=True)]
        if "noise_variance" in self.receives:
            fields["noise_variance"] = self._noise_variances()
        if "later" in self.receives:
            fields["later"] = self._later_rows(batch)
        whole = self.rows.agent_batch(batch)
        shared: dict[str, Any] = {
            name: getattr(whole, name)
            for name in ("reward", "terminated", "observation", "next_observation")
            if name in self.receives
        }
        own: dict[str, Sequence[Any]] = {
            name: of_layers for name, of_layers in fields.items() if name in self.receives
        }
        return [
            LocalTransition(**shared, **{name: of_layers[k] for name, of_layers in own.items()})
            for k in range(self.actor.depth)
        ]

    def _later_rows(self, batch: dict[str, Tensor]) -> list[LaterRows]:
        """What each layer sees of the rows that follow those of a minibatch."""
        columns = self.rows.columns
        parts = batch["following"].split(list(columns.values()), dim=-1)
        later = dict(zip(columns, parts, strict=True))
        first, after = self.rows.agent_batch(batch), self.rows.agent_batch(later)
        # An episode goes on where the next row starts from the observation that this one led to.
        reached = torch.cat((first.next_observation.unsqueeze(2), after.next_observation), dim=2)[:, :, :-1]
        goes_on = (reached == after.observation).all(dim=-1, keepdim=True).to(reached.dtype)
        ended = torch.cat((first.terminated.unsqueeze(2), after.terminated), dim=2)[:, :, :-1]
        continues = (goes_on * (1 - ended)).cumprod(dim=2)
        return [
            LaterRows(after.reward, after.terminated, v, after.next_observation, continues)
            for v in self._later_voltages(later)
        ]


class StoredMemory(_ReplayedMemory):
    """Voltages are those of the time of acting."""

    def __init__(
        self, settings: LocalSettings, actor: MLP, policy: Parameters, receives: frozenset[str]
    ) -> None:
        super().__init__(settings, actor, policy, receives)
        self.rows = VoltageRows(actor, policy)

    def voltages(self, batch: dict[str, Tensor]) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
        """The noise is not kept: μ^n(v) is the voltage as acted."""
        h = batch["voltages"].split(list(self.actor.sizes), dim=-1)
        return h, h[1:], batch["next_voltages"].split(list(self.actor.sizes[:-1]), dim=-1)

    def _later_voltages(self, later: dict[str, Tensor]) -> Sequence[Tensor]:
        found: tuple[Tensor, ...] = later["next_voltages"].split(list(self.actor.sizes[:-1]), dim=-1)
        return found


class RecomputedMemory(_ReplayedMemory):
    """Voltages are computed by today's weights, with the noise of the time of acting."""

    rows: AgentRows

    def __init__(
        self, settings: LocalSettings, actor: MLP, policy: Parameters, receives: frozenset[str]
    ) -> None:
        super().__init__(settings, actor, policy, receives)
        self.rows = AgentRows(actor.sizes, noisy=settings.exploration != "action")

    def _noise_variances(self) -> list[float]:
        s = self.settings
        quiet = self.actor.depth - 1 if s.exploration == "action" else 0
        return [
            0.0 if k < quiet else stationary_variance(scale, s.exploration, s.noise, s.noisy_fraction)
            for k, scale in enumerate(per_layer(s.noise_scale, self.actor.depth))
        ]

    def voltages(self, batch: dict[str, Tensor]) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
        """h_L is the action as executed."""
        noise = self.rows.noise(batch)
        replayed = self.actor.forward(self.policy, batch["observation"], perturbation=noise)
        h_next: list[Any] = [None] * self.actor.depth
        if "next_voltage" in self.receives:
            h_next = self.actor.forward(self.policy, batch["next_observation"]).h
        return [*replayed.h[:-1], batch["action"]], replayed.activations, h_next

    def _later_voltages(self, later: dict[str, Tensor]) -> Sequence[Tensor]:
        observation = later["next_observation"]
        flat = self.actor.forward(self.policy, observation.flatten(1, 2)).h[:-1]
        return [h.unflatten(1, observation.shape[1:3]) for h in flat]


class ImaginedMemory(Memory):
    """Only observations are replayed; every neuron has fresh noise there, whose effect a global critic scores."""

    settings: ImaginingSettings

    def __init__(
        self, settings: LocalSettings, actor: MLP, policy: Parameters, receives: frozenset[str]
    ) -> None:
        super().__init__(settings, actor, policy, receives)
        self.rows = AgentRows(actor.sizes, noisy=False)

    def rule_inputs(
        self,
        batch: dict[str, Tensor],
        broadcaster: Broadcaster | None,
        rngs: Randomness,
    ) -> RuleInputs:
        assert broadcaster is not None, "the settings see to it that there is a global critic"
        separately = "deviation" in self.receives
        imagine = broadcaster.imagine_separately if separately else broadcaster.imagine
        transitions, broadcast = imagine(batch["observation"], rngs)
        return [only(seen, self.receives) for seen in transitions], only(broadcast, self.receives)


MEMORIES: dict[str, type[Memory]] = {
    "stored": StoredMemory,
    "recomputed": RecomputedMemory,
    "imagined": ImaginedMemory,
}
