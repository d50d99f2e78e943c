"""The decentralised learner of Experiment 2: a policy whose layers each learn by a local rule."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subcritic import rules, seeding
from subcritic.agents.broadcast import Broadcaster
from subcritic.agents.global_critics import GLOBAL_CRITICS, GlobalCritic
from subcritic.agents.memory import MEMORIES, Memory, RuleInputs
from subcritic.agents.protocol import AgentBatch, newest_of, perturbed_forward
from subcritic.agents.running_normalisation import RunningNormalisation
from subcritic.config import LocalSettings
from subcritic.nn import MLP, Parameters, Voltages
from subcritic.nn.adam import Adam
from subcritic.nn.network import Network
from subcritic.rules.base import Rule
from subcritic.rules.optimisers import Collecting, Optimiser
from subcritic.rules.protocol import Broadcast, Layer, LocalTransition, RuleState


class LocalLearner:
    """S policies, one per seed; every layer learns by one rule from what it saw, and from what is broadcast, if anything.

    It consists of a network, a rule with a state per layer, a memory (what the replay stores, and how it becomes what a
    layer saw), and, where the settings need one, a global critic with a broadcaster. One replay serves all neurons; the
    global critic learns from the same minibatches, before the neurons do.
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
        self.normalisation: RunningNormalisation | None = None
        if settings.normalisation == "running":
            self.normalisation = RunningNormalisation(self.actor, self.online)
        self.target = self.actor.views(self.online.flat.clone())
        self.rule = _rule(settings, action_size)
        self.memory: Memory = MEMORIES[settings.replay](settings, self.actor, self.online, self.rule.receives)
        self.columns, self.consecutive = self.memory.rows.columns, self.rule.consecutive
        self.receives, self.newest = self.rule.receives, settings.newest
        self.layers = [self._layer(number) for number in range(1, self.actor.depth + 1)]
        self.adam: Adam | None = None
        self.rule_states: list[RuleState] = [
            self.rule.init(layer, seeding.generators(seeds, "training local critic", number), weights)
            for number, (layer, weights) in enumerate(
                zip(self.layers, self._weight_optimisers(), strict=True)
            )
        ]
        self.global_critic: GlobalCritic | None = None
        self.broadcaster: Broadcaster | None = None
        if settings.needs_global_critic:
            rngs = seeding.generators(seeds, "training critic")
            critic = GLOBAL_CRITICS[settings.critic](settings, observation_size, action_size, rngs, dtype)
            self.global_critic = critic
            self.broadcaster = Broadcaster(settings, self.actor, self.online, self.target, critic)
        self.noise_rngs = seeding.generators(seeds, "training imagination")
        self.updates = 0
        self.residuals: list[Tensor | None] = []
        self._transitions: list[LocalTransition] = []
        self._global_fit: tuple[Tensor, Tensor] | None = None

    def _network(self, observation_size: int, action_size: int) -> MLP:
        sizes = (observation_size, *self.settings.hidden, action_size)
        return MLP(sizes, self.settings.activation, "tanh", output_init=self.settings.last_layer_init)

    def _layer(self, number: int) -> Layer:
        k = number - 1
        return Layer(
            self.online.weights[k],
            self.online.biases[k],
            self.target.weights[k],
            self.target.biases[k],
            self.actor.activation(number),
            last=number == self.actor.depth,
            feeds_action=number == self.actor.depth - 1,
            observation_size=self.actor.sizes[0],
        )

    def _weight_optimisers(self) -> Iterator[Optimiser | None]:
        """For every layer; None stands for the rule's usual one."""
        if self.normalisation is None:
            return self._optimisers_of(self.online)
        return self.normalisation.optimisers(self._optimisers_of(self.normalisation.raw), self.settings)

    def _optimisers_of(self, learned: Parameters) -> Iterator[Optimiser | None]:
        """Adam moves all weights at once, after all layers have learned: one call, which is faster."""
        settings = self.settings
        if settings.optimiser == "sgd" or settings.layers_in_turn is not None:
            yield from [None] * self.actor.depth
            return
        gradient = self.actor.views(torch.zeros_like(learned.flat))
        self.adam = Adam(learned.flat, gradient.flat, settings.actor_rate)
        for k in range(self.actor.depth):
            parameters, gradients = (
                {"weight": found.weights[k], "bias": found.biases[k]} for found in (learned, gradient)
            )
            yield Collecting(parameters, gradients, settings.actor_rate)

    def policy(self) -> Parameters:
        return self.online

    def target_policy(self) -> Parameters:
        return self.target

    def act(self, observation: Tensor, perturbation: list[Tensor | None] | None = None) -> Voltages:
        return perturbed_forward(self.actor, self.online, observation, perturbation)

    def transition(
        self, voltages: Voltages, reward: Tensor, terminated: Tensor, next_observation: Tensor
    ) -> dict[str, Tensor]:
        return self.memory.rows.row(voltages, reward, terminated, next_observation)

    def agent_batch(self, batch: dict[str, Tensor]) -> AgentBatch:
        return self.memory.rows.agent_batch(batch)

    def own_critic(self) -> Network | None:
        return self.global_critic.network if self.global_critic is not None else None

    def learn(self, batch: dict[str, Tensor]) -> None:
        """The global critic, if there is one; then every layer from its own inputs, in any order; then the targets."""
        self._fit_critic(batch)
        self._transitions, broadcast = self.rule_inputs(batch, self.noise_rngs)
        if self.newest is None:
            self.residuals = [
                self.rule.learn(state, layer, transition, broadcast, moves=self._has_turn(number))
                for number, (state, layer, transition) in enumerate(self._of_layers(self._transitions))
            ]
        else:
            self._learn_from_newest(newest_of(batch), broadcast)
        if self.adam is not None:
            self.adam.step()
        if self.normalisation is not None:
            self.normalisation.follow([transition.voltage for transition in self._transitions])
        self.target.move_towards(self.online, self.settings.polyak)
        self.updates += 1

    def _fit_critic(self, batch: dict[str, Tensor]) -> None:
        """One step of the global critic, if there is one."""
        if self.broadcaster is not None and self.global_critic is not None:
            whole = self.agent_batch(batch)
            target = self.broadcaster.td_target(whole)
            self._global_fit = self.global_critic.fit(whole.observation, whole.action, target)

    def _learn_from_newest(self, batch: dict[str, Tensor], broadcast: Broadcast) -> None:
        """What the rule keeps learns from the transitions and broadcast of the whole replay, the weights from `batch`."""
        self.residuals = [
            self.rule.update_state(*of_layer, broadcast)[0] for of_layer in self._of_layers(self._transitions)
        ]
        transitions, heard = self.rule_inputs(batch, self.noise_rngs)
        for number, of_layer in enumerate(self._of_layers(transitions)):
            if self._has_turn(number):
                self.rule.update_weights(*of_layer, self.rule.local_error(*of_layer, heard))

    def _has_turn(self, number: int) -> bool:
        if self.settings.frozen_hidden and not self.layers[number].last:
            return False
        turn = self.settings.layers_in_turn
        return turn is None or self.updates // turn % self.actor.depth == number

    def _of_layers(
        self, transitions: Sequence[LocalTransition]
    ) -> Iterator[tuple[RuleState, Layer, LocalTransition]]:
        return zip(self.rule_states, self.layers, transitions, strict=True)

    def rule_inputs(self, batch: dict[str, Tensor], rngs: Sequence[np.random.Generator]) -> RuleInputs:
        """What each layer sees of a minibatch, and what is broadcast to all; imagined noise comes from `rngs`."""
        transitions, broadcast = self.memory.rule_inputs(batch, self.broadcaster, rngs)
        said: dict[str, Tensor] = {}
        for state, layer, transition in self._of_layers(transitions):
            for name, value in self.rule.says(state, layer, transition, broadcast).items():
                said[name] = said[name] + value if name in said else value
        for name, value in said.items():
            heard = getattr(broadcast, name)
            said[name] = value if heard is None else heard + value
        return transitions, replace(broadcast, **said)

    def local_errors(self, batch: dict[str, Tensor]) -> list[Tensor]:
        """The rule's; none of a rule that reads nothing."""
        if not self.rule.receives:
            return []
        transitions, broadcast = self.rule_inputs(batch, copy.deepcopy(self.noise_rngs))
        return [self.rule.local_error(*of_layer, broadcast) for of_layer in self._of_layers(transitions)]

    def directions(
        self, batch: dict[str, Tensor], rngs: Sequence[np.random.Generator] | None = None
    ) -> list[tuple[Tensor, Tensor]]:
        """As `Agent.directions`: the rule's."""
        transitions, broadcast = self.rule_inputs(batch, rngs or copy.deepcopy(self.noise_rngs))
        return [self.rule.direction(*of_layer, broadcast) for of_layer in self._of_layers(transitions)]

    def predictions(self, observation: Tensor) -> dict[str, Tensor]:
        """See `Agent`; own critics are left out where what they learn is an advantage."""
        h, found = self.actor.forward(self.online, observation).h, {}
        if self.global_critic is not None:
            found["critic"] = self.global_critic.values(observation, h[-1])[..., 0]
        advantage = self.settings.target == "global_advantage" or self.settings.replay == "imagined"
        if self.rule.has_critic and not advantage:
            for number, (layer, state) in enumerate(zip(self.layers, self.rule_states, strict=True), start=1):
                read = self.rule.read(LocalTransition(voltage=h[number - 1], observation=h[0]))
                values = self.rule.values(state, layer, read, h[number])
                found[f"layer_{number}"] = values.mean(dim=-1)
        return found

    def value_magnitude(self) -> Tensor:
        largest = [self.online.flat.new_zeros(len(self.online.flat))]
        if self._global_fit is not None:
            largest.append(self._global_fit[0].abs().amax(dim=(1, 2)))
        if self.rule.has_critic:
            for state, layer, transition in self._of_layers(self._transitions):
                values = self.rule.values(state, layer, self.rule.read(transition), transition.alpha)
                largest.append(values.abs().amax(dim=(1, 2)))
        return torch.stack(largest).amax(dim=0)

    def finite(self) -> Tensor:
        found = [self.online.flat.isfinite().all(dim=1), *(state.finite() for state in self.rule_states)]
        if self.global_critic is not None:
            found.append(self.global_critic.finite())
        return torch.stack([part for part in found if part is not None]).all(dim=0)

    def metrics(self) -> dict[str, Tensor]:
        found = {}
        for number, (layer, state, residual) in enumerate(
            zip(self.layers, self.rule_states, self.residuals, strict=True), start=1
        ):
            if residual is not None:
                found[f"loss/layer_{number}"] = residual.square().mean(dim=(1, 2)) / 2
            found[f"diagnostic/weight_norm_{number}"] = layer.weight.norm(dim=(1, 2))
            for name, value in self.rule.diagnostics(state).items():
                found[f"diagnostic/{name}_{number}"] = value
        if self._global_fit is not None:
            values, residual = self._global_fit
            found["value/minibatch"] = values.mean(dim=(1, 2))
            found["loss/critic"] = residual.square().mean(dim=(1, 2))
        return found

    def state_dict(self) -> dict[str, Any]:
        return {
            "online": self.online.flat,
            "target": self.target.flat,
            "rule_states": [state.state_dict() for state in self.rule_states],
            "normalisation": self.normalisation.state_dict() if self.normalisation is not None else None,
            "adam": self.adam.state_dict() if self.adam is not None else None,
            "global_critic": self.global_critic.state_dict() if self.global_critic is not None else None,
            "noise_rngs": seeding.states(self.noise_rngs),
            "updates": self.updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.online.flat.copy_(state["online"])
        self.target.flat.copy_(state["target"])
        for rule_state, saved in zip(self.rule_states, state["rule_states"], strict=True):
            rule_state.load_state_dict(saved)
        if self.normalisation is not None:
            self.normalisation.load_state_dict(state["normalisation"])
        if self.adam is not None:
            self.adam.load_state_dict(state["adam"])
        if self.global_critic is not None:
            self.global_critic.load_state_dict(state["global_critic"])
        seeding.restore(self.noise_rngs, state["noise_rngs"])
        self.updates = state["updates"]


def _rule(settings: LocalSettings, action_size: int) -> Rule[Any]:
    kind = rules.load(settings.algorithm)
    if not isinstance(settings, kind.Settings):
        raise TypeError(
            f"the settings of {settings.algorithm} are a {kind.Settings.__name__}, not a {type(settings).__name__}; "
            "subcritic.config.parse_method makes settings of the right class"
        )
    kind.check(settings)
    return kind.from_settings(settings, action_size)
