"""How the return changes along directions in weight space, by central differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from subcritic import seeding
from subcritic.nn import MLP
from subcritic.training import Evaluator

# Flat parameters of C policies for each of S seeds, (C, S, P) → their returns from E start states, (C, S, E).
Returns = Callable[[Tensor], np.ndarray]
# Directions whose policies play side by side.
TOGETHER = 2


def random_directions(count: int, size: int, seeds: Sequence[int], step: int) -> Tensor:
    """d ~ N(0, I), (count, S, size), each seed from its own generator."""
    rngs = seeding.generators(seeds, "agreement return directions", step)
    drawn = np.stack([rng.standard_normal((count, size), dtype=np.float32) for rng in rngs], axis=1)
    return torch.from_numpy(drawn)


def equally_long(directions: np.ndarray) -> Tensor:
    """Directions (M, S, P) stretched to the length √P that random ones have; zero where they are zero or not finite."""
    known = np.where(np.isfinite(directions).all(axis=-1, keepdims=True), directions, 0.0)
    length = np.linalg.norm(known, axis=-1, keepdims=True)
    stretched = known / np.where(length == 0, 1.0, length) * np.sqrt(known.shape[-1])
    return torch.from_numpy(stretched.astype(np.float32))


def finite_differences(returns: Returns, policy: Tensor, along: Tensor, radius: float) -> np.ndarray:
    """[J(θ + ε d) − J(θ − ε d)] / 2ε of every start state, (M, S, E), for θ (S, P) and directions d (M, S, P) of length √P.

    ε d is `radius` ‖θ‖ long. Both policies of a pair start from the same states, so their difference has little noise.
    """
    step = radius * policy.norm(dim=1, keepdim=True) / policy.shape[1] ** 0.5
    found = []
    for part in along.split(TOGETHER):
        plus, minus = np.split(returns(torch.cat((policy + step * part, policy - step * part))), 2)
        found.append((plus - minus) / (2 * step.double().numpy()))
    return np.concatenate(found)


class Player:
    """Undiscounted returns of noise-free episodes; those of one seed start from the same states for all its policies."""

    def __init__(self, actor: MLP, make_environment, seeds: Sequence[int], episodes: int) -> None:
        self.actor, self.seeds = actor, list(seeds)
        self.evaluator = Evaluator(make_environment, self.seeds * (2 * TOGETHER), episodes)

    def at(self, step: int, active: Sequence[int]) -> Returns:
        """The returns of policies at start states that depend on `step`; NaN for seeds that are not active."""

        def returns(policies: Tensor) -> np.ndarray:
            count, seeds, size = policies.shape
            # Policies that are not asked for stay idle.
            every = policies.new_zeros(2 * TOGETHER, seeds, size)
            every[:count] = policies
            parameters = self.actor.views(every.flatten(0, 1))
            playing = [candidate * seeds + s for candidate in range(count) for s in active]
            found = self.evaluator(
                lambda observation: self.actor.forward(parameters, observation).output, step, active=playing
            )
            return found.reshape(2 * TOGETHER, seeds, -1)[:count]

        return returns

    def close(self) -> None:
        self.evaluator.close()
