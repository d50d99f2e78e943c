"""The training loop with learning in threads of its own: acting does not wait for learning, nor neurons for each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
from torch import Tensor

from subcritic import seeding
from subcritic.agents.asynchronous import FIT, HEAR, LEARN, AsynchronousLearner
from subcritic.agents.workers import Workers
from subcritic.replay import SharedReplay
from subcritic.training.trainer import Observer, Trainer


class AsynchronousTrainer(Trainer):
    """A Trainer that lets every piece of an AsynchronousLearner learn in a thread of its own.

    Each environment step grants every piece one update, so that as many are made as by a Trainer; a piece may fall `lag`
    updates behind before acting waits for it. Pieces draw their own minibatches, each from a stream equal to a Trainer's.
    With `barrier` acting waits after every step, and the pieces for each other after every phase of it: then the numbers are
    a Trainer's. Observers see the agent at rest.
    `behind` counts, after every grant, the updates the slowest piece still had to begin: (sum, largest, number of grants).
    """

    agent: AsynchronousLearner

    def __init__(
        self,
        agent: AsynchronousLearner,
        make_environment: Callable[[], gym.Env],
        seeds: Sequence[int],
        steps: int,
        divergence_factor: float,
        observers: Sequence[Observer] = (),
        purpose: str = "training",
        lag: int = 64,
        barrier: bool = False,
    ) -> None:
        super().__init__(agent, make_environment, seeds, steps, divergence_factor, observers, purpose)
        self.group_minibatches = [
            seeding.Draws(seeding.generators(seeds, f"{purpose} minibatch"), agent.settings.batch_size)
            for _ in range(agent.pieces)
        ]
        self._batches: list[dict[str, Tensor]] = [{}] * agent.pieces
        self.barrier, self._phase = barrier, FIT
        self.behind = (0, 0, 0)
        work = self._learn_phase if barrier else self._learn_piece
        self.workers = Workers([partial(work, piece) for piece in range(agent.pieces)], lag)

    def _make_replay(self, capacity: int) -> SharedReplay:
        return SharedReplay(len(self.seeds), capacity, self.agent.columns)

    def _learn(self) -> None:
        self.workers.grant()
        total, largest, grants = self.behind
        now = self.workers.behind()
        self.behind = (total + now, max(largest, now), grants + 1)
        if self.barrier:
            self._go_through_phases()

    def _go_through_phases(self) -> None:
        """Of a step whose first phase is granted."""
        self.workers.settle()
        for phase in (HEAR, LEARN):
            self._phase = phase
            self.workers.grant()
            self.workers.settle()
        self._phase = FIT

    def _learn_piece(self, piece: int) -> None:
        self._sample(piece)
        self.agent.learn_piece(piece, self._batches[piece])

    def _learn_phase(self, piece: int) -> None:
        if self._phase == FIT:
            self._sample(piece)
        self.agent.learn_phase(piece, self._phase, self._batches[piece])

    def _sample(self, piece: int) -> None:
        batch = self.replay.sample(self.agent.settings.batch_size, self.group_minibatches[piece])
        self._batches[piece] = batch
        if piece == 0:
            self.batch = batch

    def _stop_diverged(self) -> None:
        self.workers.settle()
        super()._stop_diverged()

    def _observe(self) -> None:
        if self.step == self.steps or any(self.step % observer.every == 0 for observer in self.observers):
            self.workers.settle()
        super()._observe()

    def state_dict(self) -> dict[str, Any]:
        """Of an agent at rest; what comes after differs from run to run all the same, unless with a barrier."""
        self.workers.settle()
        groups = [minibatches.state_dict() for minibatches in self.group_minibatches]
        return super().state_dict() | {"group_minibatches": groups, "behind": self.behind}

    def load_final_state(self, state: dict[str, Any]) -> None:
        super().load_final_state(state)
        self.behind = tuple(state["behind"])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        for minibatches, saved in zip(self.group_minibatches, state["group_minibatches"], strict=True):
            minibatches.load_state_dict(saved)

    def close(self) -> None:
        self.workers.close()
        super().close()
