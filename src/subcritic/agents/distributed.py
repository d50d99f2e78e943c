"""A sketch of an actor whose layers live in processes of their own: voltages and broadcasts cross, parameters do not.

Layers could as well stand on separate machines. The parent process keeps the replay, the environment and the global critic.
What crosses is counted, for learned feedback and for backpropagation, split at the same places.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from subcritic import seeding
from subcritic.agents.broadcast import Broadcaster
from subcritic.agents.global_critics import GLOBAL_CRITICS, GlobalCritic
from subcritic.agents.layer_processes import (
    PARENT,
    BackpropagationLayer,
    FeedbackLayer,
    LayerProcess,
    Name,
    Place,
    serve,
)
from subcritic.agents.links import Endpoint, Link
from subcritic.agents.protocol import AgentBatch
from subcritic.bellman import bellman_target
from subcritic.config import ImaginingSettings
from subcritic.nn import MLP, Parameters

NEEDED: dict[str, Any] = {
    "algorithm": "learned_feedback",
    "feedback_rule": "residual",
    "draws": 1,
    "update_every": 1,
    "newest": None,
    "layers_in_turn": None,
    "frozen_hidden": False,
    "normalisation": "none",
}


@dataclass(frozen=True)
class Crossed:
    """What crossed between processes since the start.

    bytes: by (what, from, to), see `layer_processes.Name`. messages: how many. exchanges: how many messages had to come one
    after the other in an update, at most.
    """

    bytes: dict[Name, int]
    messages: int
    exchanges: int


class DistributedLearner:
    """An actor of S seeds whose layers learn in one process each, and its global critic, here.

    settings: of learned feedback, with residuals and an error that values or gradients of the critic give. backpropagate:
    the same actor and critic learn by backpropagation instead, layer by layer (DDPG with the preset `modern`). With the same
    minibatches, the weights become those of `LocalLearner` and of `DDPG`. Use it as a context: at its end the processes end.
    Raises ValueError for other settings.
    """

    def __init__(
        self,
        settings: ImaginingSettings,
        observation_size: int,
        action_size: int,
        seeds: Sequence[int],
        backpropagate: bool = False,
    ) -> None:
        _check(settings)
        sizes = (observation_size, *settings.hidden, action_size)
        actor = MLP(sizes, settings.activation, "tanh", output_init=settings.last_layer_init)
        self.settings, self.actor, self.seeds, self.backpropagate = (
            settings,
            actor,
            tuple(seeds),
            backpropagate,
        )
        critic = seeding.generators(seeds, "training critic")
        self.critic: GlobalCritic = GLOBAL_CRITICS[settings.critic](
            settings, observation_size, action_size, critic
        )
        nothing = Parameters(torch.empty(len(self.seeds), 0), [], [])
        self._broadcaster = Broadcaster(settings, actor, nothing, nothing, self.critic)
        self._endpoint = Endpoint(self._look)
        context = multiprocessing.get_context("forkserver")
        # Imported once, by the process from which all layers are forked.
        context.set_forkserver_preload([LayerProcess.__module__])
        largest = 3 * len(self.seeds) * settings.batch_size * max(sizes)
        self.links = {name: Link(context, largest) for name in link_names(actor.depth, backpropagate)}
        kind: type[LayerProcess] = BackpropagationLayer if backpropagate else FeedbackLayer
        self._commands: list[Connection] = []
        self._processes = []
        for number in range(1, actor.depth + 1):
            ours, theirs = context.Pipe()
            own = {name: link for name, link in self.links.items() if number in name[1:]}
            place = Place(settings, actor, self.seeds, number)
            process = context.Process(target=serve, args=(kind, place, own, theirs), daemon=True)
            process.start()
            theirs.close()
            self._commands.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def act(self, observation: Tensor) -> Tensor:
        """The action (S, B, n_L) without noise at observation (S, B, n_0), B at most the batch size."""
        rows = observation.shape[1]
        self._tell("act", rows)
        [action] = self._through(rows, observation)
        return action

    def learn(self, batch: AgentBatch) -> None:
        """One update of the critic and of every layer, from a minibatch; layers may still be at it afterwards."""
        rows = batch.observation.shape[1]
        self._tell("learn", rows)
        action, next_action = self._through(rows, batch.observation, batch.next_observation)
        next_value = self.critic.values(batch.next_observation, next_action, target=True)
        target = bellman_target(batch.reward, self.settings.discount, batch.terminated, next_value)
        self.critic.fit(batch.observation, batch.action, target)
        depth = self.actor.depth
        if self.backpropagate:
            gradient = self.critic.action_gradient(batch.observation, action) / -rows
            self._endpoint.send(self.links["error", PARENT, depth], gradient)
            return
        error = self._broadcaster.action_error(batch.observation, action)
        for layer in range(1, depth + 1):
            self._endpoint.send(self.links["error", PARENT, layer], error)

    def crossed(self) -> Crossed:
        """What crossed in all updates so far; waits until all layers are done."""
        longest = [found for found, _ in self._report(parameters=False)]
        return Crossed(
            {name: link.bytes for name, link in self.links.items()},
            sum(link.messages for link in self.links.values()),
            max(self._endpoint.longest, *longest),
        )

    def states(self) -> list[dict[str, Tensor]]:
        """For tests: what every layer keeps. Nothing that learns asks for it."""
        return [state for _, state in self._report(parameters=True)]

    def close(self) -> None:
        """End the processes; what they were told before is done first, unless one of them is gone."""
        if all(process.is_alive() for process in self._processes):
            self._tell("end")
            for process in self._processes:
                process.join(timeout=10)
        for process in self._processes:
            process.terminate()
            process.join()

    def _through(self, rows: int, *observations: Tensor) -> list[Tensor]:
        """What the last layer puts out for each of the observations."""
        self._endpoint.begin()
        self._endpoint.send(self.links["voltages", PARENT, 1], *observations)
        shape = (len(self.seeds), rows, self.actor.sizes[-1])
        last = self.links["voltages", self.actor.depth, PARENT]
        return self._endpoint.receive(last, *[shape] * len(observations))

    def _tell(self, *command: Any) -> None:
        self._look()
        for commands in self._commands:
            commands.send(command)

    def _report(self, parameters: bool) -> list[tuple[int, dict[str, Tensor]]]:
        self._tell("report", parameters)
        return [commands.recv() for commands in self._commands]

    def _look(self) -> None:
        """Raise RuntimeError if a layer's process has ended."""
        for number, process in enumerate(self._processes, start=1):
            if not process.is_alive():
                raise RuntimeError(f"the process of layer {number} ended with exit code {process.exitcode}")


def link_names(depth: int, backpropagate: bool) -> list[Name]:
    """The links that an actor of `depth` layers needs."""
    up = [("voltages", layer, (layer + 1) % (depth + 1)) for layer in range(depth + 1)]
    if backpropagate:
        return [
            *up,
            ("error", PARENT, depth),
            *(("error", layer, layer - 1) for layer in range(depth, 1, -1)),
        ]
    hidden = range(1, depth)
    return [
        *up,
        *(("error", PARENT, layer) for layer in range(1, depth + 1)),
        *(("expectation", layer, depth) for layer in hidden),
        *(("deviation", depth, layer) for layer in hidden),
    ]


def _check(settings: ImaginingSettings) -> None:
    for field, value in NEEDED.items():
        if (given := getattr(settings, field)) != value:
            raise ValueError(f"layers in processes of their own need {field} {value}, not {given}")
    if (how := getattr(settings, "action_error", "")) not in ("one_by_one", "gradient"):
        raise ValueError(
            f"layers in processes of their own need action_error one_by_one or gradient, not {how}"
        )
