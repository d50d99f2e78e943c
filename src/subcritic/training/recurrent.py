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

    def _end_episode(self, seed_index: int, episode_return: float) -> None:
        super()._end_episode(seed_index, episode_return)
        self.agent.begin_episode(seed_index)
