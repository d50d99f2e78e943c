"""What single neurons can know of the policy gradient from noise on their voltages, in closed form.

Every estimate is of ∇_{K_l} mean Q^μ(s, μ(s)), (S, n_in, n), from draws that the neurons of one layer saw: presynaptic
voltages v, their own noise ξ, the slope σ'(z), and one scalar for all, the advantage A of the noisy action.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Estimates from the same number of draws that are averaged over.
REPEATS = 16
# Ridge of least squares, in units of the mean diagonal: fewer draws than weights have no unique solution.
RIDGE = 1e-5


@dataclass(frozen=True)
class Seen:
    """Draws as one layer saw them: voltage v (S, N, n_in), slope σ'(z) and noise ξ (S, N, n)."""

    voltage: Tensor
    slope: Tensor
    noise: Tensor


def score_sum(seen: Seen, advantage: Tensor, scale: float) -> Tensor:
    """Sum over draws of A ξ/σ² σ'(z) v, (S, n_in, n); advantage (S, N, 1), scale σ.

    The score-function estimate for Gaussian noise of each neuron's own (Williams 1992, REINFORCE).
    """
    return torch.bmm(seen.voltage.mT, seen.noise * seen.slope * (advantage / scale**2))


def score_energy(seen: Seen, advantage: Tensor, scale: float) -> Tensor:
    """Sum over draws of the squared length of A ξ/σ² σ'(z) v, (S,)."""
    neurons = (seen.noise * seen.slope).square().sum(dim=2)
    voltages = seen.voltage.square().sum(dim=2)
    return (neurons * voltages * advantage[..., 0].square()).sum(dim=1) / scale**4


def noise_to_signal(energy: Tensor, draws: int, true: Tensor) -> Tensor:
    """c = E‖x − g‖² / ‖g‖² of single draws x around the true gradient g, (S,), from the sum of ‖x‖².

    The mean of N draws then has a cosine of about 1/√(1 + c/N) with g: 0.9 takes N = c · 0.81/0.19.
    """
    power = true.flatten(1).square().sum(dim=1)
    return energy / draws / power - 1


def compatible_sums(seen: Seen, advantage: Tensor, neurons: Sequence[int]) -> Tensor:
    """Sums that the compatible critics of `neurons` are fitted from, (S, M, n_in, 2 n_in + 1).

    Q^n − V = ξ σ'(z) (w·v) has the features φ = ξ σ'(z) v: [Σ φφᵀ | Σ φA | Σ σ'(z)² v vᵀ].
    """
    slope, noise = (part[..., neurons].mT.unsqueeze(-1) for part in (seen.slope, seen.noise))
    slopes = slope * seen.voltage.unsqueeze(1)
    features = noise * slopes
    right = torch.cat((features, advantage.unsqueeze(1).expand(-1, len(neurons), -1, -1)), dim=-1)
    return torch.cat((features.mT @ right, slopes.mT @ slopes), dim=-1)


def compatible_gradient(sums: Tensor) -> Tensor:
    """mean σ'(z)² v vᵀ w at the least-squares w, up to the number of draws, (S, n_in, M).

    ∂Q^n/∂α = σ'(z) (w·v) of the critic fitted to A (Silver et al. 2014, section 4.3).
    """
    gram, cross, outer = sums.split([sums.shape[2], 1, sums.shape[2]], dim=-1)
    ridge = RIDGE * gram.diagonal(dim1=-2, dim2=-1).mean(dim=-1)[..., None, None]
    identity = torch.eye(gram.shape[-1], dtype=gram.dtype)
    # Neurons that never fired have nothing to fit, and a gradient of zero.
    weight = torch.linalg.solve(gram + torch.where(ridge > 0, ridge, 1.0) * identity, cross)
    return (outer @ weight)[..., 0].mT


@dataclass(frozen=True)
class LinearFit:
    """The drafts' critic θ_v·v + θ_a α + c fitted to Q: alpha θ_a and the values' Pearson correlation with Q, (S, n)."""

    alpha: Tensor
    value_pearson: Tensor


def linear_fit(voltage: Tensor, alpha: Tensor, value: Tensor) -> LinearFit:
    """Least squares of Q (S, N, 1) on each neuron's own (1, v, α); voltage (S, N, n_in), alpha (S, N, n). In float64.

    What is left of α and of Q after regression on v gives θ_a (Frisch and Waugh 1933). A neuron whose α the voltages
    explain to rounding has θ_a = 0, as the shortest solution.
    """
    voltage, alpha, value = (
        part.double() - part.double().mean(dim=1, keepdim=True) for part in (voltage, alpha, value)
    )
    sizes, directions = torch.linalg.eigh(voltage.mT @ voltage)
    # Directions in which v does not vary are rounding.
    inverse = torch.where(sizes > 1e-12 * sizes[:, -1:], 1 / sizes, 0.0)
    inverse = directions @ (inverse.unsqueeze(-1) * directions.mT)
    rest_alpha, rest_value = (part - voltage @ (inverse @ (voltage.mT @ part)) for part in (alpha, value))
    power = rest_alpha.square().sum(dim=1)
    known = power > 1e-10 * alpha.square().sum(dim=1).clamp_min(1e-30)
    theta = torch.where(known, (rest_alpha.mT @ rest_value)[..., 0] / power.clamp_min(1e-30), 0.0)
    left = rest_value.square().sum(dim=1) - theta.square() * power
    explained = 1 - left / value.square().sum(dim=1).clamp_min(1e-30)
    return LinearFit(theta, explained.clamp_min(0).sqrt())


class Ladder:
    """Cosines with the true gradient of estimates from more and more draws.

    draws: lengths, each a multiple of the one before. Sums over blocks of draws[0] are added one by one; blocks of a length
    are disjoint. `finish` makes an estimate, any multiple of it, of a sum.
    """

    def __init__(
        self, draws: Sequence[int], true: Tensor, finish: Callable[[Tensor], Tensor] = lambda s: s
    ) -> None:
        self.draws, self.true, self.finish = list(draws), true.flatten(1), finish
        self.found: list[list[Tensor]] = [[] for _ in draws]
        self.sums: list[Tensor | float] = [0.0 for _ in draws]
        self.blocks = [0 for _ in draws]

    def add(self, total: Tensor, level: int = 0) -> None:
        """Add the sum over one more block of draws[level]."""
        if len(self.found[level]) < REPEATS:
            estimate = self.finish(total).flatten(1)
            self.found[level].append(torch.cosine_similarity(estimate, self.true, dim=1))
        if level + 1 == len(self.draws):
            return
        self.sums[level + 1] = self.sums[level + 1] + total
        self.blocks[level + 1] += 1
        if self.blocks[level + 1] * self.draws[level] == self.draws[level + 1]:
            self.add(self.sums[level + 1], level + 1)
            self.sums[level + 1], self.blocks[level + 1] = 0.0, 0

    def cosines(self) -> list[tuple[int, Tensor]]:
        """(number of draws, mean cosine (S,)) for every length."""
        return [
            (count, torch.stack(found).mean(dim=0))
            for count, found in zip(self.draws, self.found, strict=True)
        ]
