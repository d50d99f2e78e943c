"""The decentralised learner in threads: groups of neurons learn at the same time, without a lock between them.

A neuron's rule writes nothing but that neuron's own weights and critic, so threads that hold different neurons never
write to one place (drafts: "decentralized, local, and asynchronous"). What they share, they only read: the replay.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from subcritic.agents.local import LocalLearner
from subcritic.config import LocalSettings
from subcritic.rules.protocol import Layer, LocalTransition, RuleState

Split = Literal["neurons", "layers"]


@dataclass
class Part:
    """Some neurons of one layer: views of the layer's tensors and of its rule's state, and their last update."""

    number: int
    neurons: slice
    layer: Layer
    state: RuleState
    transition: LocalTransition = field(init=False)
    residual: Tensor = field(init=False)


class AsynchronousLearner(LocalLearner):
    """A LocalLearner whose neurons are dealt to `groups`, each of which can learn in a thread of its own.

    The rule must keep something of its own for every neuron, as `linear` and `bilinear` do, and step plainly.

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
        if not all(state.per_neuron for state in self.rule_states):
            raise ValueError(f"{settings.algorithm} does not keep something of its own for every neuron")
        if settings.optimiser != "sgd" or settings.replay != "stored" or self.broadcaster is not None:
            raise ValueError("learning in threads needs optimiser sgd, replay stored, target own_td")
        if settings.newest is not None or settings.update_every != 1:
            raise ValueError(
                "learning in threads needs an update per step from the whole replay: update_every 1, newest None"
            )
        if settings.layers_in_turn is not None or settings.frozen_hidden:
            raise ValueError(
                "learning in threads needs all layers at once: layers_in_turn None, frozen_hidden false"
            )
        shares = _deal(self.actor.sizes, groups, split)
        self.groups = [[self._part(number, neurons) for number, neurons in share] for share in shares]

    def _part(self, number: int, neurons: slice) -> Part:
        whole = self.layers[number - 1]
        names = ("weight", "bias", "target_weight", "target_bias")
        layer = replace(whole, **{name: getattr(whole, name)[..., neurons] for name in names})
        state = self.rule_states[number - 1].of_neurons(neurons)
        self.rule.add_optimisers(state, layer)
        return Part(number, neurons, layer, state)

    def learn(self, batch: dict[str, Tensor]) -> None:
        """One update of every group, one after the other, from the same minibatch."""
        for group in range(len(self.groups)):
            self.learn_group(group, batch)

    def learn_group(self, group: int, batch: dict[str, Tensor]) -> None:
        """One update of one group's neurons; safe beside the same of other groups."""
        transitions, _ = self.rule_inputs(batch, self.noise_rngs)
        for part in self.groups[group]:
            part.transition = _of_neurons(transitions[part.number - 1], part.neurons)
            residual = self.rule.update(part.state, part.layer, part.transition)
            assert residual is not None, "a rule with critics has one"
            part.residual = residual

    def value_magnitude(self) -> Tensor:
        largest = [
            self.rule.values(part.state, part.layer, self.rule.read(part.transition), part.transition.alpha)
            .abs()
            .amax(dim=(1, 2))
            for part in self._parts()
        ]
        return torch.stack(largest).amax(dim=0)

    def metrics(self) -> dict[str, Tensor]:
        """As LocalLearner's; call it while no thread learns."""
        self.residuals = [
            torch.cat([part.residual for part in self._parts() if part.number == number], dim=-1)
            for number in range(1, self.actor.depth + 1)
        ]
        return super().metrics()

    def _parts(self) -> list[Part]:
        return [part for group in self.groups for part in group]


class Workers:
    """One thread per piece of work; `grant` lets every thread do its piece once more, `settle` waits until all have.

    work: callables, one per thread, run under no_grad with one torch thread each. lag: how many grants a thread may fall
    behind before `grant` waits for it. An exception in a thread ends its work and is raised by the next call here.
    """

    def __init__(self, work: Sequence[Callable[[], None]], lag: int) -> None:
        if lag < 1:
            raise ValueError(f"lag = {lag}: must be at least 1")
        self._grants: list[queue.Queue[int]] = [queue.Queue(maxsize=lag) for _ in work]
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, args=pair, daemon=True)
            for pair in zip(work, self._grants, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def grant(self, times: int = 1) -> None:
        """Let every thread work `times` more times; raises what a thread has raised."""
        self._raise()
        for grants in self._grants:
            grants.put(times)

    def settle(self) -> None:
        """Wait until everything granted is done; raises what a thread has raised."""
        for grants in self._grants:
            grants.join()
        self._raise()

    def behind(self) -> int:
        """How many grants the slowest thread has not begun."""
        return max(grants.qsize() for grants in self._grants)

    def close(self) -> None:
        """End the threads; what was granted is done first."""
        for grants in self._grants:
            grants.put(0)
        for thread in self._threads:
            thread.join()

    def _raise(self) -> None:
        if self._errors:
            raise self._errors[0]

    def _run(self, work: Callable[[], None], grants: queue.Queue[int]) -> None:
        # All three belong to a thread, not to the process.
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        torch.set_grad_enabled(False)
        failed = False
        while times := grants.get():
            try:
                for _ in range(0 if failed else times):
                    work()
            except BaseException as error:
                failed = True
                self._errors.append(error)
            finally:
                grants.task_done()
        grants.task_done()


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


def _of_neurons(transition: LocalTransition, neurons: slice) -> LocalTransition:
    return replace(transition, alpha=transition.alpha[..., neurons])
