"""Compiled functions in which errors travel backwards: what backprop.py says; see kernels.py."""

from __future__ import annotations

import numpy as np
from numba import njit

from subcritic.nn.compiled import FUSING, entry
from subcritic.nn.kernels import copied, part, times_slope
from subcritic.nn.product_kernels import add_outer, add_product_transposed, add_sum


@njit(**FUSING)
def weight_of(flat, s, layout, layer):
    """K (n_in, n) of a layer of seed s."""
    start, n_in, n = layout[layer, 3], layout[layer, 0], layout[layer, 1]
    return flat[s, start : start + n_in * n].reshape(n_in, n)


@njit(**FUSING)
def to_previous(flat, s, layout, layer, delta):
    """∂J/∂h_{l-1} from ∂J/∂z_l; a second input's share is left out."""
    below = layout[layer, 6]
    found = np.zeros((delta.shape[0], below), np.float32)
    add_product_transposed(found, delta, weight_of(flat, s, layout, layer)[:below])
    return found


@entry("void(f4[:, ::1], f4[::1], f4[:, :, :], i8[:, ::1], f4[:, ::1])")
def gradients(flat, block, upstream, layout, into):
    """`backprop.gradients`, of voltages in a block."""
    seeds, rows = upstream.shape[0], upstream.shape[1]
    for s in range(seeds):
        into[s] = 0
        delta = copied(upstream[s])
        for layer in range(len(layout) - 1, -1, -1):
            n_in, n, start = layout[layer, 0], layout[layer, 1], layout[layer, 3]
            times_slope(delta, part(block, layout[layer, 5], n, s, seeds, rows), layout[layer, 2])
            v = part(block, layout[layer, 4], n_in, s, seeds, rows)
            add_outer(weight_of(into, s, layout, layer), v, delta)
            add_sum(into[s, start + n_in * n : start + n_in * n + n], delta)
            if layer > 0:
                delta = to_previous(flat, s, layout, layer, delta)


@entry("void(f4[:, ::1], f4[::1], f4[:, :, :], i8[:, ::1], i8, f4[:, :, ::1])")
def side_gradient(flat, block, upstream, layout, joins, into):
    """`backprop.side_gradient`, of voltages in a block; joins: the layer, from 0, that the second input joins."""
    seeds, rows = upstream.shape[0], upstream.shape[1]
    for s in range(seeds):
        delta = copied(upstream[s])
        for layer in range(len(layout) - 1, joins - 1, -1):
            n = layout[layer, 1]
            times_slope(delta, part(block, layout[layer, 5], n, s, seeds, rows), layout[layer, 2])
            if layer > joins:
                delta = to_previous(flat, s, layout, layer, delta)
        into[s] = 0
        add_product_transposed(into[s], delta, weight_of(flat, s, layout, joins)[layout[joins, 6] :])
