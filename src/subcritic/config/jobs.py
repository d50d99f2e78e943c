"""The config of the most common job: one method trained on one environment."""

from __future__ import annotations

from subcritic.config.environments import Task
from subcritic.config.methods import Method
from subcritic.config.sections import Section
from subcritic.config.training import Training


class MethodTraining(Section):
    """All that the numbers of one method on one environment depend on, all seeds."""

    environment: Task
    agent: Method
    training: Training
    seeds: tuple[int, ...]
