"""What one layer of an actor does in a process of its own: its parameters stay there, voltages and broadcasts leave it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor

from subcritic import rules, seeding
from subcritic.agents.broadcast import draw_noise, scale_of_each
from subcritic.agents.links import Endpoint, Link
from subcritic.config import ImaginingSettings
from subcritic.exploration import per_layer
from subcritic.nn import MLP, Parameters, backprop, compiled
from subcritic.nn.adam import Adam
from subcritic.rules.learned_feedback import LearnedFeedbackState
from subcritic.rules.protocol import Broadcast, Layer, LocalTransition

# (what is sent, from, to): the number of a layer, or PARENT. Links of a layer, by this name.
Name = tuple[str, int, int]
PARENT = 0


@dataclass(frozen=True)
class Place:
    """Which layer of which actor, counted from 1."""

    settings: ImaginingSettings
    actor: MLP
    seeds: tuple[int, ...]
    number: int

    @property
    def last(self) -> bool:
        return self.number == self.actor.depth


class LayerProcess(ABC):
    """A layer that acts; subclasses learn. Its parameters, their target copies and all it learns with stay in here.

    It starts as the layer of a whole actor with these seeds does: it draws the others' parameters, too, and forgets them.
    """

    def __init__(self, place: Place, links: Mapping[Name, Link], endpoint: Endpoint) -> None:
        self.place, self.links, self.endpoint = place, links, endpoint
        actor, k = place.actor, place.number - 1
        activation = actor.activation(place.number)
        self.spec = MLP((actor.sizes[k], actor.sizes[k + 1]), activation, activation)
        drawn = actor.init(seeding.generators(place.seeds, "training actor"))
        own = torch.cat((drawn.weights[k].flatten(1), drawn.biases[k].flatten(1)), dim=1)
        self.online, self.target = self.spec.views(own), self.spec.views(own.clone())

    def act(self, rows: int) -> None:
        """Pass on σ(z) for `rows` states per seed."""
        [v] = self._voltages(rows, 1)
        self._pass_on(self.spec.forward(self.online, v).output)

    @abstractmethod
    def learn(self, rows: int) -> None:
        """One update from `rows` states per seed."""

    def state(self) -> dict[str, Tensor]:
        """For tests only: what never leaves this process while it learns."""
        return {"weight": self.online.weights[0], "bias": self.online.biases[0], "target": self.target.flat}

    def _shape(self, layer: int, rows: int) -> tuple[int, int, int]:
        return len(self.place.seeds), rows, self.place.actor.sizes[layer]

    def _voltages(self, rows: int, count: int) -> list[Tensor]:
        """So many sets of presynaptic voltages, (S, B, n_in) each."""
        below = self.place.number - 1
        link = self.links["voltages", below, self.place.number]
        return self.endpoint.receive(link, *[self._shape(below, rows)] * count)

    def _pass_on(self, *voltages: Tensor) -> None:
        above = PARENT if self.place.last else self.place.number + 1
        self.endpoint.send(self.links["voltages", self.place.number, above], *voltages)


class FeedbackLayer(LayerProcess):
    """A layer that learns by learned feedback, as one of `LocalLearner`.

    Voltages go up three times, stacked into one message: at s, at s′ by the target copies, and at s with noise on the hidden
    neurons. The noise is this layer's part of one stream, which every layer draws for itself.
    """

    def __init__(self, place: Place, links: Mapping[Name, Link], endpoint: Endpoint) -> None:
        super().__init__(place, links, endpoint)
        settings, actor, number = place.settings, place.actor, place.number
        parts = (self.online.weights[0], self.online.biases[0], self.target.weights[0], self.target.biases[0])
        self.layer = Layer(
            *parts,
            actor.activation(number),
            last=place.last,
            feeds_action=number == actor.depth - 1,
            observation_size=actor.sizes[0],
        )
        self.rule = rules.load(settings.algorithm).from_settings(settings, actor.sizes[-1])
        critics = seeding.generators(place.seeds, "training local critic", number)
        self.rule_state: LearnedFeedbackState = self.rule.init(self.layer, critics)
        self.rngs = seeding.generators(place.seeds, "training imagination")
        self.scales = scale_of_each(settings, actor).float()

    def learn(self, rows: int) -> None:
        xi = draw_noise(self.place.actor, self.scales, rows, self.rngs)[self.place.number - 1]
        if self.place.number == 1:
            v, v_next = self._voltages(rows, 2)
            noisy = v
        else:
            v, v_next, noisy = self._voltages(rows, 3)
        h, h_next = (self.spec.forward(*pair).output for pair in ((self.online, v), (self.target, v_next)))
        learn = self._learn_last if self.place.last else self._learn_hidden
        learn(v, h, h_next, noisy, xi)
        self.target.move_towards(self.online, self.place.settings.polyak)

    def _learn_hidden(self, v: Tensor, h: Tensor, h_next: Tensor, noisy: Tensor, xi: Tensor) -> None:
        number, actor = self.place.number, self.place.actor
        self._pass_on(h, h_next, self.spec.forward(self.online, noisy, perturbation=[xi]).output)
        variance = per_layer(self.place.settings.perturbation_scale, actor.depth)[number - 1] ** 2
        transition = LocalTransition(voltage=v, alpha=h + xi, noise=xi, noise_variance=variance)
        said = self.rule.says(self.rule_state, self.layer, transition, Broadcast())["deviation"]
        self.endpoint.send(self.links["expectation", number, actor.depth], said)
        shape = self._shape(actor.depth, v.shape[1])
        [deviation] = self.endpoint.receive(self.links["deviation", actor.depth, number], shape)
        [error] = self.endpoint.receive(self.links["error", PARENT, number], shape)
        self.rule.learn(
            self.rule_state, self.layer, transition, Broadcast(feedback=error, deviation=deviation)
        )

    def _learn_last(self, v: Tensor, h: Tensor, h_next: Tensor, noisy: Tensor, xi: Tensor) -> None:
        """The action's neurons see by how much all hidden noise moved their z, and tell how much of it was not expected."""
        number = self.place.number
        self._pass_on(h, h_next)
        said = [
            self.endpoint.receive(self.links["expectation", layer, number], tuple(h.shape))[0]
            for layer in range(1, number)
        ]
        deviation = torch.bmm(noisy - v, self.online.weights[0]) + _sum(said)
        for layer in range(1, number):
            self.endpoint.send(self.links["deviation", number, layer], deviation)
        [error] = self.endpoint.receive(self.links["error", PARENT, number], tuple(h.shape))
        self.rule.learn(self.rule_state, self.layer, LocalTransition(voltage=v), Broadcast(feedback=error))

    def state(self) -> dict[str, Tensor]:
        return super().state() | {"feedback": self.rule_state.weight}


class BackpropagationLayer(LayerProcess):
    """The same layer in an actor that learns by backpropagation: it waits for the error of the layer above, or the critic's.

    Voltages go up twice, at s and at s′ by the target copies; errors ∂J/∂h go down.
    """

    def __init__(self, place: Place, links: Mapping[Name, Link], endpoint: Endpoint) -> None:
        super().__init__(place, links, endpoint)
        self.gradient: Parameters = self.spec.views(torch.zeros_like(self.online.flat))
        self.adam = Adam(self.online.flat, self.gradient.flat, place.settings.actor_rate)

    def learn(self, rows: int) -> None:
        number = self.place.number
        v, v_next = self._voltages(rows, 2)
        voltages = self.spec.forward(self.online, v)
        self._pass_on(voltages.output, self.spec.forward(self.target, v_next).output)
        above = PARENT if self.place.last else number + 1
        [upstream] = self.endpoint.receive(self.links["error", above, number], self._shape(number, rows))
        if number > 1:
            down = backprop.voltage_gradients(self.spec, self.online, voltages, upstream)[0]
            self.endpoint.send(self.links["error", number, number - 1], down)
        backprop.gradients(self.spec, self.online, voltages, upstream, self.gradient)
        self.adam.step()
        self.target.move_towards(self.online, self.place.settings.polyak)


def serve(kind: type[LayerProcess], place: Place, links: Mapping[Name, Link], commands: Connection) -> None:
    """Do as the parent says until it says `end`, or is gone. Commands are (name of a method, arguments).

    With torch's operations alone: to load compiled functions would take each process longer than what a sketch does.
    """
    torch.set_num_threads(1)
    endpoint = Endpoint(_look_for_parent)
    with compiled.off(), torch.no_grad():
        _obey(kind(place, links, endpoint), endpoint, commands)


def _obey(layer: LayerProcess, endpoint: Endpoint, commands: Connection) -> None:
    while True:
        try:
            what, *arguments = commands.recv()
        except EOFError:
            return
        if what == "end":
            return
        endpoint.begin()
        if what == "report":
            commands.send((endpoint.longest, layer.state() if arguments[0] else {}))
        else:
            getattr(layer, what)(*arguments)


def _look_for_parent() -> None:
    parent: Any = parent_process()
    if not parent.is_alive():
        raise SystemExit("the process that began this one is gone")


def _sum(tensors: Iterable[Tensor]) -> Tensor:
    first, *others = tensors
    for other in others:
        first = first + other
    return first
