"""The training loop with learning in threads of its own: acting does not wait for learning, nor neurons for each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium as gym

from subcritic import seeding
from subcritic.agents.asynchronous import AsynchronousLearner, Workers
from subcritic.replay import SharedReplay
from subcritic.training.trainer import Observer, Trainer


class AsynchronousTrainer(Trainer):
    """A Trainer that lets every group of an AsynchronousLearner learn in a thread of its own.

    Each environment step grants every group one update, so that as many are made as by a Trainer; a group may fall `lag`
    updates behind before acting waits for it. Groups draw their own minibatches, each from a stream equal to a Trainer's,
    so that with `barrier` (wait after every step) the numbers are a Trainer's. Observers see the agent at rest.
    `behind` counts, after every grant, the updates the slowest group still had to begin: (sum, largest, number of grants).
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
        self.replay = SharedReplay(len(seeds), self.replay.capacity, agent.columns)
        self.group_minibatches = [
            seeding.Draws(seeding.generators(seeds, f"{purpose} minibatch"), agent.settings.batch_size)
            for _ in agent.groups
        ]
        self.barrier = barrier
        self.behind = (0, 0, 0)
        self.workers = Workers([partial(self._learn_group, g) for g in range(len(agent.groups))], lag)

    def _learn(self) -> None:
        self.workers.grant()
        total, largest, grants = self.behind
        now = self.workers.behind()
        self.behind = (total + now, max(largest, now), grants + 1)
        if self.barrier:
            self.workers.settle()

    def _learn_group(self, group: int) -> None:
        batch = self.replay.sample(self.agent.settings.batch_size, self.group_minibatches[group])
        self.agent.learn_group(group, batch)
        if group == 0:
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
