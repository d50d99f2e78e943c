"""Compiled functions of what is broadcast: what broadcast.py says; see nn/kernels.py."""

from __future__ import annotations

import numpy as np
from numba import njit

from subcritic.nn.compiled import FUSING, entry
from subcritic.nn.kernels import activate, copy_to
from subcritic.nn.product_kernels import affine

_ONE = np.float32(1)


@njit(**FUSING)
def through(flat, s, layout, first, h):
    """h_L (B, n_L) of seed s, from z of layer `first`, which h holds (B, n_first) and loses."""
    activate(h, layout[first, 2])
    for layer in range(first + 1, len(layout)):
        n_in, n, start = layout[layer, 0], layout[layer, 1], layout[layer, 3]
        out = np.empty((h.shape[0], n), np.float32)
        weight = flat[s, start : start + n_in * n].reshape(n_in, n)
        affine(out, h, weight, flat[s, start + n_in * n : start + n_in * n + n])
        activate(out, layout[layer, 2])
        h = out
    return h


@entry("void(f4[:, ::1], i8[:, ::1], f4[:, :, :], f4[:, :, :], f8, f4[:, :, ::1])")
def one_by_one(flat, layout, observation, action, scale, slope):
    """`Broadcaster._one_by_one` before σ'(z), of a critic whose first layer the action joins.

    The first layer's z is computed once; for an action alone it moves along that action's weights.
    """
    seeds, rows, n_obs = observation.shape
    count, sigma = action.shape[2], np.float32(scale)
    n_in, width, start = layout[0, 0], layout[0, 1], layout[0, 3]
    for s in range(seeds):
        weight = flat[s, start : start + n_in * width].reshape(n_in, width)
        v, z = np.empty((rows, n_in), np.float32), np.empty((rows, width), np.float32)
        copy_to(v, 0, observation[s])
        copy_to(v, n_obs, action[s])
        affine(z, v, weight, flat[s, start + n_in * width : start + n_in * width + width])
        both = np.empty((2 * rows, width), np.float32)
        for number in range(count):
            along = weight[n_obs + number]
            for row in range(rows):
                a = v[row, n_obs + number]
                up = _ONE - a if a + sigma > _ONE else sigma
                down = -_ONE - a if a - sigma < -_ONE else -sigma
                before, plus, minus = z[row], both[row], both[rows + row]
                for j in range(width):
                    plus[j] = before[j] + up * along[j]
                    minus[j] = before[j] + down * along[j]
                slope[s, row, number] = _ONE / (up - down)
            value = through(flat, s, layout, 0, both)
            for row in range(rows):
                slope[s, row, number] *= value[row, 0] - value[rows + row, 0]
