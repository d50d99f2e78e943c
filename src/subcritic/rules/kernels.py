"""Compiled functions of local rules, each for one layer and all seeds: what linear.py and optimisers.py say.

Weights w (S, n_in, n) and biases b (S, 1, n) are parts of a larger tensor, whose numbers of one seed lie `stride` apart from
those of the next; see `compiled.packed`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from subcritic.nn.compiled import FUSING, entry
from subcritic.nn.kernels import activate, copied, follow, times_slope
from subcritic.nn.product_kernels import (
    add_affine,
    add_outer,
    add_product,
    add_product_transposed,
    add_sum,
    affine,
)


@njit(**FUSING)
def ascend(weight, bias, v, signal, scale):
    """`step` of one seed; `signal` is scaled in place."""
    for i in range(signal.shape[0]):
        row = signal[i]
        for j in range(row.size):
            row[j] *= scale
    add_sum(bias, signal)
    add_outer(weight, v, signal)


@entry("void(f4[:, :, :], f4[:, :, :], f4[::1], f4[::1], i8, f8, b1)")
def step(v, signal, weight, bias, stride, scale, fresh):
    """w += scale Σ_B v ⊗ signal and b += scale Σ_B signal; fresh: from 0."""
    n_in, n = v.shape[2], signal.shape[2]
    share = np.float32(scale)
    for s in range(len(v)):
        w = weight[s * stride : s * stride + n_in * n].reshape(n_in, n)
        b = bias[s * stride : s * stride + n]
        if fresh:
            w[:] = 0
            b[:] = 0
        ascend(w, b, copied(v[s]), copied(signal[s]), share)


@njit(**FUSING)
def linear_value(out, v, alpha, theta_v, theta_0, theta_a):
    """Q^n(v, α) = θ_v·v + θ_0 + θ_a α of every neuron: (B, n)."""
    for i in range(out.shape[0]):
        row, a = out[i], alpha[i]
        for j in range(row.size):
            row[j] = theta_0[j] + a[j] * theta_a[j]
    add_affine(out, v, theta_v)


@entry(
    "void(f4[:, :, :], f4[:, :, :], f4[:, :, :], f4[:, :, :], f4[:, :, :], "
    "f4[::1], f4[::1], f4[::1], f4[::1], i8, "
    "f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], "
    "i8, f8, f8, f8, f8, b1, f4[:, :, ::1])"
)
def linear(
    voltage,
    alpha,
    next_voltage,
    reward,
    terminated,
    weight,
    bias,
    target_weight,
    target_bias,
    stride,
    theta_v,
    theta_0,
    theta_a,
    target_v,
    target_0,
    target_a,
    activation,
    discount,
    polyak,
    critic_rate,
    actor_rate,
    moves,
    residual,
):
    """`LinearRule.learn` with plain steps and aim 'own'; D into `residual`."""
    seeds, rows, n_in = voltage.shape
    n = alpha.shape[2]
    gamma, scale, share = np.float32(discount), np.float32(critic_rate / rows), np.float32(polyak)
    for s in range(seeds):
        start, stop = s * stride, s * stride + n_in * n
        v, v_next, a, d = copied(voltage[s]), copied(next_voltage[s]), copied(alpha[s]), residual[s]
        k, k_target = weight[start:stop].reshape(n_in, n), target_weight[start:stop].reshape(n_in, n)
        # d becomes Q^n′(v′, μ^n′(v′)), q becomes Q^n(v, α).
        h = np.empty((rows, n), np.float32)
        affine(h, v_next, k_target, target_bias[start : start + n])
        activate(h, activation)
        linear_value(d, v_next, h, target_v[s], target_0[s, 0], target_a[s, 0])
        q = np.empty((rows, n), np.float32)
        linear_value(q, v, a, theta_v[s], theta_0[s, 0], theta_a[s, 0])
        for i in range(rows):
            d_row, q_row = d[i], q[i]
            r, bootstrap = reward[s, i, 0], gamma * (np.float32(1) - terminated[s, i, 0])
            for j in range(n):
                d_row[j] = r + bootstrap * d_row[j] - q_row[j]
        # q becomes the steps along D, then those along D α.
        q[:] = d
        ascend(theta_v[s], theta_0[s, 0], v, q, scale)
        for i in range(rows):
            a_row, q_row = a[i], q[i]
            for j in range(n):
                q_row[j] *= a_row[j]
        add_sum(theta_a[s, 0], q)
        for i in range(n_in):
            follow(target_v[s, i], theta_v[s, i], share)
        follow(target_0[s, 0], theta_0[s, 0], share)
        follow(target_a[s, 0], theta_a[s, 0], share)
        if moves:
            # h becomes μ^n(v), q the local error θ_a σ'(z).
            b = bias[start : start + n]
            affine(h, v, k, b)
            activate(h, activation)
            for i in range(rows):
                q[i] = theta_a[s, 0]
            times_slope(q, h, activation)
            ascend(k, b, v, q, np.float32(actor_rate / rows))


@entry("void(f4[:, :, :], f4[:, :, ::1], f4[:, :, ::1])")
def expected(noise, feedback, deviation):
    """−B ξ (S, B, n_L) into `deviation`: what hidden neurons say, see `LearnedFeedbackRule`."""
    for s in range(len(noise)):
        said = deviation[s]
        said[:] = 0
        add_product_transposed(said, copied(noise[s]), feedback[s])
        for i in range(said.shape[0]):
            for j in range(said.shape[1]):
                said[i, j] = -said[i, j]


@entry("void(f4[:, :, :], f4[:, :, :], f4[:, :, :], f4[:, :, :], f4[:, :, ::1], i8, f8, f8, f4[:, :, ::1])")
def learned_feedback(alpha, noise, error_there, deviation, feedback, activation, forget, rate, error):
    """`LearnedFeedbackRule.update_state` of hidden neurons without inputs: B follows, the local error into `error`.

    B ← B − forget mean(ξ²) B + rate mean(Δz ξ).
    """
    rows, n = noise.shape[1], noise.shape[2]
    share, less = np.float32(rate / rows), np.float32(forget / rows)
    for s in range(len(noise)):
        b, e, xi = feedback[s], error[s], copied(noise[s])
        e[:] = 0
        add_product(e, error_there[s], b)
        h = copied(alpha[s])
        for i in range(rows):
            row, own = h[i], xi[i]
            for j in range(n):
                row[j] -= own[j]
        times_slope(e, h, activation)
        if less != 0:
            squares = np.zeros(n, np.float32)
            for i in range(rows):
                own = xi[i]
                for j in range(n):
                    squares[j] += own[j] * own[j]
            for i in range(b.shape[0]):
                row = b[i]
                for j in range(n):
                    row[j] -= less * squares[j] * row[j]
        steps = copied(deviation[s])
        for i in range(rows):
            for j in range(steps.shape[1]):
                steps[i, j] *= share
        add_product(b, steps.T, xi)
