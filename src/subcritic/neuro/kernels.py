"""Compiled functions for clocks of which no two tick together: what clocks.py and agents/through_time.py say.

S agents, B rows, N neurons, J ticks of an environment step. neuron (J,): who ticks. into (S, N, N): row n holds K^n. relax
(N,): κ. activation (N,): the number of σ in `ACTIVATIONS`. output (J,): which output's last tick this is, or −1.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from subcritic.nn.compiled import FUSING, entry


@njit(**FUSING)
def _activate(number, z):
    """(σ(z), σ'(z)); numbers count 'identity', 'relu', 'tanh', 'sigmoid'."""
    if number == 2:
        h = np.tanh(z)
        return h, 1 - h * h
    if number == 1:
        return max(z, 0.0), 1.0 if z > 0 else 0.0
    if number == 3:
        h = 0.5 * (1 + np.tanh(0.5 * z))
        return h, h * (1 - h)
    return z, 1.0


@entry(
    "void(f8[:, :, ::1], f8[:, :, ::1], i8[::1], i8[::1], f8[::1], i8[::1], f8[:, :, ::1], f8[:, :, ::1], f8[:, :, ::1], "
    "f8[:, :, ::1])"
)
def step(voltages, into, neuron, output, relax, activation, noise, after, slopes, z_last):
    """One environment step, in place. noise (S, B, J), or of width 0: none. z_last (S, B, n_L) is written for all rows,
    after and slopes, (S, B′, J), for the first B′.
    """
    seeds, rows, size = voltages.shape
    noisy, kept = noise.shape[2] > 0, after.shape[1]
    # Rows are innermost, so that they are computed several at a time.
    v, z = np.empty((size, rows)), np.empty(rows)
    for s in range(seeds):
        v[:] = voltages[s].T
        for j in range(neuron.size):
            n = neuron[j]
            weights, own, kappa = into[s, n], v[n], relax[n]
            z[:] = 0.0
            for i in range(size):
                if weights[i] != 0.0:
                    w, row = weights[i], v[i]
                    for b in range(rows):
                        z[b] += row[b] * w
            if output[j] >= 0:
                z_last[s, :, output[j]] = z
            for b in range(rows):
                h, slope = _activate(activation[n], z[b])
                own[b] += kappa * (h - own[b])
                if noisy:
                    own[b] += noise[s, b, j]
                if b < kept:
                    after[s, b, j] = own[b]
                    slopes[s, b, j] = slope * kappa
        voltages[s] = v.T


@entry(
    "void(f8[:, :, ::1], f8[:, :, ::1], i8[::1], i8[::1], f8[::1], f8[:, :, ::1], f8[:, :, ::1], f8[:, :, ::1])"
)
def back(backwards, into, neuron, output, relax, slopes, error, found):
    """One environment step of `through_time.backpropagated`: ∂J/∂v after the step becomes that before it, in place.

    error (S, B, n_L): e. found (S, B, J): δ.
    """
    seeds, rows, size = backwards.shape
    for s in range(seeds):
        for b in range(rows):
            g = backwards[s, b]
            for j in range(neuron.size - 1, -1, -1):
                n = neuron[j]
                delta = g[n] * slopes[s, b, j]
                if output[j] >= 0:
                    delta += error[s, b, output[j]]
                found[s, b, j] = delta
                g[n] *= 1 - relax[n]
                weights = into[s, n]
                for i in range(size):
                    g[i] += delta * weights[i]


@entry("void(f8[:, :, ::1], f8[:, :, ::1], f8[:, :, ::1], i8[::1], f8[:, :, ::1])")
def ascend(start, after, error, neuron, found):
    """found (S, N, N), row n for K^n: += Σ v δ over rows and ticks, for voltages start (S, B, N) before the first tick and
    after (S, B, J) of each tick's neuron, and δ (S, B, J).
    """
    v = np.empty(start.shape[2])
    for s in range(start.shape[0]):
        for b in range(start.shape[1]):
            v[:] = start[s, b]
            for j in range(neuron.size):
                row, delta = found[s, neuron[j]], error[s, b, j]
                for i in range(row.size):
                    row[i] += delta * v[i]
                v[neuron[j]] = after[s, b, j]
