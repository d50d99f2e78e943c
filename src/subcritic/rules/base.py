"""What the rules share: what they aim at, and how a push on z becomes a step of K."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from subcritic.bellman import bellman_target
from subcritic.rules.ascent import Adaptive, Plain
from subcritic.rules.protocol import SILENCE, Broadcast, Critics, Layer, LocalTransition

TRANSITION = frozenset({"voltage", "alpha", "reward", "terminated", "next_voltage"})


@dataclass(frozen=True)
class Rule:
    """A rule is `_learn`: critics move, and what they then say is a push on z, (S, B, n), from which K learns.

    K^n += η_A mean(push · v), b^n += η_A mean(push). critic, actor: how critics and neurons step. aim: 'own' if critics
    regress on the neuron's own TD target, 'told' if on a broadcast one.
    """

    critic: Plain | Adaptive
    actor: Plain | Adaptive
    discount: float = 0.99
    polyak: float = 0.005
    aim: Literal["own", "told"] = "own"

    judges: ClassVar[bool] = True

    @property
    def receives(self) -> frozenset[str]:
        return TRANSITION if self.aim == "own" else frozenset({"voltage", "alpha", "target"})

    def init(self, layer: Layer, rngs: Sequence[np.random.Generator]) -> Critics:
        return Critics()

    def direction(
        self, state: Critics, layer: Layer, seen: LocalTransition, heard: Broadcast = SILENCE
    ) -> tuple[Tensor, Tensor]:
        push = self.push(state, layer, seen, heard)
        return torch.bmm(seen.voltage.mT, push) / push.shape[1], push.mean(dim=1, keepdim=True)

    def learn(
        self,
        state: Critics,
        layer: Layer,
        seen: LocalTransition,
        heard: Broadcast = SILENCE,
        moves: bool = True,
    ) -> Tensor | None:
        residual, push = self._learn(state, layer, seen, heard)
        if moves:
            self._move(state, layer, seen, push)
        return residual

    def update(
        self, state: Critics, layer: Layer, seen: LocalTransition, heard: Broadcast = SILENCE
    ) -> Tensor | None:
        """`learn`, then the target policy of this layer follows."""
        residual = self.learn(state, layer, seen, heard)
        layer.track(self.polyak)
        return residual

    def diagnostics(self, state: Critics) -> dict[str, Tensor]:
        return {}

    def push(self, state: Critics, layer: Layer, seen: LocalTransition, heard: Broadcast) -> Tensor:
        raise NotImplementedError

    def _learn(
        self, state: Critics, layer: Layer, seen: LocalTransition, heard: Broadcast
    ) -> tuple[Tensor | None, Tensor]:
        """Move the critics and their targets; the residual, and the push that follows."""
        raise NotImplementedError

    def _move(self, state: Critics, layer: Layer, seen: LocalTransition, push: Tensor) -> None:
        self.actor.outer(layer.weight, seen.voltage, push)
        self.actor.mean(layer.bias, push)

    def _bellman(self, seen: LocalTransition, next_value: Tensor) -> Tensor:
        return bellman_target(seen.reward, self.discount, seen.terminated, next_value)


def uniform(rngs: Sequence[np.random.Generator], fan_in: int, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """(S, *shape), uniform in ±1/√fan_in, each seed from its own generator."""
    bound = 1 / np.sqrt(fan_in)
    return torch.from_numpy(np.stack([rng.uniform(-bound, bound, shape) for rng in rngs])).to(like.dtype)
