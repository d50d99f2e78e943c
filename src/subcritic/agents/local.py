"""The decentralised learner of Experiment 2: a policy whose layers each learn by a local rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from subcritic import seeding
from subcritic.agents.protocol import perturbed_forward
from subcritic.config import LocalSettings
from subcritic.nn import MLP, Parameters, Voltages
from subcritic.rules import Layer, LinearRule, LocalTransition


class LocalLearner:
    """S policies, one per seed; every layer owns one rule and learns from stored voltages (v, α, r, v′).

    One shared replay serves all neurons: a row holds h_0 … h_L as acted and h_0 … h_{L-1} at the next observation,
    computed without noise when the transition was stored.
    """

    def __init__(
        self,
        settings: LocalSettings,
        observation_size: int,
        action_size: int,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.settings = settings
        self.actor = self._network(observation_size, action_size)
        self.online = self.actor.init(seeding.generators(seeds, "training actor"), dtype)
        self.target = self.actor.views(self.online.flat.clone())
        self.layers = [self._layer(number) for number in range(1, self.actor.depth + 1)]
        self.rule = LinearRule(settings.critic_rate, settings.actor_rate, settings.discount, settings.polyak)
        self.critics = [
            self.rule.init(layer, seeding.generators(seeds, "training local critic", number))
            for number, layer in enumerate(self.layers)
        ]
        self.columns = {
            "voltages": sum(self.actor.sizes),
            "reward": 1,
            "terminated": 1,
            "next_voltages": sum(self.actor.sizes[:-1]),
        }
        self.residuals: list[Tensor] = []
        self._last: list[LocalTransition] = []

    def _network(self, observation_size: int, action_size: int) -> MLP:
        sizes = (observation_size, *self.settings.hidden, action_size)
        return MLP(sizes, self.settings.activation, "tanh")

    def _layer(self, number: int) -> Layer:
        k = number - 1
        return Layer(
            self.online.weights[k],
            self.online.biases[k],
            self.target.weights[k],
            self.target.biases[k],
            self.actor.activation(number),
        )

    def policy(self) -> Parameters:
        return self.online

    def act(self, observation: Tensor, perturbation: list[Tensor | None] | None = None) -> Voltages:
        return perturbed_forward(self.actor, self.online, observation, perturbation)

    def transition(
        self, voltages: Voltages, reward: Tensor, terminated: Tensor, next_observation: Tensor
    ) -> dict[str, Tensor]:
        after = self.act(next_observation.unsqueeze(1))
        return {
            "voltages": torch.cat(voltages.h, dim=-1)[:, 0],
            "reward": reward,
            "terminated": terminated,
            "next_voltages": torch.cat(after.h[:-1], dim=-1)[:, 0],
        }

    def local_transitions(self, batch: dict[str, Tensor]) -> list[LocalTransition]:
        """What each layer sees of a minibatch of replay rows."""
        h = batch["voltages"].split(list(self.actor.sizes), dim=-1)
        h_next = batch["next_voltages"].split(list(self.actor.sizes[:-1]), dim=-1)
        return [
            LocalTransition(v, alpha, batch["reward"], batch["terminated"], v_next)
            for v, alpha, v_next in zip(h[:-1], h[1:], h_next, strict=True)
        ]

    def learn(self, batch: dict[str, Tensor]) -> None:
        """Every layer updates on its own transition; the order of the layers does not matter."""
        self._last = self.local_transitions(batch)
        self.residuals = [
            self.rule.update(critics, layer, seen)
            for critics, layer, seen in zip(self.critics, self.layers, self._last, strict=True)
        ]

    def directions(self, batch: dict[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
        """The ascent direction (weight, bias) each layer would take on a minibatch."""
        return [
            self.rule.direction(critics, layer, seen)
            for critics, layer, seen in zip(
                self.critics, self.layers, self.local_transitions(batch), strict=True
            )
        ]

    def value_magnitude(self) -> Tensor:
        largest = [
            self.rule.values(critics, seen.voltage, seen.alpha).abs().amax(dim=(1, 2))
            for critics, seen in zip(self.critics, self._last, strict=True)
        ]
        return torch.stack(largest).amax(dim=0)

    def finite(self) -> Tensor:
        critics = [
            c.voltage.isfinite().all(dim=(1, 2)) & c.alpha.isfinite().all(dim=(1, 2)) for c in self.critics
        ]
        return torch.stack([self.online.flat.isfinite().all(dim=1), *critics]).all(dim=0)

    def metrics(self) -> dict[str, Tensor]:
        found = {}
        for number, (layer, critics, residual) in enumerate(
            zip(self.layers, self.critics, self.residuals, strict=True), start=1
        ):
            found[f"loss/layer_{number}"] = residual.square().mean(dim=(1, 2)) / 2
            found[f"diagnostic/weight_norm_{number}"] = layer.weight.norm(dim=(1, 2))
            found[f"diagnostic/theta_a_{number}"] = critics.alpha.abs().mean(dim=(1, 2))
        return found

    def state_dict(self) -> dict[str, Any]:
        critics = [{field.name: getattr(c, field.name) for field in fields(c)} for c in self.critics]
        return {"online": self.online.flat, "target": self.target.flat, "critics": critics}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.online.flat.copy_(state["online"])
        self.target.flat.copy_(state["target"])
        for critics, saved in zip(self.critics, state["critics"], strict=True):
            for name, tensor in saved.items():
                getattr(critics, name).copy_(tensor)
