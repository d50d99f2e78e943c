"""Compiled functions on S stacked networks: what mlp.py, backprop.py, adam.py and activations.py say, without calls between.

Only float32. A seed's numbers come from its own rows alone, in an order that no other seed changes. Arithmetic may fuse a
product with a sum, and nothing else: what is not finite stays so. `subcritic.nn.compiled` decides when they are used.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from subcritic.nn.compiled import FUSING, entry
from subcritic.nn.product_kernels import affine

# Activations by number, in this order: identity, relu, tanh, sigmoid.
RELU, TANH, SIGMOID = 1, 2, 3

_ONE, _ZERO = np.float32(1), np.float32(0)


@njit(**FUSING)
def tanh(z):
    """tanh z, a quotient of polynomials with the coefficients of Eigen (https://eigen.tuxfamily.org), many at once."""
    x = np.float32(7.90531110763549805) if z > np.float32(7.90531110763549805) else z
    x = np.float32(-7.90531110763549805) if x < np.float32(-7.90531110763549805) else x
    y = x * x
    above = np.float32(-2.76076847742355e-16)
    above = above * y + np.float32(2.00018790482477e-13)
    above = above * y + np.float32(-8.60467152213735e-11)
    above = above * y + np.float32(5.12229709037114e-08)
    above = above * y + np.float32(1.48572235717979e-05)
    above = above * y + np.float32(6.37261928875436e-04)
    above = above * y + np.float32(4.89352455891786e-03)
    below = np.float32(1.19825839466702e-06)
    below = below * y + np.float32(1.18534705686654e-04)
    below = below * y + np.float32(2.26843463243900e-03)
    below = below * y + np.float32(4.89352518554385e-03)
    return x * above / below


@njit(**FUSING)
def activate(h, activation):
    """h = σ(h), in place."""
    for i in range(h.shape[0]):
        row = h[i]
        if activation == RELU:
            for j in range(row.size):
                row[j] = _ZERO if row[j] < _ZERO else row[j]
        elif activation == TANH:
            for j in range(row.size):
                row[j] = tanh(row[j])
        elif activation == SIGMOID:
            for j in range(row.size):
                row[j] = _ONE / (_ONE + np.float32(math.exp(-row[j])))


@njit(**FUSING)
def times_slope(upstream, h, activation):
    """upstream *= σ'(z), in place, the slope taken from h = σ(z)."""
    for i in range(h.shape[0]):
        row, signal = h[i], upstream[i]
        if activation == RELU:
            for j in range(row.size):
                signal[j] = _ZERO if row[j] <= _ZERO else signal[j]
        elif activation == TANH:
            for j in range(row.size):
                signal[j] = signal[j] * (_ONE - row[j] * row[j])
        elif activation == SIGMOID:
            for j in range(row.size):
                signal[j] = signal[j] * row[j] * (_ONE - row[j])


@njit(**FUSING)
def copy_to(out, start, source):
    """Write a matrix into columns from `start` on."""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            out[i, start + j] = source[i, j]


@njit(**FUSING)
def copied(source):
    """A copy of a matrix without gaps."""
    found = np.empty(source.shape, np.float32)
    copy_to(found, 0, source)
    return found


@njit(**FUSING)
def part(block, place, width, s, seeds, rows):
    """The matrix (B, width) of seed s; `place` counts numbers per seed and row, see `MLP.layout`."""
    start = (place * seeds + s * width) * rows
    return block[start : start + rows * width].reshape(rows, width)


@entry("void(f4[:, ::1], f4[:, :, :], f4[:, :, :], f4[:, :, ::1], i8[:, ::1], f4[::1], f4[::1])")
def forward(flat, x, side, noise, layout, block, clean):
    """`MLP.forward`, all voltages into `block`; layout: `MLP.layout`.

    side and noise may be empty. noise (S, B, n_1 + … + n_L): the perturbations; σ(z) then goes into `clean`, a second block.
    """
    seeds, rows = x.shape[0], x.shape[1]
    for s in range(seeds):
        h, first = part(block, 0, layout[0, 0], s, seeds, rows), 0
        for layer in range(len(layout)):
            n_in, n, below = layout[layer, 0], layout[layer, 1], layout[layer, 6]
            v = part(block, layout[layer, 4], n_in, s, seeds, rows)
            if layer == 0:
                copy_to(v, 0, x[s])
            elif below < n_in:
                copy_to(v, 0, h)
            if below < n_in:
                copy_to(v, below, side[s])
            start = layout[layer, 3]
            weight = flat[s, start : start + n_in * n].reshape(n_in, n)
            h = part(block, layout[layer, 5], n, s, seeds, rows)
            affine(h, v, weight, flat[s, start + n_in * n : start + n_in * n + n])
            activate(h, layout[layer, 2])
            if len(noise):
                copy_to(part(clean, layout[layer, 5], n, s, seeds, rows), 0, h)
                for i in range(rows):
                    row, xi = h[i], noise[s, i, first : first + n]
                    for j in range(n):
                        row[j] += xi[j]
                first += n


@entry("void(f4[::1], f4[::1], f4[::1], f4[::1], f4[::1], f8, f8)")
def adam(parameters, gradient, first, second, steps, rate, weight_decay):
    """`Adam.step`."""
    steps[0] += _ONE
    count = np.float64(steps[0])
    step = np.float32(rate / (1 - 0.9**count))
    scale = np.float32(1 / math.sqrt(1 - 0.999**count))
    decay = np.float32(weight_decay)
    keep1, new1 = np.float32(0.9), np.float32(1 - 0.9)
    keep2, new2 = np.float32(0.999), np.float32(1 - 0.999)
    epsilon = np.float32(1e-8)
    for i in range(parameters.size):
        g = gradient[i] + decay * parameters[i]
        m = keep1 * first[i] + new1 * g
        v = keep2 * second[i] + new2 * g * g
        first[i], second[i] = m, v
        parameters[i] -= step * m / (np.sqrt(v) * scale + epsilon)


@njit(**FUSING)
def follow(follower, leader, share):
    """follower += share (leader − follower), two vectors."""
    for i in range(follower.size):
        follower[i] += share * (leader[i] - follower[i])


@entry("void(f4[:, ::1], f4[:, ::1], f8)")
def move_towards(follower, leader, polyak):
    """`Parameters.move_towards`."""
    share = np.float32(polyak)
    for s in range(len(follower)):
        follow(follower[s], leader[s], share)


@njit(**FUSING)
def logarithm(x):
    """ln x of positive numbers, in place, by the polynomial of Cephes' logf (https://netlib.org/cephes)."""
    bits = x.view(np.int32)
    exponents = np.empty(x.size, np.float32)
    for i in range(x.size):
        # x = 2^exponent f with f from √½ to √2.
        above = np.int32((bits[i] & 0x7FFFFF) > 0x3504F3)
        exponents[i] = np.float32((bits[i] >> 23) - 127 + above)
        bits[i] = (bits[i] & 0x7FFFFF) | ((127 - above) << 23)
    for i in range(x.size):
        f = x[i] - _ONE
        y = np.float32(7.0376836292e-2)
        y = y * f - np.float32(1.1514610310e-1)
        y = y * f + np.float32(1.1676998740e-1)
        y = y * f - np.float32(1.2420140846e-1)
        y = y * f + np.float32(1.4249322787e-1)
        y = y * f - np.float32(1.6668057665e-1)
        y = y * f + np.float32(2.0000714765e-1)
        y = y * f - np.float32(2.4999993993e-1)
        y = y * f + np.float32(3.3333331174e-1)
        square = f * f
        x[i] = exponents[i] * np.float32(0.69314718) + (f + square * (y * f - np.float32(0.5)))


@entry("void(f4[:, :, ::1], f4[:, :, ::1])")
def box_muller(uniform, out):
    """`normal.normals`, of u in uniform[:, 0] and v in uniform[:, 1]."""
    for s in range(len(uniform)):
        lengths = _ONE - uniform[s, 0]
        logarithm(lengths)
        v, cosines, sines = uniform[s, 1], out[s, 0], out[s, 1]
        for i in range(v.size):
            length = np.sqrt(np.float32(-2) * lengths[i])
            # 2πv = quarter · π/2 + w with |w| ≤ π/4, where few terms of the series of sine and cosine are exact.
            quarter = np.int32(np.float32(4) * v[i] + np.float32(0.5))
            w = (np.float32(4) * v[i] - np.float32(quarter)) * np.float32(math.pi / 2)
            y = w * w
            sine = np.float32(-1 / 5040) + y * np.float32(1 / 362880)
            sine = np.float32(-1 / 6) + y * (np.float32(1 / 120) + y * sine)
            sine = w + w * y * sine
            cosine = np.float32(-1 / 720) + y * np.float32(1 / 40320)
            cosine = _ONE + y * (np.float32(-0.5) + y * (np.float32(1 / 24) + y * cosine))
            swapped = (quarter & 1) == 1
            c, d = (sine, cosine) if swapped else (cosine, sine)
            cosines[i] = length * (-c if (quarter + 1) & 2 else c)
            sines[i] = length * (-d if quarter & 2 else d)
