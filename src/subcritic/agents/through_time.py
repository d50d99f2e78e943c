"""Errors of a graph's neurons over a sequence: by backpropagation through time, and what they make of the connections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from subcritic.neuro.clocks import Clocks, Connections, Trace
from subcritic.nn import compiled


def backpropagated(
    clocks: Clocks, connections: Connections, traces: Sequence[Trace], error: np.ndarray
) -> np.ndarray:
    """δ = ∂J/∂z of every neuron at every tick, by backpropagation through all ticks of the sequence, in closed form.

    traces: of T steps. error: e = ∂J/∂z of the action's neurons at their last tick of each step, with all else held,
    (S, B, T, n_L). Returns (S, B, T, F). The voltages before the first step are taken as given.
    """
    seeds, rows, steps, _ = error.shape
    found = np.empty((steps, seeds, rows, len(clocks.order)))
    back = np.zeros((seeds, rows, clocks.agent.neurons))
    held = np.setdiff1d(np.arange(clocks.agent.neurons), clocks.free)
    for t in reversed(range(steps)):
        _one_step(clocks, connections, traces[t], error[:, :, t], back, found[t])
        # The environment holds these.
        back[..., held] = 0.0
    return np.moveaxis(found, 0, 2)


def _one_step(
    clocks: Clocks,
    connections: Connections,
    trace: Trace,
    error: np.ndarray,
    back: np.ndarray,
    found: np.ndarray,
) -> None:
    """∂J/∂v after an environment step, `back`, becomes that before it, in place; δ goes into `found`."""
    if connections.compiled is not None:
        neuron, output = clocks.ticking
        arguments = (trace.slopes, np.ascontiguousarray(error), found)
        compiled.kernels("neuro.kernels").back(
            back, connections.compiled, neuron, output, clocks.relax, *arguments
        )
        return
    direct = np.zeros(found.shape)
    direct[..., clocks.last] = error
    end = found.shape[-1]
    for group, columns in zip(reversed(clocks.ticks), reversed(connections.columns), strict=True):
        part = slice(end - len(group), end)
        end = part.start
        upstream = back[..., group]
        delta = upstream * trace.slopes[..., part] + direct[..., part]
        found[..., part] = delta
        back[..., group] = (1 - clocks.relax[group]) * upstream
        back += delta @ columns.swapaxes(-1, -2)


def ascent(
    clocks: Clocks, connections: Connections, traces: Sequence[Trace], errors: np.ndarray
) -> np.ndarray:
    """∂J/∂K = Σ v δ over rows, steps and ticks, (S, N, N), from δ (S, B, T, F), as of `backpropagated`.

    Every neuron uses what it read and its own δ. Connections that do not exist are counted too.
    """
    seeds, neurons = len(errors), clocks.agent.neurons
    found = np.zeros((seeds, neurons, neurons))
    if connections.compiled is not None:
        for t, trace in enumerate(traces):
            delta = np.ascontiguousarray(errors[:, :, t])
            compiled.kernels("neuro.kernels").ascend(trace.start, trace.after, delta, clocks.order, found)
        return found.swapaxes(1, 2)
    read, after = (np.stack([getattr(t, name) for t in traces], axis=2) for name in ("start", "after"))
    start = 0
    for group in clocks.ticks:
        part = slice(start, start + len(group))
        start = part.stop
        delta = errors[..., part].reshape(seeds, -1, len(group))
        found[:, :, group] += read.reshape(seeds, -1, neurons).swapaxes(1, 2) @ delta
        read[..., group] = after[..., part]
    return found
