"""The 26 tasks of Lillicrap et al. 2016 (Table 2), rebuilt from their descriptions and registered with Gymnasium.

A family of tasks is a module of this package. It is imported when one of its tasks is used, not before, so that training on
one task does not depend on the code of the others.
"""

from __future__ import annotations

import csv
import importlib
from collections.abc import Iterator, Mapping
from functools import partial
from importlib import resources
from typing import Any

import gymnasium as gym

from subcritic.envs.suite.environment import StackedTasks, SuiteEnvironment
from subcritic.envs.suite.task import Component, SensorLayout, Task
from subcritic.suite import LISTED, PAPER_NAMES, Entry, entry

__all__ = [
    "LISTED",
    "TASKS",
    "Component",
    "Entry",
    "SensorLayout",
    "StackedTasks",
    "SuiteEnvironment",
    "Task",
    "by_id",
    "entry",
    "table2",
]


class Tasks(Mapping[str, Task]):
    """All tasks by the paper's name. Looking one up imports its family; iterating over names imports nothing."""

    def __getitem__(self, paper: str) -> Task:
        family = importlib.import_module(f"{__name__}.{LISTED[paper].family}")
        return next(task for task in family.TASKS if task.paper == paper)

    def __iter__(self) -> Iterator[str]:
        return iter(LISTED)

    def __len__(self) -> int:
        return len(LISTED)

    def __contains__(self, paper: object) -> bool:
        return paper in LISTED


TASKS = Tasks()


def by_id(environment_id: str) -> Task | None:
    """The task registered with Gymnasium as `environment_id`; None if it is none of the suite."""
    paper = PAPER_NAMES.get(environment_id)
    return TASKS[paper] if paper else None


def table2() -> list[dict[str, str]]:
    """Table 2 of the paper: environment, state_dim, action_dim, observation_dim, and our words for the task."""
    return list(csv.DictReader(resources.files(__name__).joinpath("table2.csv").read_text().splitlines()))


def _environment(paper: str, **kwargs: Any) -> SuiteEnvironment:
    return SuiteEnvironment(TASKS[paper], **kwargs)


for _paper, _entry in LISTED.items():
    gym.register(_entry.id, partial(_environment, _paper), max_episode_steps=_entry.episode_steps)
