"""The training loop of agents that remember: their voltages start anew with every episode."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from subcritic.agents.recurrent import RecurrentLearner
from subcritic.training.trainer import Trainer


class RecurrentTrainer(Trainer):
    """A Trainer for a RecurrentLearner: tells it where episodes begin, and evaluates it with voltages of its own."""

    agent: RecurrentLearner

    def policy(self) -> Callable[[Tensor], Tensor]:
        return self.agent.player()

    def _act_and_store(self) -> None:
        super()._act_and_store()
        for s in self.watch.active:
            if self.streams[s].finished_return is not None:
                self.agent.begin_episode(s)
