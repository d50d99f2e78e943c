"""The decentralised learner in threads: groups of neurons learn at the same time, without a lock between them.

A neuron's rule writes nothing but that neuron's own weights and what it keeps, so threads that hold different neurons never
write to one place (drafts: "decentralized, local, and asynchronous"). What they share, they only read: the replay, and, for
a rule that hears what crosses layers, the weights of all others and the global critic as they are at that moment.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from subcritic import seeding
from subcritic.agents.local import LocalLearner
from subcritic.agents.memory import RuleInputs
from subcritic.config import LocalSettings
from subcritic.rules.optimisers import Adaptive, Optimiser
from subcritic.rules.protocol import Broadcast, Layer, LocalTransition, RuleState

Split = Literal["neurons", "layers"]

# The phases of an update. If all pieces end one before any begins the next, the numbers are the synchronous learner's.
FIT, HEAR, LEARN = PHASES = range(3)


@dataclass
class Part:
    """Some neurons of one layer: views of the layer's tensors and of its rule's state, and their last update."""

    number: int
    neurons: slice
    layer: Layer
    state: RuleState
    transition: LocalTransition = field(init=False)
    residual: Tensor | None = field(init=False)

    def of(self, transition: LocalTransition) -> LocalTransition:
        """What these neurons know of what their layer went through."""
        own: dict[str, Any] = {
            name: value[..., self.neurons]
            for name in ("alpha", "noise", "noise_variance")
            if isinstance(value := getattr(transition, name), Tensor)
        }
        return replace(transition, **own)

    def hears(self, broadcast: Broadcast) -> Broadcast:
        """What is broadcast; of the error at the action's neurons, these only their own."""
        if not self.layer.last or broadcast.feedback is None:
            return broadcast
        return replace(broadcast, feedback=broadcast.feedback[..., self.neurons])


class AsynchronousLearner(LocalLearner):
    """A LocalLearner in pieces, each of which can learn in a thread of its own: `groups` of neurons, then the global critic.

    A rule without a global critic keeps something of its own for every neuron, as `linear` and `bilinear` do, and steps
    plainly. A rule that learns from imagined noise may step by Adam. Each group then imagines for itself, with a minibatch
    and noise of its own: it runs the whole actor, by everybody's weights as it finds them, lets the critic score, computes
    what the neurons of all groups say, and moves its own weights, feedback and moments. So forward passes and values are
    computed once per group. The critic's piece fits the critic alone.

    split: 'neurons' gives every group an equal share of each layer, 'layers' whole layers, balanced by their connections.
    Raises ValueError for other settings, and for a number of groups that leaves one without neurons.
    """

    def __init__(
        self,
        settings: LocalSettings,
        observation_size: int,
        action_size: int,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        groups: int = 2,
        split: Split = "neurons",
    ) -> None:
        super().__init__(settings, observation_size, action_size, seeds, dtype)
        _check(settings, split, self.rule_states)
        shares = _deal(self.actor.sizes, groups, split)
        self.groups = [[self._part(number, neurons) for number, neurons in share] for share in shares]
        # Equal streams: with the same minibatches, all groups imagine the same.
        self.group_rngs = [copy.deepcopy(self.noise_rngs) for _ in self.groups]
        self._heard: list[RuleInputs] = [([], Broadcast())] * groups

    def _weight_optimisers(self) -> Iterator[Optimiser | None]:
        """None are shared: every layer, or part of one, steps by itself."""
        yield from [None] * self.actor.depth

    def _part(self, number: int, neurons: slice) -> Part:
        whole, state = self.layers[number - 1], self.rule_states[number - 1]
        if neurons == slice(None):
            return Part(number, neurons, whole, state)
        names = ("weight", "bias", "target_weight", "target_bias")
        layer = replace(whole, **{name: getattr(whole, name)[..., neurons] for name in names})
        own, weights = state.of_neurons(neurons), None
        if self.settings.optimiser == "adam":
            weights = _OwnColumns({"weight": layer.weight, "bias": layer.bias}, self.settings.actor_rate)
        self.rule.add_optimisers(own, layer, weights)
        return Part(number, neurons, layer, own)

    @property
    def pieces(self) -> int:
        """How many pieces there are: the groups, and the global critic if there is one."""
        return len(self.groups) + (self.global_critic is not None)

    def learn(self, batch: dict[str, Tensor]) -> None:
        """One update of every piece, as the synchronous learner makes it, from one minibatch."""
        for phase in PHASES:
            for piece in range(self.pieces):
                self.learn_phase(piece, phase, batch)

    def learn_piece(self, piece: int, batch: dict[str, Tensor]) -> None:
        """One update of one piece; safe beside the same of other pieces."""
        for phase in PHASES:
            self.learn_phase(piece, phase, batch)

    def learn_phase(self, piece: int, phase: int, batch: dict[str, Tensor]) -> None:
        """FIT: the critic learns. HEAR: a group finds out what its neurons learn from. LEARN: they learn."""
        if piece == len(self.groups):
            if phase == FIT:
                self._fit_critic(batch)
        elif phase == HEAR:
            self._heard[piece] = self.rule_inputs(batch, self.group_rngs[piece])
        elif phase == LEARN:
            transitions, broadcast = self._heard[piece]
            for part in self.groups[piece]:
                part.transition = part.of(transitions[part.number - 1])
                part.residual = self.rule.update(
                    part.state, part.layer, part.transition, part.hears(broadcast)
                )

    def value_magnitude(self) -> Tensor:
        largest = [self.online.flat.new_zeros(len(self.online.flat))]
        if self._global_fit is not None:
            largest.append(self._global_fit[0].abs().amax(dim=(1, 2)))
        for part in self._parts() if self.rule.has_critic else ():
            read = self.rule.read(part.transition)
            values = self.rule.values(part.state, part.layer, read, part.transition.alpha)
            largest.append(values.abs().amax(dim=(1, 2)))
        return torch.stack(largest).amax(dim=0)

    def metrics(self) -> dict[str, Tensor]:
        """As LocalLearner's; call it while no thread learns."""
        self.residuals = [self._residual(number) for number in range(1, self.actor.depth + 1)]
        return super().metrics()

    def _residual(self, number: int) -> Tensor | None:
        found = [part.residual for part in self._parts() if part.number == number]
        known = [residual for residual in found if residual is not None]
        return torch.cat(known, dim=-1) if known else None

    def _parts(self) -> list[Part]:
        return [part for group in self.groups for part in group]

    def state_dict(self) -> dict[str, Any]:
        moments = [part.state.weight_optimiser.state_dict() for part in self._parts()]
        rngs = [seeding.states(group) for group in self.group_rngs]
        return super().state_dict() | {"moments": moments, "group_rngs": rngs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        for part, saved in zip(self._parts(), state["moments"], strict=True):
            part.state.weight_optimiser.load_state_dict(saved)
        for group, states in zip(self.group_rngs, state["group_rngs"], strict=True):
            seeding.restore(group, states)


class _OwnColumns(Adaptive):
    """Adam on columns of larger tensors, which its kernel cannot read: it steps a copy without gaps, then copies it back."""

    def __init__(self, columns: Mapping[str, Tensor], rate: float) -> None:
        self.columns = dict(columns)
        super().__init__({name: tensor.contiguous() for name, tensor in columns.items()}, rate)

    def step(self, name: str) -> None:
        self.parameters[name].copy_(self.columns[name])
        super().step(name)
        self.columns[name].copy_(self.parameters[name])


def _check(settings: LocalSettings, split: Split, states: Sequence[RuleState]) -> None:
    """Raise ValueError for settings that threads cannot learn with."""
    own = settings.optimiser == "sgd" and settings.replay == "stored" and not settings.needs_global_critic
    if settings.newest is not None or settings.update_every != 1:
        raise ValueError(
            "learning in threads needs an update per step from the whole replay: update_every 1, newest None"
        )
    if settings.layers_in_turn is not None or settings.frozen_hidden:
        raise ValueError(
            "learning in threads needs all layers at once: layers_in_turn None, frozen_hidden false"
        )
    if settings.normalisation != "none":
        raise ValueError(
            f"learning in threads needs weights that nothing else divides: normalisation none, not {settings.normalisation}"
        )
    if not (own or settings.replay == "imagined"):
        raise ValueError(
            "learning in threads needs replay imagined, or optimiser sgd, replay stored and target own_td"
        )
    if not (
        all(state.per_neuron for state in states) or (split == "layers" and settings.replay == "imagined")
    ):
        whole = ": split must be layers" if settings.replay == "imagined" else ""
        raise ValueError(f"{settings.algorithm} does not keep something of its own for every neuron{whole}")


def _deal(sizes: Sequence[int], groups: int, split: Split) -> list[list[tuple[int, slice]]]:
    """(layer, neurons) of every group."""
    limit = len(sizes) - 1 if split == "layers" else max(sizes[1:])
    if not 1 <= groups <= limit:
        raise ValueError(f"groups = {groups}: must be from 1 to {limit}, the number of {split} to deal")
    shares: list[list[tuple[int, slice]]] = [[] for _ in range(groups)]
    if split == "neurons":
        for number, width in enumerate(sizes[1:], start=1):
            bounds = [width * group // groups for group in range(groups + 1)]
            for share, start, stop in zip(shares, bounds, bounds[1:], strict=False):
                if stop > start:
                    share.append((number, slice(start, stop)))
        return shares
    connections = {number: sizes[number - 1] * sizes[number] for number in range(1, len(sizes))}
    load = [0] * groups
    for number in sorted(connections, key=lambda number: connections[number], reverse=True):
        least = load.index(min(load))
        shares[least].append((number, slice(None)))
        load[least] += connections[number]
    return shares
