"""What the training loop, the probe and checkpoints ask of an agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from subcritic.config import AgentSettings
from subcritic.nn import MLP, Parameters, Voltages
from subcritic.nn.network import Network

NEWEST = "newest/"
# Prefix of random numbers in a minibatch that were drawn before the update.
DRAWN = "drawn/"


@dataclass(frozen=True)
class AgentBatch:
    """A minibatch as the whole agent saw it: s (S, B, n_0), a (S, B, n_L), r and terminated (S, B, 1), s′ (S, B, n_0).

    critic_observation, next_critic_observation: what the critic reads of s and s′, where that is not what the actor reads.
    """

    observation: Tensor
    action: Tensor
    reward: Tensor
    terminated: Tensor
    next_observation: Tensor
    critic_observation: Tensor | None = None
    next_critic_observation: Tensor | None = None

    @property
    def judged(self) -> Tensor:
        """What the critic reads of s."""
        return self.observation if self.critic_observation is None else self.critic_observation

    @property
    def next_judged(self) -> Tensor:
        """What the critic reads of s′."""
        return self.next_observation if self.next_critic_observation is None else self.next_critic_observation


class Agent(Protocol):
    """S agents of one kind, one per seed, acting and learning side by side.

    The class is made with (settings, observation_size, action_size, seeds), and names the class of its settings, a subclass
    of `AgentSettings`, in `Settings`. settings: an instance of it. actor: the shape of the policy's network. columns: what
    its replay stores, name → width. consecutive: how many rows in a row it learns from. newest: None, or from how many of
    the newest rows a second minibatch is drawn, whose columns come under their names after NEWEST. receives: what a neuron
    learns from, as fields of LocalTransition and Broadcast, {"error"} for a backpropagated error, or {"return"} where only
    returns are compared. A class may name a subclass of `subcritic.training.Trainer` as its `Trainer`, if it needs another
    loop than to learn from minibatches, and a subclass of `subcritic.replay.Replay` as its `Replay`.
    """

    @property
    def settings(self) -> AgentSettings: ...

    @property
    def actor(self) -> MLP: ...

    @property
    def columns(self) -> Mapping[str, int]: ...

    @property
    def consecutive(self) -> int: ...

    @property
    def receives(self) -> frozenset[str]: ...

    @property
    def newest(self) -> int | None: ...

    def policy(self) -> Parameters:
        """The actor's parameters, the tensors themselves."""

    def target_policy(self) -> Parameters:
        """Those that give a′ in TD targets: a slowly following copy, or the policy itself."""

    def act(self, observation: Tensor, perturbation: list[Tensor | None] | None = None) -> Voltages:
        """Voltages for observation (S, B, n_0); the output is the action, kept in [-1, 1] when perturbed."""

    def transition(
        self, voltages: Voltages, reward: Tensor, terminated: Tensor, next_observation: Tensor
    ) -> dict[str, Tensor]:
        """One replay row per seed; voltages as acted (S, 1, n_l), reward, terminated (S, 1), next_observation (S, n_0)."""

    def learn(self, batch: dict[str, Tensor]) -> None:
        """One update from a minibatch of replay rows."""

    def agent_batch(self, batch: dict[str, Tensor]) -> AgentBatch:
        """A minibatch of replay rows as the whole agent saw it; `observation` is what the actor reads."""

    def own_critic(self) -> Network | None:
        """The critic Q^μ(s, a) that it trains by backpropagation for itself, if it has one."""

    def local_errors(self, batch: dict[str, Tensor]) -> list[Tensor]:
        """δ = ∂Q/∂z by which each layer would learn from a minibatch, (S, B, n_l), as the agent finds it; [] if it has none.

        Asking changes nothing.
        """

    def predictions(self, observation: Tensor) -> dict[str, Tensor]:
        """The return that each of its critics predicts in states (S, B, n_0) for what the policy does there, (S, B) each.

        `critic` is the critic of the whole agent, `layer_l` the mean over the own critics of layer l's neurons. {} of an
        agent without critics.
        """

    def directions(
        self, batch: dict[str, Tensor], rngs: Sequence[np.random.Generator] | None = None
    ) -> list[tuple[Tensor, Tensor]]:
        """The ascent direction of each layer before the optimiser, (weight (S, n_in, n), bias (S, 1, n)); [] without one.

        Of layers that are frozen too. rngs: what noise is imagined with, one generator per seed; None: as the next update
        will. Asking changes nothing.
        """

    def value_magnitude(self) -> Tensor:
        """The largest |Q| of the last minibatch, (S,)."""

    def finite(self) -> Tensor:
        """Whether every parameter of a seed is finite, (S,)."""

    def metrics(self) -> dict[str, Tensor]:
        """Metrics of the last update, (S,) each."""

    def state_dict(self) -> dict[str, Any]:
        """All that acting and learning depend on, for a checkpoint.

        It must be data: tensors, arrays, numbers, text, bytes and None, in dicts, lists, tuples and sets.
        """

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""


class DeviceAgent(Agent, Protocol):
    """An agent that can be made on a device, by the further argument `device`; `devices` names those it can be made on.

    All its tensors are there, and neither acting nor learning asks for a value of one, which would make the CPU wait.
    """

    @property
    def devices(self) -> tuple[str, ...]: ...

    def drawn_shapes(self) -> Mapping[str, tuple[int, int]]:
        """(rows, width) of what `draw` gives, of each seed."""

    def draw(self) -> dict[str, np.ndarray]:
        """The random numbers of the next update, float32 (S, rows, width), by their names in the batch of `learn`."""

    def not_captured(self) -> str:
        """Why an update cannot be captured as a CUDA graph; empty if it can, since all updates are alike."""


def newest_of(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The second minibatch, of the newest rows."""
    return {name.removeprefix(NEWEST): column for name, column in batch.items() if name.startswith(NEWEST)}


def perturbed_forward(
    actor: MLP, parameters: Parameters, observation: Tensor, perturbation: list[Tensor | None] | None
) -> Voltages:
    """The actor's forward pass; a perturbed action is clipped to the action space [-1, 1]."""
    if perturbation is None:
        return actor.forward(parameters, observation)
    *of_hidden, of_action = perturbation
    if of_action is None or any(noise is not None for noise in of_hidden):
        voltages = actor.forward(parameters, observation, perturbation=perturbation)
        action = voltages.output
    else:
        # Noise of the action alone comes after a pass without noise.
        voltages = actor.forward(parameters, observation)
        action = voltages.output + of_action
    voltages.replace_output(action.clamp(-1, 1))
    return voltages
