"""Errors of a graph's neurons over a sequence: by backpropagation through time, and what they make of the connections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from subcritic.neuro.clocks import Clocks, Trace


def backpropagated(
    clocks: Clocks, columns: Sequence[np.ndarray], traces: Sequence[Trace], error: np.ndarray
) -> list[np.ndarray]:
    """δ = ∂J/∂z of every tick of every step, by backpropagation through all ticks of the sequence, in closed form.

    traces: of T steps. error: e = ∂J/∂z of the action's neurons at their last tick of each step, with all else held,
    (S, B, T, n_L). Returns, for every tick, δ of its neurons, (S, B, T, |n_j|). The voltages before the first step are taken
    as given.
    """
    ticks, steps = clocks.ticks, len(traces)
    found = [np.empty((*error.shape[:3], len(group))) for group in ticks]
    back = np.zeros(traces[0].voltages[0].shape)
    held = np.setdiff1d(np.arange(clocks.agent.neurons), clocks.free)
    for t in reversed(range(steps)):
        for j in reversed(range(len(ticks))):
            group = ticks[j]
            upstream = back[..., group]
            delta = upstream * traces[t].slopes[j]
            for tick, place, output in clocks.last:
                if tick == j:
                    delta[..., place] += error[:, :, t, output]
            found[j][:, :, t] = delta
            back[..., group] = (1 - clocks.relax[group]) * upstream
            back += delta @ columns[j].swapaxes(-1, -2)
        # The environment holds these.
        back[..., held] = 0.0
    return found


def ascent(clocks: Clocks, traces: Sequence[Trace], errors: Sequence[np.ndarray]) -> np.ndarray:
    """∂J/∂K = Σ v δ over rows, steps and ticks, (S, N, N), from the δ of every tick as of `backpropagated`.

    Every neuron uses what it read and its own δ. Connections that do not exist are counted too.
    """
    seeds, _, _ = traces[0].voltages[0].shape
    neurons = clocks.agent.neurons
    found = np.zeros((seeds, neurons, neurons))
    for j, group in enumerate(clocks.ticks):
        read = np.stack([trace.voltages[j] for trace in traces], axis=2).reshape(seeds, -1, neurons)
        found[:, :, group] += read.swapaxes(1, 2) @ errors[j].reshape(seeds, -1, len(group))
    return found
