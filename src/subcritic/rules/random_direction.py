"""Control: weights take random steps of fixed length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from subcritic import seeding
from subcritic.config import LocalSettings, Role
from subcritic.nn.devices import to_device
from subcritic.rules.base import Rule
from subcritic.rules.protocol import NO_BROADCAST, Broadcast, Layer, LocalTransition, RuleState


class RandomDirectionSettings(LocalSettings):
    """The control of a comparison: what a rule gains that learns nothing."""

    kind: ClassVar[Role] = "control"

    def conflicts(self) -> list[tuple[bool, str]]:
        return [
            *super().conflicts(),
            (
                self.target != "own_td",
                f"random_direction learns from nothing: target must be left at own_td, not {self.target}",
            ),
            (
                self.newest is not None,
                f"random_direction learns from nothing: newest must be left out, not {self.newest}",
            ),
        ]


@dataclass
class RandomDirections(RuleState):
    """rngs: one generator per seed. weight (S, n_in, n), bias (S, 1, n): where the next update goes."""

    rngs: Sequence[np.random.Generator]
    weight: Tensor
    bias: Tensor

    def learned(self) -> dict[str, Tensor]:
        """None: directions are drawn."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"rngs": seeding.states(self.rngs)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        seeding.restore(self.rngs, state["rngs"])


@dataclass(frozen=True)
class RandomDirectionRule(Rule[RandomDirections]):
    """(K^n, b^n) += η_A u^n, u^n of length 1 and uniform over directions, drawn anew for every update. Reads nothing."""

    Settings: ClassVar[type[LocalSettings]] = RandomDirectionSettings
    draws: ClassVar[bool] = True

    @property
    def receives(self) -> frozenset[str]:
        return frozenset()

    def new_state(self, layer: Layer, rngs: Sequence[np.random.Generator]) -> RandomDirections:
        state = RandomDirections(list(rngs), torch.zeros_like(layer.weight), torch.zeros_like(layer.bias))
        self._draw(state)
        return state

    def direction(
        self,
        state: RandomDirections,
        layer: Layer,
        transition: LocalTransition,
        broadcast: Broadcast = NO_BROADCAST,
    ) -> tuple[Tensor, Tensor]:
        """Where the next update goes, so that looking does not change it."""
        return state.weight, state.bias

    def update_state(
        self, state: RandomDirections, layer: Layer, transition: LocalTransition, broadcast: Broadcast
    ) -> tuple[None, None]:
        return None, None

    def update_weights(
        self, state: RandomDirections, layer: Layer, transition: LocalTransition, error: Tensor | None
    ) -> None:
        state.weight_optimiser.along("weight", state.weight)
        state.weight_optimiser.along("bias", state.bias)
        self._draw(state)

    def _draw(self, state: RandomDirections) -> None:
        _, n_in, n_out = state.weight.shape
        drawn = np.stack([rng.standard_normal((n_in + 1, n_out)) for rng in state.rngs])
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        unit = to_device(torch.from_numpy(drawn).to(state.weight.dtype), state.weight.device)
        state.weight.copy_(unit[:, :n_in])
        state.bias.copy_(unit[:, n_in:])
