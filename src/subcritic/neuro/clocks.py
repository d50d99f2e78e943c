"""When neurons tick: all together ℓ times per environment step, or each at times of its own, with no global step.

A neuron that ticks reads what its inputs last put out, and moves towards μ^n(v) as a leaky integrator does between two of
its ticks: τ_n dv_n/dt = −v_n + μ^n(v), with what it reads held, is v_n ← v_n + κ_n (μ^n(v) − v_n) with κ_n =
1 − exp(−p_n / τ_n) for the time p_n between ticks. Without a time constant κ_n = 1, which is D of Definition 2.2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from subcritic.neuro.agent import ACTIVATIONS, NeurocomputationalAgent, NotAnAgent, unchanged


@dataclass
class Trace:
    """What the ticks of one environment step left behind, tick by tick: for tick j with the neurons n_j,

    voltages: what they read, (…, N). slopes: κ σ'(z), (…, |n_j|). z: of the action's neurons at their last tick, (…, n_L).
    """

    voltages: list[np.ndarray]
    slopes: list[np.ndarray]
    z: np.ndarray


@dataclass(frozen=True, eq=False)
class Clocks:
    """The ticks of an agent's neurons within one environment step; every step has the same.

    ticks: of each, in order of time, the indices of the neurons that tick together, which read the voltages before it.
    relax: (N,) κ; 1 for the neurons of the action. Raises NotAnAgent for an agent with an inhibition, a neuron that never
    ticks, a κ outside (0, 1], or an output neuron with κ below 1.
    """

    agent: NeurocomputationalAgent
    ticks: tuple[np.ndarray, ...]
    relax: np.ndarray

    def __post_init__(self) -> None:
        if self.agent.inhibition is not unchanged:
            raise NotAnAgent(
                "neurons with clocks need an agent without an inhibition Θ, which reads all of them"
            )
        silent = np.setdiff1d(self.free, np.concatenate(self.ticks))
        if len(silent):
            raise NotAnAgent(f"neuron {silent[0]} never ticks")
        if not ((self.relax > 0) & (self.relax <= 1)).all():
            raise NotAnAgent("a time between ticks or a time constant is not positive: κ must lie in (0, 1]")
        if (self.relax[self.agent.outputs] < 1).any():
            raise NotAnAgent("neurons of the action have no time constant: κ must be 1")

    @classmethod
    def common(
        cls, agent: NeurocomputationalAgent, count: int, time_constants: np.ndarray | None = None
    ) -> Self:
        """All neurons tick together, `count` times per environment step, the last time at its end: ℓ = count.

        time_constants: (N,) τ in environment steps; those of inputs, constants and outputs are not used.
        """
        free = _free(agent)
        return cls(agent, (free,) * count, _relax(agent, np.full(agent.neurons, 1 / count), time_constants))

    @classmethod
    def own(
        cls,
        agent: NeurocomputationalAgent,
        count: int,
        rng: np.random.Generator,
        time_constants: np.ndarray | None = None,
    ) -> Self:
        """Every neuron ticks at a rate and with a phase of its own, so that no two tick together.

        Neuron n ticks m_n times per environment step, at (φ_n + j) / m_n: m_n is an integer from ⌈count / 2⌉ to
        ⌊3 count / 2⌋, φ_n in [0, 1), both uniform. The action is what its neurons last put out when the step ends.
        """
        free = _free(agent)
        rates = rng.integers(-(-count // 2), 3 * count // 2 + 1, len(free))
        phases = rng.uniform(0, 1, len(free))
        times = [(phase + np.arange(rate)) / rate for phase, rate in zip(phases, rates, strict=True)]
        owner = np.repeat(free, rates)
        order = np.argsort(np.concatenate(times), kind="stable")
        periods = np.ones(agent.neurons)
        periods[free] = 1 / rates
        return cls(agent, tuple(owner[order][:, None]), _relax(agent, periods, time_constants))

    @property
    def free(self) -> np.ndarray:
        """Indices of the neurons that tick: all but inputs and constants, which the environment holds."""
        return _free(self.agent)

    @cached_property
    def last(self) -> list[tuple[int, int, int]]:
        """(tick, place in it, place among the outputs) of every output neuron's last tick in a step."""
        found = []
        for place, neuron in enumerate(self.agent.outputs):
            tick = max(j for j, group in enumerate(self.ticks) if neuron in group)
            found.append((tick, int(np.flatnonzero(self.ticks[tick] == neuron)[0]), place))
        return found

    def steps_to_action(self, neuron: int) -> int | None:
        """The fewest environment steps between a tick of a neuron and an action that its voltage there can change: 0, the
        action of the same step. None for a neuron without a path to an output.
        """
        neuron = self.agent.index(neuron)
        own = [tick for tick, group in enumerate(self.ticks) if neuron in group]
        steps = [self._reach(neuron, tick) for tick in own]
        return min((found for found in steps if found is not None), default=None)

    def _reach(self, neuron: int, tick: int) -> int | None:
        """As `steps_to_action`, for one tick of the neuron."""
        touched = np.zeros(self.agent.neurons, bool)
        touched[neuron] = True
        rest = self.ticks[tick + 1 :]
        for steps in range(self.agent.neurons + 1):
            for group in rest:
                stays = touched[group] & (self.relax[group] < 1)
                touched[group] = stays | self.agent.existing[touched][:, group].any(axis=0)
            if touched[self.agent.outputs].any():
                return steps
            rest = self.ticks
        return None

    def columns(self) -> list[np.ndarray]:
        """K^n of the neurons of every tick, (…, N, |n_j|). To be taken anew when K has changed."""
        # Of a tick of all free neurons in order, a view would do; a copy makes the products faster.
        known: dict[bytes, np.ndarray] = {}
        for group in self.ticks:
            if group.tobytes() not in known:
                known[group.tobytes()] = np.ascontiguousarray(self.agent.K[..., group])
        return [known[group.tobytes()] for group in self.ticks]

    def step(
        self,
        voltages: np.ndarray,
        observation: np.ndarray,
        columns: Sequence[np.ndarray],
        noise: Sequence[np.ndarray] | None = None,
        trace: bool = True,
    ) -> Trace | None:
        """One environment step, in place: voltages (…, N) move on under the observation (…, |N_I|), held all along.

        columns: those of today's K. noise: for every tick, what is added to the new voltages of its neurons, (…, |n_j|).
        The action is `agent.decode(voltages)` afterwards. Returns what happened, unless `trace` is False.
        """
        agent = self.agent
        voltages[..., agent.inputs] = agent.sense(observation)
        voltages[..., agent.constants] = 1.0
        read, slopes, z_last = [], [], np.empty((*voltages.shape[:-1], len(agent.outputs)))
        last = self._last_by_tick
        for j, (group, into) in enumerate(zip(self.ticks, columns, strict=True)):
            z = voltages @ into
            h, slope = self._functions[j](z)
            if trace:
                read.append(voltages.copy())
                slopes.append(slope * self.relax[group])
                for place, output in last.get(j, ()):
                    z_last[..., output] = z[..., place]
            if not self._instant[j]:
                before = voltages[..., group]
                h = before + self.relax[group] * (h - before)
            if noise is not None:
                h = h + noise[j]
            voltages[..., group] = h
        return Trace(read, slopes, z_last) if trace else None

    def output(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """σ(z) and σ'(z) of the action's neurons, (…, n_L): the voltages that they end a step with, without noise."""
        found: tuple[np.ndarray, np.ndarray] = self._output(z)
        return found

    @cached_property
    def _output(self):
        return _activation(tuple(self.agent.activation[n] for n in self.agent.outputs))

    @cached_property
    def _last_by_tick(self) -> dict[int, list[tuple[int, int]]]:
        found: dict[int, list[tuple[int, int]]] = {}
        for tick, place, output in self.last:
            found.setdefault(tick, []).append((place, output))
        return found

    @cached_property
    def _instant(self) -> list[bool]:
        return [bool((self.relax[group] == 1).all()) for group in self.ticks]

    @cached_property
    def _functions(self) -> list:
        """z → (σ(z), σ'(z)) for the neurons of every tick."""
        return [_activation(tuple(self.agent.activation[n] for n in group)) for group in self.ticks]


def _activation(names: tuple[str, ...]):
    groups = [(name, np.flatnonzero(np.array(names) == name)) for name in dict.fromkeys(names)]

    def alike(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sigma, slope = ACTIVATIONS[names[0]]
        h = sigma(z)
        return h, slope(h)

    def mixed(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        h, slopes = np.empty_like(z), np.empty_like(z)
        for name, where in groups:
            sigma, slope = ACTIVATIONS[name]
            h[..., where] = sigma(z[..., where])
            slopes[..., where] = slope(h[..., where])
        return h, slopes

    return alike if len(groups) == 1 else mixed


def _free(agent: NeurocomputationalAgent) -> np.ndarray:
    held = np.concatenate([agent.inputs, agent.constants]).astype(int)
    return np.setdiff1d(np.arange(agent.neurons), held)


def _relax(
    agent: NeurocomputationalAgent, periods: np.ndarray, time_constants: np.ndarray | None
) -> np.ndarray:
    relax = np.ones(agent.neurons)
    if time_constants is not None:
        hidden = np.setdiff1d(_free(agent), agent.outputs)
        relax[hidden] = -np.expm1(-periods[hidden] / np.asarray(time_constants)[hidden])
    return relax
