"""Products of voltages and weights, along a seed axis.

MKL takes two to four times as long for a product with few columns as for its transpose, which has few rows.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Transposing pays for 2 to 11 columns and at least 12 rows; any other product is as fast or faster as it is.
_WIDE = 12


def product(v: Tensor, weight: Tensor) -> Tensor:
    """v K: (S, B, n_in), (S, n_in, n) → (S, B, n)."""
    if _is_narrow(v.shape[1], weight.shape[2]):
        return torch.bmm(weight.mT, v.mT).mT
    return torch.bmm(v, weight)


def affine(bias: Tensor, v: Tensor, weight: Tensor, scale: float = 1.0) -> Tensor:
    """scale (v K + b), with the bias b (S, 1, n); otherwise as `product`."""
    if _is_narrow(v.shape[1], weight.shape[2]):
        return torch.baddbmm(bias.mT, weight.mT, v.mT, beta=scale, alpha=scale).mT
    return torch.baddbmm(bias, v, weight, beta=scale, alpha=scale)


def add_product(out: Tensor, v: Tensor, weight: Tensor) -> Tensor:
    """out += v K, in place, and returned: (S, B, n), (S, B, n_in), (S, n_in, n)."""
    if _is_narrow(v.shape[1], weight.shape[2]):
        return out.add_(product(v, weight))
    return out.baddbmm_(v, weight)


def add_outer(weight: Tensor, v: Tensor, signal: Tensor, scale: float) -> None:
    """K += scale Σ_B v ⊗ signal, in place: (S, n_in, n), (S, B, n_in), (S, B, n)."""
    if _is_narrow(v.shape[2], weight.shape[2]):
        weight.add_(torch.bmm(signal.mT, v).mT, alpha=scale)
    else:
        weight.baddbmm_(v.mT, signal, alpha=scale)


def _is_narrow(rows: int, columns: int) -> bool:
    return 1 < columns < _WIDE <= rows
