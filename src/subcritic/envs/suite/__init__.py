"""The 26 tasks of Lillicrap et al. 2016 (Table 2), rebuilt from their descriptions and registered with Gymnasium."""

from __future__ import annotations

import csv
from functools import partial
from importlib import resources

import gymnasium as gym

from subcritic.envs.suite import arms, poles, runners
from subcritic.envs.suite.environment import SuiteEnvironment
from subcritic.envs.suite.task import Component, SensorLayout, Task

__all__ = ["TASKS", "Component", "SensorLayout", "SuiteEnvironment", "Task", "table2"]

# The paper's name → the task.
TASKS: dict[str, Task] = {task.paper: task for family in (arms, poles, runners) for task in family.TASKS}

for _task in TASKS.values():
    gym.register(
        _task.id, entry_point=partial(SuiteEnvironment, _task), max_episode_steps=_task.episode_steps
    )


def table2() -> list[dict[str, str]]:
    """Table 2 of the paper: environment, state_dim, action_dim, observation_dim, and our words for the task."""
    return list(csv.DictReader(resources.files(__name__).joinpath("table2.csv").read_text().splitlines()))
