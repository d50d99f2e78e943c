"""The null: neurons that move, and learn nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from subcritic import seeding
from subcritic.rules.base import Rule
from subcritic.rules.protocol import SILENCE, Broadcast, Critics, Layer, LocalTransition


@dataclass
class Wanderers(Critics):
    """rngs: one generator per seed. weight (S, n_in, n), bias (S, 1, n): where the next update goes."""

    rngs: Sequence[np.random.Generator]
    weight: Tensor
    bias: Tensor

    def tensors(self) -> dict[str, Tensor]:
        return {"weight": self.weight, "bias": self.bias}

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"rngs": seeding.states(self.rngs)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        seeding.restore(self.rngs, state["rngs"])


@dataclass(frozen=True)
class RandomDirectionRule(Rule):
    """(K^n, b^n) += η_A u^n, u^n of length 1 and uniform over directions, drawn anew for every update. Reads nothing."""

    judges: ClassVar[bool] = False

    @property
    def receives(self) -> frozenset[str]:
        return frozenset()

    def init(self, layer: Layer, rngs: Sequence[np.random.Generator]) -> Wanderers:
        state = Wanderers(list(rngs), torch.zeros_like(layer.weight), torch.zeros_like(layer.bias))
        self._turn(state)
        return state

    def direction(
        self, state: Wanderers, layer: Layer, seen: LocalTransition, heard: Broadcast = SILENCE
    ) -> tuple[Tensor, Tensor]:
        """Where the next update goes, so that looking does not change it."""
        return state.weight, state.bias

    def _learn(
        self, state: Wanderers, layer: Layer, seen: LocalTransition, heard: Broadcast
    ) -> tuple[None, None]:
        return None, None

    def _move(self, state: Wanderers, layer: Layer, seen: LocalTransition, push: None) -> None:
        self.actor.along(layer.weight, state.weight)
        self.actor.along(layer.bias, state.bias)
        self._turn(state)

    def _turn(self, state: Wanderers) -> None:
        _, n_in, n_out = state.weight.shape
        drawn = np.stack([rng.standard_normal((n_in + 1, n_out)) for rng in state.rngs])
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        unit = torch.from_numpy(drawn).to(state.weight.dtype)
        state.weight.copy_(unit[:, :n_in])
        state.bias.copy_(unit[:, n_in:])
