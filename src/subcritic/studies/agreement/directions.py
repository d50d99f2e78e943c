"""The directions in which a method would move its actor, over the replay: minibatch by minibatch, and in expectation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from subcritic import seeding
from subcritic.agents import Agent
from subcritic.nn import MLP
from subcritic.replay import Replay

Batch = dict[str, Tensor]
# A minibatch, and generators of noise → the ascent direction of all weights, (S, P).
Direction = Callable[[Batch, Sequence[np.random.Generator]], Tensor]
# A minibatch → the true policy gradient at its states, (S, P).
TrueGradient = Callable[[Batch], Tensor]
# Rows at which a method is asked twice, to tell whether it draws noise when it is asked.
COMPARED = 8


@dataclass(frozen=True)
class Directions:
    """Of K minibatches of the replay, each (K, S, P), laid out as the actor's flat parameters.

    once: from one draw of noise. mean: over many draws; the same for a method that draws none when it is asked.
    gradient: the true policy gradient at the minibatch's states. states: in all minibatches together.
    """

    once: np.ndarray
    mean: np.ndarray
    gradient: np.ndarray
    states: int


def directions_of(
    direction: Direction,
    replay: Replay,
    true_gradient: TrueGradient,
    *,
    batch_size: int,
    states: int,
    draws: int,
    seeds: Sequence[int],
    step: int,
    consecutive: int = 1,
    newest: int | None = None,
) -> Directions:
    """Directions from distinct rows of the replay, in minibatches.

    A method that draws noise when it is asked does so `draws` times for each of at most `states` rows; any other is asked
    once for every row there is, since its noise is that of the time of acting. Rows that fill no whole minibatch are left
    out. newest: only from so many rows, those stored last. A seed's direction that is not finite is NaN throughout.
    """
    rows = min(newest or len(replay), len(replay))
    ages = np.stack([rng.permutation(rows) for rng in seeding.generators(seeds, "agreement states", step)])
    order = (replay.added - 1 - ages) % replay.capacity
    noise = seeding.generators(seeds, "agreement noise", step)
    if _draws_noise(direction, replay.at(order[:, :COMPARED], consecutive), noise):
        order = order[:, :states]
    else:
        draws = 1
    size = min(batch_size, order.shape[1])
    batches = [
        replay.at(order[:, start : start + size], consecutive)
        for start in range(0, order.shape[1] - size + 1, size)
    ]
    once, mean = zip(*(_of_minibatch(direction, batch, noise, draws) for batch in batches), strict=True)
    gradient = [true_gradient(batch) for batch in batches]
    return Directions(_known(once), _known(mean), _known(gradient), states=len(batches) * size)


def of_agent(agent: Agent) -> Direction:
    """The direction of an agent for all its weights, laid out as flat parameters are."""

    def direction(batch: Batch, noise: Sequence[np.random.Generator]) -> Tensor:
        return torch.cat(
            [part.flatten(1) for layer in agent.directions(batch, noise) for part in layer], dim=1
        )

    return direction


def blocks(actor: MLP, flat: np.ndarray) -> list[np.ndarray]:
    """The columns K^n, b^n of every layer: flat (..., P) → (..., n, n_in + 1) for each."""
    found, start = [], 0
    for n_in, n in actor.shapes():
        stop = start + (n_in + 1) * n
        layer = flat[..., start:stop].reshape(*flat.shape[:-1], n_in + 1, n)
        found.append(layer.swapaxes(-1, -2))
        start = stop
    return found


def _draws_noise(direction: Direction, batch: Batch, noise: Sequence[np.random.Generator]) -> bool:
    # α − ξ is μ(v) but for rounding, so that noise which does not matter leaves a trace.
    # A seed whose direction is not finite says nothing.
    first, second = (
        torch.nan_to_num(direction(batch, noise), nan=0.0, posinf=0.0, neginf=0.0) for _ in range(2)
    )
    allowed = 1e-4 * second.abs() + 1e-6 * first.abs().amax(dim=1, keepdim=True)
    return bool(((first - second).abs() > allowed).any())


def _of_minibatch(
    direction: Direction, batch: Batch, noise: Sequence[np.random.Generator], draws: int
) -> tuple[Tensor, Tensor]:
    """From one draw, and the mean over all."""
    once = direction(batch, noise)
    total = once.double()
    for _ in range(draws - 1):
        total += direction(batch, noise)
    return once, total / draws


def _known(parts: Sequence[Tensor]) -> np.ndarray:
    found: np.ndarray = torch.stack(list(parts)).double().numpy()
    found[~np.isfinite(found).all(axis=-1)] = np.nan
    return found
