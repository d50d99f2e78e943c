"""All sub-critics of one actor: a critic per layer and critics for chosen neurons of every layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from subcritic import seeding
from subcritic.config import DDPGSettings
from subcritic.nn import MLP
from subcritic.subcritics.subcritic import SubCritic


def chosen_neurons(width: int, count: int) -> list[int]:
    """Indices of `count` neurons spread evenly over a layer of `width`; all of them if there are no more than `count`."""
    if width <= count:
        return list(range(width))
    return [index * width // count for index in range(count)]


class SubCriticSettings(Protocol):
    """What a config says of sub-critics: the agent beside which they learn, and their size, number and step size."""

    @property
    def agent(self) -> DDPGSettings: ...

    @property
    def neurons_per_layer(self) -> int: ...

    @property
    def subcritic_hidden(self) -> tuple[int, int]: ...

    @property
    def subcritic_rate(self) -> float: ...


class SubCriticFamily:
    """Q_1 … Q_L and Q^n for chosen neurons of every layer, the output included.

    `purpose` names the random stream of the initial weights, so that each phase or control has its own.
    """

    def __init__(
        self,
        actor: MLP,
        settings: SubCriticSettings,
        seeds: Sequence[int],
        purpose: str,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.actor = actor
        self.layers: list[SubCritic] = []
        self.neurons: list[SubCritic] = []
        kinds: list[tuple[Literal["layer", "neuron"], list[SubCritic]]] = [
            ("layer", self.layers),
            ("neuron", self.neurons),
        ]
        for number, shape in enumerate(actor.shapes(), start=1):
            chosen = chosen_neurons(shape[1], settings.neurons_per_layer)
            for kind, family in kinds:
                family.append(
                    SubCritic(
                        kind,
                        shape,
                        chosen,
                        settings.subcritic_hidden,
                        settings.subcritic_rate,
                        settings.agent.discount,
                        settings.agent.polyak,
                        seeding.generators(seeds, f"{purpose} {kind} critic", number),
                        dtype,
                    )
                )

    def learn(
        self, h: Sequence[Tensor], h_next: Sequence[Tensor], reward: Tensor, terminated: Tensor
    ) -> dict[str, Tensor]:
        """One step of every sub-critic; h and h_next are h_0 … h_L at s and s′. Returns losses, (S,) each."""
        losses = {}
        for number in range(1, self.actor.depth + 1):
            seen = (h[number - 1], h[number], reward, terminated, h_next[number - 1], h_next[number])
            losses[f"loss/layer_{number}"] = self.layers[number - 1].learn(*seen).mean(dim=1)
            losses[f"loss/neurons_{number}"] = self.neurons[number - 1].learn(*seen).mean(dim=1)
        return losses

    def values(self, h: Sequence[Tensor]) -> dict[str, Tensor]:
        """'layer_l' → (S, B, 1) and 'neurons_l' → (S, B, M) for every layer l, at voltages h_0 … h_L."""
        found = {}
        for number in range(1, self.actor.depth + 1):
            v, alpha = h[number - 1], h[number]
            found[f"layer_{number}"] = self.layers[number - 1].values(v, alpha)
            found[f"neurons_{number}"] = self.neurons[number - 1].values(v, alpha)
        return found

    def state_dict(self) -> dict[str, Any]:
        return {
            "layers": [critic.state_dict() for critic in self.layers],
            "neurons": [critic.state_dict() for critic in self.neurons],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for kind in ("layers", "neurons"):
            for critic, saved in zip(getattr(self, kind), state[kind], strict=True):
                critic.load_state_dict(saved)


def trained_family(settings: SubCriticSettings, actor: MLP, snapshot: dict[str, Any]) -> SubCriticFamily:
    """The sub-critics of layers and chosen neurons as they were at a snapshot."""
    family = SubCriticFamily(actor, settings, snapshot["seeds"], "untrained")
    for kind in ("layers", "neurons"):
        for member, flat in zip(getattr(family, kind), snapshot[kind], strict=True):
            member.network.online.flat.copy_(flat)
    return family
