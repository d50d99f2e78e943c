"""Exploration noise: perturbations ξ_l of the voltages of the output layer, of every neuron, or of a random subset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from subcritic import seeding

# Ornstein-Uhlenbeck mean reversion, θ in Lillicrap et al. 2016, section 7.
MEAN_REVERSION = 0.15

Where = Literal["action", "neuron", "subset"]
Kind = Literal["gaussian", "ornstein_uhlenbeck"]


class Exploration:
    """Draws ξ_1 … ξ_L for one time step, each seed from its own generator.

    where: 'action' perturbs the output layer only, 'neuron' every layer, 'subset' each neuron with probability `fraction`,
    drawn anew every step. scale: one for all layers, or one per layer; raises ValueError for another number of them.
    kind: 'gaussian' draws afresh each step, 'ornstein_uhlenbeck' is ξ ← (1 − 0.15) ξ + scale · N(0, 1), as in Lillicrap
    et al. 2016.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        scale: float | Sequence[float],
        where: Where,
        kind: Kind,
        rngs: Sequence[np.random.Generator],
        fraction: float = 1.0,
    ) -> None:
        layers = list(sizes[1:])
        self.noisy = layers[-1:] if where == "action" else layers
        self.quiet = [None] * (len(layers) - len(self.noisy))
        scales = per_layer(scale, len(layers))[-len(self.noisy) :]
        self.scale = np.repeat(scales, self.noisy)
        self.fraction = fraction
        self.kind = kind
        width = sum(self.noisy)
        self.normals = seeding.Draws(rngs, width, "standard_normal")
        # Which neurons are noisy has a generator of its own.
        self.chosen = seeding.Draws([rng.spawn(1)[0] for rng in rngs], width) if where == "subset" else None
        self.state = np.zeros((len(rngs), width))

    def draw(self) -> list[Tensor | None]:
        """ξ_1 … ξ_L, (S, 1, n_l) each, or None for a layer without noise."""
        return self.split(torch.from_numpy(self.draw_numbers()[:, None]))

    def draw_numbers(self) -> np.ndarray:
        """The noise of all layers that have any, side by side, (S, width)."""
        fresh = self.normals.next() * self.scale
        self.state = fresh if self.kind == "gaussian" else (1 - MEAN_REVERSION) * self.state + fresh
        noise = self.state
        if self.chosen is not None:
            noise = noise * (self.chosen.next() < self.fraction)
        return noise.astype(np.float32)

    def split(self, drawn: Tensor) -> list[Tensor | None]:
        """What `draw` gives, from what `draw_numbers` gave, as (S, 1, width)."""
        if len(self.noisy) == 1:
            return [*self.quiet, drawn]
        return [*self.quiet, *drawn.split_with_sizes(self.noisy, dim=-1)]

    def reset(self, seed_index: int) -> None:
        """A new episode of one seed: correlated noise starts from zero."""
        self.state[seed_index] = 0.0

    def state_dict(self) -> dict[str, Any]:
        chosen = {"chosen": self.chosen.state_dict()} if self.chosen else {}
        return {"state": self.state.copy(), "normals": self.normals.state_dict(), **chosen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state = state["state"].copy()
        self.normals.load_state_dict(state["normals"])
        if self.chosen:
            self.chosen.load_state_dict(state["chosen"])


def per_layer(scale: float | Sequence[float], layers: int) -> list[float]:
    """One scale for each layer, given one for all or one per layer. Raises ValueError for another number of scales."""
    scales = [float(s) for s in scale] if isinstance(scale, Sequence) else [float(scale)] * layers
    if len(scales) != layers:
        raise ValueError(f"{len(scales)} noise scales for {layers} layers: must be one, or one per layer")
    return scales


def stationary_variance(scale: float, where: Where, kind: Kind, fraction: float = 1.0) -> float:
    """E[ξ²] of a perturbed neuron in the stationary state, long after the start of an episode."""
    memory = 1.0 if kind == "gaussian" else 1 - (1 - MEAN_REVERSION) ** 2
    return scale**2 / memory * (fraction if where == "subset" else 1.0)
