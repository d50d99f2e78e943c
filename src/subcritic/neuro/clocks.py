"""When neurons tick: all together ℓ times per environment step, or each at times of its own, with no global step.

A neuron samples and holds: when it ticks it reads what its inputs last put out, and moves as far as the leaky integrator
τ_n dv_n/dt = −v_n + μ^n(v) goes in the time p_n between two of its ticks, with what it reads held:
v_n ← v_n + κ_n (μ^n(v) − v_n), κ_n = 1 − exp(−p_n / τ_n). Without a time constant κ_n = 1, which is D of Definition 2.2.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from subcritic.neuro.agent import ACTIVATIONS, NeurocomputationalAgent, NotAnAgent, unchanged
from subcritic.nn import compiled


@dataclass
class Trace:
    """What J ticks of one environment step left behind; F = Σ_j |n_j|, the neurons n_j of tick j after each other.

    start: voltages before the first tick, (…, N). after: those that the neurons of each tick took on, (…, F). slopes:
    κ σ'(z), (…, F). z: of the action's neurons at their last tick, (…, n_L).
    """

    start: np.ndarray
    after: np.ndarray
    slopes: np.ndarray
    z: np.ndarray


@dataclass(frozen=True)
class Connections:
    """K^n of the neurons of every tick, (…, N, |n_j|); or all of K transposed, for compiled functions, (S, N, N)."""

    columns: list[np.ndarray]
    compiled: np.ndarray | None


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
    def widths(self) -> list[int]:
        """|n_j|, how many neurons tick together, for every tick."""
        return [len(group) for group in self.ticks]

    @cached_property
    def order(self) -> np.ndarray:
        """(F,): the neurons of all ticks after each other."""
        return np.concatenate(self.ticks)

    @cached_property
    def last(self) -> np.ndarray:
        """(n_L,): where in `order` the last tick of each output neuron is."""
        return np.array([np.flatnonzero(self.order == neuron)[-1] for neuron in self.agent.outputs])

    @cached_property
    def alone(self) -> bool:
        """Whether no two neurons tick together."""
        return max(self.widths) == 1

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

    def connections(self) -> Connections:
        """Today's K as `step` takes it. To be taken anew when K has changed."""
        K = self.agent.K
        if K.ndim == 3 and self.alone and compiled.allowed() and compiled.installed():
            return Connections([], np.ascontiguousarray(K.swapaxes(1, 2)))
        known: dict[bytes, np.ndarray] = {}
        for group in self.ticks:
            if group.tobytes() not in known:
                known[group.tobytes()] = np.ascontiguousarray(K[..., group])
        return Connections([known[group.tobytes()] for group in self.ticks], None)

    def step(
        self,
        voltages: np.ndarray,
        observation: np.ndarray,
        connections: Connections,
        noise: np.ndarray | None = None,
        trace: int | None = None,
    ) -> Trace:
        """One environment step, in place: voltages (…, B, N) move on under the observation (…, B, |N_I|), held all along.

        noise: what is added to the new voltages of the neurons of every tick, (…, B, F). The action is
        `agent.decode(voltages)` afterwards. Returns what happened: z of all rows, the rest of the first `trace` ones, None:
        of all.
        """
        agent, rows = self.agent, voltages.shape[-2]
        voltages[..., agent.inputs] = agent.sense(observation)
        voltages[..., agent.constants] = 1.0
        kept = rows if trace is None else trace
        shape = voltages.shape[:-2]
        found = Trace(
            voltages[..., :kept, :].copy(),
            np.empty((*shape, kept, len(self.order))),
            np.empty((*shape, kept, len(self.order))),
            np.empty((*shape, rows, len(agent.outputs))),
        )
        if connections.compiled is not None:
            self._step_compiled(voltages, connections.compiled, noise, found)
            return found
        last, start = self._outputs_by_tick, 0
        for j, (group, into) in enumerate(zip(self.ticks, connections.columns, strict=True)):
            part = slice(start, start + len(group))
            start = part.stop
            z = voltages @ into
            h, slope = self._functions[j](z)
            found.slopes[..., part] = slope[..., :kept, :] * self.relax[group]
            for place, output in last.get(j, ()):
                found.z[..., output] = z[..., place]
            if not self._instant[j]:
                before = voltages[..., group]
                h = before + self.relax[group] * (h - before)
            h = h if noise is None else h + noise[..., part]
            found.after[..., part] = h[..., :kept, :]
            voltages[..., group] = h
        return found

    def _step_compiled(
        self, voltages: np.ndarray, into: np.ndarray, noise: np.ndarray | None, found: Trace
    ) -> None:
        added = np.empty((*voltages.shape[:2], 0)) if noise is None else np.ascontiguousarray(noise)
        neuron, output = self.ticking
        compiled.kernels("neuro.kernels").step(
            voltages,
            into,
            neuron,
            output,
            self.relax,
            self._numbers,
            added,
            found.after,
            found.slopes,
            found.z,
        )

    @cached_property
    def ticking(self) -> tuple[np.ndarray, np.ndarray]:
        """(F,) each: who ticks, and which output's last tick this is, or −1."""
        output = np.full(len(self.order), -1)
        output[self.last] = np.arange(len(self.last))
        return self.order, output

    @cached_property
    def _numbers(self) -> np.ndarray:
        return np.array([list(ACTIVATIONS).index(name) for name in self.agent.activation])

    def output(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """σ(z) and σ'(z) of the action's neurons, (…, n_L): the voltages that they end a step with, without noise."""
        found: tuple[np.ndarray, np.ndarray] = self._output(z)
        return found

    @cached_property
    def _output(self):
        return _activation(tuple(self.agent.activation[n] for n in self.agent.outputs))

    @cached_property
    def _outputs_by_tick(self) -> dict[int, list[tuple[int, int]]]:
        """Tick → (place in it, place among the outputs) of the output neurons that tick there for the last time."""
        ends, found = np.cumsum(self.widths), {}
        for output, place in enumerate(self.last):
            tick = int(np.searchsorted(ends, place, side="right"))
            start = int(ends[tick]) - self.widths[tick]
            found.setdefault(tick, []).append((int(place) - start, output))
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
