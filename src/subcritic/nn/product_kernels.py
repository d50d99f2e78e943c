"""Compiled matrix products, out += a b and what is made of it; each number is one sum, in an order no other row changes."""

from __future__ import annotations

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from subcritic.nn.compiled import FUSING

# Products with fewer columns than this are sums along rows.
_NARROW = 8

# Numbers that are computed side by side, and the sums that a processor's registers hold: rows by columns of a product.
_LANES = 16
_TILE = (8, 2 * _LANES) if llvmlite.binding.get_host_cpu_features().get("avx512f") else (4, _LANES)


def _tile(rows, columns):
    """A function that adds to `rows` by `columns` numbers of out, from (i, j) on, their part of a b.

    Each number is one sum along k, in that order, whatever the tile. It is written for LLVM directly, since numba has no way
    to ask for sums that stay in registers, and twice as fast as numba's loops.
    """
    vector = ir.VectorType(ir.FloatType(), _LANES)
    lanes = ir.VectorType(ir.IntType(32), _LANES)

    @intrinsic
    def add_tile(typing_context, out, a, b, i, j):
        def generate(context, builder, signature, arguments):
            kinds, (i, j) = signature.args, arguments[3:]
            arrays = [context.make_array(kinds[n])(context, builder, arguments[n]) for n in range(3)]

            def place(n, row, column):
                return cgutils.get_item_pointer(
                    context, builder, kinds[n], arrays[n], [row, column], wraparound=False
                )

            def vectors(n, row):
                starts = [builder.add(j, ir.Constant(j.type, first)) for first in range(0, columns, _LANES)]
                return [builder.bitcast(place(n, row, start), vector.as_pointer()) for start in starts]

            def spread(number):
                first = builder.insert_element(
                    ir.Constant(vector, ir.Undefined), number, ir.Constant(ir.IntType(32), 0)
                )
                return builder.shuffle_vector(first, first, ir.Constant(lanes, [0] * _LANES))

            lines = [builder.add(i, ir.Constant(i.type, row)) for row in range(rows)]
            results = [vectors(0, line) for line in lines]
            sums = [
                [cgutils.alloca_once_value(builder, builder.load(at, align=4)) for at in result]
                for result in results
            ]
            with cgutils.for_range(builder, builder.extract_value(arrays[1].shape, 1)) as loop:
                right = [builder.load(at, align=4) for at in vectors(2, loop.index)]
                for line, of_line in zip(lines, sums, strict=True):
                    left = spread(builder.load(place(1, line, loop.index)))
                    for total, numbers in zip(of_line, right, strict=True):
                        product = builder.fmul(left, numbers, flags=("contract",))
                        added = builder.fadd(builder.load(total), product, flags=("contract",))
                        builder.store(added, total)
            for result, of_line in zip(results, sums, strict=True):
                for at, total in zip(result, of_line, strict=True):
                    builder.store(builder.load(total), at, align=4)
            return context.get_dummy_value()

        return types.void(out, a, b, i, j), generate

    return add_tile


_tile_wide, _tile_narrow = _tile(*_TILE), _tile(_TILE[0], _LANES)
_line_wide, _line_narrow = _tile(1, _TILE[1]), _tile(1, _LANES)


@njit(**FUSING)
def add_product(out, a, b):
    """out += a b: (m, n), (m, k), (k, n)."""
    (rows, columns), inner = out.shape, a.shape[1]
    whole, wide = rows - rows % _TILE[0], columns - columns % _TILE[1]
    for j in range(0, wide, _TILE[1]):
        for i in range(0, whole, _TILE[0]):
            _tile_wide(out, a, b, i, j)
        for i in range(whole, rows):
            _line_wide(out, a, b, i, j)
    narrow = columns - columns % _LANES
    for j in range(wide, narrow, _LANES):
        for i in range(0, whole, _TILE[0]):
            _tile_narrow(out, a, b, i, j)
        for i in range(whole, rows):
            _line_narrow(out, a, b, i, j)
    if narrow < columns:
        for i in range(rows):
            for k in range(inner):
                for j in range(narrow, columns):
                    out[i, j] += a[i, k] * b[k, j]


@njit(nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def add_dots(out, a, b):
    """out += a bᵀ: (m, n), (m, k), (n, k), one sum along k after the other: for few columns n."""
    for i in range(a.shape[0]):
        row = a[i]
        for j in range(b.shape[0]):
            other = b[j]
            total = np.float32(0)
            for k in range(row.size):
                total += row[k] * other[k]
            out[i, j] += total


@njit(**FUSING)
def transposed(a):
    """aᵀ, copied, in squares whose lines stay in the cache."""
    rows, columns = a.shape
    found = np.empty((columns, rows), np.float32)
    for top in range(0, rows, 32):
        for left in range(0, columns, 32):
            for i in range(top, min(top + 32, rows)):
                for j in range(left, min(left + 32, columns)):
                    found[j, i] = a[i, j]
    return found


@njit(**FUSING)
def add_product_transposed(out, a, b):
    """out += a bᵀ: (m, n), (m, k), (n, k)."""
    if b.shape[0] < _NARROW:
        add_dots(out, a, b)
    else:
        add_product(out, a, transposed(b))


@njit(**FUSING)
def add_affine(out, v, weight):
    """out += v K: (B, n), (B, n_in), (n_in, n)."""
    if weight.shape[1] < _NARROW:
        add_dots(out, v, transposed(weight))
    else:
        add_product(out, v, weight)


@njit(**FUSING)
def affine(out, v, weight, bias):
    """out = v K + b: (B, n), (B, n_in), (n_in, n), (n,)."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = bias[j]
    add_affine(out, v, weight)


@njit(**FUSING)
def add_outer(out, v, signal):
    """out += Σ_B v ⊗ signal: (n_in, n), (B, n_in), (B, n)."""
    if out.shape[1] < _NARROW:
        turned = np.zeros((out.shape[1], out.shape[0]), np.float32)
        add_product(turned, signal.T, v)
        for i in range(out.shape[0]):
            for j in range(out.shape[1]):
                out[i, j] += turned[j, i]
    else:
        add_product(out, v.T, signal)


@njit(**FUSING)
def add_sum(out, rows):
    """out += Σ_B rows: (n,), (B, n)."""
    for i in range(rows.shape[0]):
        row = rows[i]
        for j in range(row.size):
            out[j] += row[j]
