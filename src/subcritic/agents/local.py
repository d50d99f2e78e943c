"""The decentralised learner of Experiment 2: a policy whose layers each learn by a local rule."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subcritic import seeding
from subcritic.agents.broadcast import Broadcaster, Whole
from subcritic.agents.making import make_global_critic, make_rule
from subcritic.agents.protocol import perturbed_forward
from subcritic.config import LocalSettings
from subcritic.exploration import per_layer, stationary_variance
from subcritic.nn import MLP, Parameters, Voltages
from subcritic.rules import SILENCE, Broadcast, Following, Layer, LocalTransition


class LocalLearner:
    """S policies, one per seed; every layer learns by one rule from what it saw, and from what is broadcast, if anything.

    One shared replay serves all neurons. `stored`: a row holds h_0 … h_L as acted and h_0 … h_{L-1} at the next
    observation, computed without noise when the transition was stored. Otherwise it holds what the whole agent saw, and
    the noise of hidden neurons, if they had any; voltages are computed when they are replayed. A global critic, where the
    settings need one, learns from the same minibatches, before the neurons do.
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
        self.rule = make_rule(settings, action_size)
        self.critics = [
            self.rule.init(layer, seeding.generators(seeds, "training local critic", number))
            for number, layer in enumerate(self.layers)
        ]
        self._own_parameters()
        self.global_critic = make_global_critic(settings, observation_size, action_size, seeds, dtype)
        self.broadcaster = None
        if self.global_critic is not None:
            self.broadcaster = Broadcaster(settings, self.actor, self.online, self.target, self.global_critic)
        self.noise_rngs = seeding.generators(seeds, "training imagination")
        self.columns = self._columns(observation_size, action_size)
        self.consecutive = settings.trace_length if settings.trace else 1
        self.updates = 0
        self.residuals: list[Tensor | None] = []
        self._last: list[LocalTransition] = []
        self._judged: tuple[Tensor, Tensor] | None = None

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
            last=number == self.actor.depth,
            noise_variance=self._noise_variance(number),
        )

    def _noise_variance(self, number: int) -> float:
        s = self.settings
        if s.replay == "imagined":
            return per_layer(s.perturbation_scale, self.actor.depth)[number - 1] ** 2
        if s.replay == "stored":
            return 1.0
        scale = per_layer(s.noise_scale, self.actor.depth)[number - 1]
        return stationary_variance(scale, s.exploration, s.noise, s.noisy_fraction)

    def _columns(self, observation_size: int, action_size: int) -> dict[str, int]:
        if self.settings.replay == "stored":
            return {
                "voltages": sum(self.actor.sizes),
                "reward": 1,
                "terminated": 1,
                "next_voltages": sum(self.actor.sizes[:-1]),
            }
        columns = {
            "observation": observation_size,
            "action": action_size,
            "reward": 1,
            "terminated": 1,
            "next_observation": observation_size,
        }
        if self.settings.replay == "recomputed" and self.settings.exploration != "action":
            columns["perturbation"] = sum(self.settings.hidden)
        return columns

    def _own_parameters(self) -> None:
        """Tell the rule's steps which tensors they move."""
        for critics in self.critics if self.rule.judges else []:
            self.rule.critic.own(critics.learned())
        parts = [part for layer in self.layers for part in (layer.weight, layer.bias)]
        if self.settings.layers_in_turn is not None:
            return self.rule.actor.own(parts)
        gradient = self.actor.views(torch.zeros_like(self.online.flat))
        pairs = zip(gradient.weights, gradient.biases, strict=True)
        self.rule.actor.own_parts(
            self.online.flat, parts, gradient.flat, [view for pair in pairs for view in pair]
        )

    def policy(self) -> Parameters:
        return self.online

    def act(self, observation: Tensor, perturbation: list[Tensor | None] | None = None) -> Voltages:
        return perturbed_forward(self.actor, self.online, observation, perturbation)

    def transition(
        self, voltages: Voltages, reward: Tensor, terminated: Tensor, next_observation: Tensor
    ) -> dict[str, Tensor]:
        row = {"reward": reward, "terminated": terminated}
        if self.settings.replay == "stored":
            after = self.act(next_observation.unsqueeze(1))
            row["voltages"] = torch.cat(voltages.h, dim=-1)[:, 0]
            row["next_voltages"] = torch.cat(after.h[:-1], dim=-1)[:, 0]
            return row
        row |= {
            "observation": voltages.h[0][:, 0],
            "action": voltages.output[:, 0],
            "next_observation": next_observation,
        }
        if "perturbation" in self.columns:
            hidden = zip(voltages.h[1:-1], voltages.activations[:-1], strict=True)
            row["perturbation"] = torch.cat([h - clean for h, clean in hidden], dim=-1)[:, 0]
        return row

    def whole(self, batch: dict[str, Tensor]) -> Whole:
        """A minibatch of replay rows as the agent as a whole saw it."""
        if "voltages" not in batch:
            return Whole(**{name: batch[name] for name in Whole.__dataclass_fields__})
        n_obs, n_act = self.actor.sizes[0], self.actor.sizes[-1]
        voltages = batch["voltages"]
        return Whole(
            voltages[..., :n_obs],
            voltages[..., -n_act:],
            batch["reward"],
            batch["terminated"],
            batch["next_voltages"][..., :n_obs],
        )

    def local_transitions(self, batch: dict[str, Tensor]) -> list[LocalTransition]:
        """What each layer sees of a minibatch of replay rows: of each field, only what the rule receives."""
        if self.settings.replay == "stored":
            h = batch["voltages"].split(list(self.actor.sizes), dim=-1)
            h_next = batch["next_voltages"].split(list(self.actor.sizes[:-1]), dim=-1)
            clean = h[1:]
        else:
            h, clean, h_next = self._recomputed(batch)
        receives = self.rule.receives
        fields = {"voltage": h[:-1], "alpha": h[1:], "next_voltage": h_next}
        if "noise" in receives:
            fields["noise"] = [alpha - mean for alpha, mean in zip(h[1:], clean, strict=True)]
        if "following" in receives:
            fields["following"] = self._following(batch)
        shared = {name: batch[name] for name in ("reward", "terminated") if name in receives}
        own = {name: per_layer for name, per_layer in fields.items() if name in receives}
        return [
            LocalTransition(**shared, **{name: per_layer[k] for name, per_layer in own.items()})
            for k in range(self.actor.depth)
        ]

    def _recomputed(self, batch: dict[str, Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor | None]]:
        """h_0 … h_L by today's weights with the noise of that time (h_L: the action as executed), μ^n(v), and h_l at s′."""
        noise = None
        if "perturbation" in batch:
            noise = [*batch["perturbation"].split(list(self.settings.hidden), dim=-1), None]
        replayed = self.actor.forward(self.online, batch["observation"], perturbation=noise)
        h_next: list[Tensor | None] = [None] * self.actor.depth
        if "next_voltage" in self.rule.receives:
            h_next = self.actor.forward(self.online, batch["next_observation"]).h
        return [*replayed.h[:-1], batch["action"]], replayed.activations, h_next

    def _following(self, batch: dict[str, Tensor]) -> list[Following]:
        """What each layer sees of the rows that follow those of a minibatch."""
        parts = batch["following"].split(list(self.columns.values()), dim=-1)
        later = dict(zip(self.columns, parts, strict=True))
        first, after = self.whole(batch), self.whole(later)
        # An episode goes on where the next row starts from the observation that this one led to.
        reached = torch.cat((first.next_observation.unsqueeze(2), after.next_observation), dim=2)[:, :, :-1]
        goes_on = (reached == after.observation).all(dim=-1, keepdim=True).to(reached.dtype)
        ended = torch.cat((first.terminated.unsqueeze(2), after.terminated), dim=2)[:, :, :-1]
        continues = (goes_on * (1 - ended)).cumprod(dim=2)
        if "next_voltages" in later:
            h_next = later["next_voltages"].split(list(self.actor.sizes[:-1]), dim=-1)
        else:
            flat = self.actor.forward(self.online, after.next_observation.flatten(1, 2)).h[:-1]
            h_next = [h.unflatten(1, continues.shape[1:3]) for h in flat]
        return [Following(after.reward, after.terminated, v, continues) for v in h_next]

    def lesson(
        self, batch: dict[str, Tensor], rngs: Sequence[np.random.Generator]
    ) -> tuple[list[LocalTransition], Broadcast]:
        """What each layer sees, and what all are told; imagined noise comes from `rngs`."""
        if self.settings.replay == "imagined":
            apart = "deviation" in self.rule.receives
            imagine = self.broadcaster.imagine_apart if apart else self.broadcaster.imagine
            return imagine(batch["observation"], rngs)
        seen = self.local_transitions(batch)
        if self.broadcaster is None:
            return seen, SILENCE
        return seen, self.broadcaster.of(self.whole(batch), self.rule.receives)

    def learn(self, batch: dict[str, Tensor]) -> None:
        """The global critic, if there is one; then every layer from its own lesson, in any order; then the targets."""
        if self.broadcaster is not None:
            whole = self.whole(batch)
            target = self.broadcaster.td_target(whole)
            self._judged = self.global_critic.fit(whole.observation, whole.action, target)
        self._last, heard = self.lesson(batch, self.noise_rngs)
        self.residuals = [
            self.rule.learn(critics, layer, seen, heard, moves=self._has_turn(number))
            for number, (critics, layer, seen) in enumerate(
                zip(self.critics, self.layers, self._last, strict=True)
            )
        ]
        self.rule.actor.finish()
        self.target.move_towards(self.online, self.settings.polyak)
        self.updates += 1

    def _has_turn(self, number: int) -> bool:
        turn = self.settings.layers_in_turn
        return turn is None or self.updates // turn % self.actor.depth == number

    def directions(self, batch: dict[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
        """The ascent direction (weight, bias) each layer would take on a minibatch; nothing is changed by asking."""
        lesson, heard = self.lesson(batch, copy.deepcopy(self.noise_rngs))
        return [
            self.rule.direction(critics, layer, seen, heard)
            for critics, layer, seen in zip(self.critics, self.layers, lesson, strict=True)
        ]

    def value_magnitude(self) -> Tensor:
        found = [self.online.flat.new_zeros(len(self.online.flat))]
        if self._judged is not None:
            found.append(self._judged[0].abs().amax(dim=(1, 2)))
        if self.rule.judges:
            found += [
                self.rule.values(critics, layer, seen.voltage, seen.alpha).abs().amax(dim=(1, 2))
                for critics, layer, seen in zip(self.critics, self.layers, self._last, strict=True)
            ]
        return torch.stack(found).amax(dim=0)

    def finite(self) -> Tensor:
        found = [self.online.flat.isfinite().all(dim=1), *(critics.finite() for critics in self.critics)]
        if self.global_critic is not None:
            found.append(self.global_critic.finite())
        return torch.stack([part for part in found if part is not None]).all(dim=0)

    def metrics(self) -> dict[str, Tensor]:
        found = {}
        for number, (layer, critics, residual) in enumerate(
            zip(self.layers, self.critics, self.residuals, strict=True), start=1
        ):
            if residual is not None:
                found[f"loss/layer_{number}"] = residual.square().mean(dim=(1, 2)) / 2
            found[f"diagnostic/weight_norm_{number}"] = layer.weight.norm(dim=(1, 2))
            for name, value in self.rule.diagnostics(critics).items():
                found[f"diagnostic/{name}_{number}"] = value
        if self._judged is not None:
            values, residual = self._judged
            found["value/minibatch"] = values.mean(dim=(1, 2))
            found["loss/critic"] = residual.square().mean(dim=(1, 2))
        return found

    def state_dict(self) -> dict[str, Any]:
        return {
            "online": self.online.flat,
            "target": self.target.flat,
            "critics": [critics.state_dict() for critics in self.critics],
            "steps": {"critic": self.rule.critic.state_dict(), "actor": self.rule.actor.state_dict()},
            "global_critic": self.global_critic.state_dict() if self.global_critic is not None else None,
            "noise_rngs": seeding.states(self.noise_rngs),
            "updates": self.updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.online.flat.copy_(state["online"])
        self.target.flat.copy_(state["target"])
        for critics, saved in zip(self.critics, state["critics"], strict=True):
            critics.load_state_dict(saved)
        self.rule.critic.load_state_dict(state["steps"]["critic"])
        self.rule.actor.load_state_dict(state["steps"]["actor"])
        if self.global_critic is not None:
            self.global_critic.load_state_dict(state["global_critic"])
        seeding.restore(self.noise_rngs, state["noise_rngs"])
        self.updates = state["updates"]
