"""The training loop of agents that remember: their voltages start anew with every episode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from subcritic.agents.graph import GraphLearner
from subcritic.agents.recurrent import RecurrentLearner
from subcritic.config import AgentSettings
from subcritic.config.graph import GraphSettings
from subcritic.training.trainer import Trainer


class RecurrentTrainer(Trainer):
    """A Trainer for a RecurrentLearner or a GraphLearner, whose voltages stay: tells it where episodes begin, and evaluates
    it with voltages of their own.
    """

    agent: RecurrentLearner

    def policy(self) -> Callable[[Tensor], Tensor]:
        return self.agent.player()

    def _end_episode(self, seed_index: int, episode_return: float) -> None:
        super()._end_episode(seed_index, episode_return)
        self.agent.begin_episode(seed_index)


def trainer_of(settings: AgentSettings) -> Callable[..., RecurrentTrainer]:
    """What makes a trainer of an agent with these settings, for `subcritic.measuring.comparison.compare`."""
    kind: Any = GraphLearner if isinstance(settings, GraphSettings) else RecurrentLearner

    def make_trainer(make, observation, action, seeds, steps, factor) -> RecurrentTrainer:
        return RecurrentTrainer(kind(settings, observation, action, seeds), make, seeds, steps, factor)

    return make_trainer
