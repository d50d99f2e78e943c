"""Policies on a graph of neurons: what settings make of it, and how they act."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from subcritic import seeding
from subcritic.config.graph import GraphSettings
from subcritic.neuro import NeurocomputationalAgent, topologies
from subcritic.neuro.clocks import Clocks
from subcritic.nn import Parameters, Voltages

# Of clocks: a part of the architecture, the same for all seeds.
ARCHITECTURE = 0


@dataclass(frozen=True)
class GraphActor:
    """The policy as a function of voltages and observation together, for what looks at agents from outside."""

    clocks: Clocks
    neurons: int
    # In files of policies: such parameters, K, are none of a layered network.
    hidden: str = "graph"
    output: str = "graph"

    @property
    def sizes(self) -> tuple[int, int]:
        """(voltages and observation, action)."""
        return self.neurons + len(self.clocks.agent.inputs), len(self.clocks.agent.outputs)

    @property
    def depth(self) -> int:
        return 1

    def forward(self, policy: Parameters, x: Tensor) -> Voltages:
        """One environment step from x = [v, s], (S, B, N + n_0); h: x, and the action (S, B, n_L)."""
        _, action = self.step(x[..., : self.neurons].double().numpy(), x[..., self.neurons :].numpy())
        return Voltages([x, torch.from_numpy(action).to(x.dtype)], [x], [])

    def step(self, voltages: np.ndarray, observation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Voltages (S, B, N) after the step, and the action (S, B, n_L)."""
        moved = voltages.copy()
        self.clocks.step(moved, observation, self.clocks.connections(), trace=0)
        return moved, self.clocks.agent.decode(moved)


def graph(
    settings: GraphSettings, observation_size: int, action_size: int, seeds: Sequence[int]
) -> tuple[NeurocomputationalAgent, np.ndarray]:
    """The actors of all seeds as one stacked agent with weights for each, and the connections each has, (S, N, N)."""
    rngs = seeding.generators(seeds, "training actor")
    sizes, activation = (observation_size, settings.hidden, action_size), settings.activation
    if settings.connections == "random":
        make = partial(topologies.random_graph, observation_size, sum(settings.hidden), action_size, 0.5)
        made = [make(rng, activation, delay=settings.ticks) for rng in rngs]
    else:
        gain = 1.0 if settings.connections == "recurrent" else None
        made = [topologies.layered(*sizes, rng, activation, gain, settings.ticks) for rng in rngs]
    first, exists = made[0], np.stack([one.existing for one in made])
    stacked = NeurocomputationalAgent(
        np.stack([one.K for one in made]),
        first.inputs,
        first.outputs,
        first.activation,
        first.constants,
        settings.ticks,
        np.asarray(exists.any(axis=0)),
    )
    return stacked, exists


def clocks(settings: GraphSettings, agent: NeurocomputationalAgent) -> Clocks:
    """When the neurons tick, and how fast they follow; the same for all seeds."""
    constants = None
    if settings.time_constants is not None:
        constants = np.ones(agent.neurons)
        held = np.concatenate([agent.inputs, agent.constants, agent.outputs])
        hidden = np.setdiff1d(np.arange(agent.neurons), held)
        constants[hidden] = np.geomspace(*settings.time_constants, len(hidden))
    if settings.clocks == "common":
        return Clocks.common(agent, settings.ticks, constants)
    return Clocks.own(agent, settings.ticks, seeding.generator(ARCHITECTURE, "clocks"), constants)


def layers(settings: GraphSettings, clocks: Clocks) -> list[np.ndarray]:
    """Indices of the neurons of each hidden layer; a random graph has one."""
    hidden = np.setdiff1d(clocks.free, clocks.agent.outputs)
    if settings.connections == "random":
        return [hidden]
    return np.split(hidden, np.cumsum(settings.hidden)[:-1])
