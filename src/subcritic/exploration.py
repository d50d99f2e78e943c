"""Exploration noise: a perturbation ξ_l of the voltages, on the action only or on every neuron."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from subcritic import seeding

# Ornstein-Uhlenbeck mean reversion, θ in Lillicrap et al. 2016, section 7.
MEAN_REVERSION = 0.15


class Exploration:
    """Draws ξ_1 … ξ_L for one time step, each seed from its own generator.

    where: 'action' perturbs the output layer only, 'neuron' every layer. kind: 'gaussian' draws afresh each step,
    'ornstein_uhlenbeck' is ξ ← (1 − 0.15) ξ + scale · N(0, 1), as in Lillicrap et al. 2016.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        scale: float,
        where: Literal["action", "neuron"],
        kind: Literal["gaussian", "ornstein_uhlenbeck"],
        rngs: Sequence[np.random.Generator],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.layers = list(sizes[1:])
        self.noisy = self.layers if where == "neuron" else self.layers[-1:]
        self.scale, self.kind, self.rngs, self.dtype = scale, kind, list(rngs), dtype
        self.state = np.zeros((len(rngs), sum(self.noisy)))

    def draw(self) -> list[Tensor | None]:
        """ξ_1 … ξ_L, (S, 1, n_l) each, or None for a layer without noise."""
        fresh = np.stack([rng.normal(0.0, self.scale, self.state.shape[1]) for rng in self.rngs])
        self.state = fresh if self.kind == "gaussian" else (1 - MEAN_REVERSION) * self.state + fresh
        parts = torch.from_numpy(self.state).to(self.dtype).unsqueeze(1).split(self.noisy, dim=-1)
        return [None] * (len(self.layers) - len(self.noisy)) + list(parts)

    def reset(self, seed_index: int) -> None:
        """A new episode of one seed: correlated noise starts from zero."""
        self.state[seed_index] = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"state": self.state.copy(), "rngs": seeding.states(self.rngs)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state = state["state"].copy()
        seeding.restore(self.rngs, state["rngs"])
