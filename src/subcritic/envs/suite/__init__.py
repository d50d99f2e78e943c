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
from typing import Any, NamedTuple

import gymnasium as gym

from subcritic.envs.suite.environment import StackedTasks, SuiteEnvironment
from subcritic.envs.suite.task import Component, SensorLayout, Task

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


class Entry(NamedTuple):
    """What Gymnasium must know of a task before it is used. The module `family` holds the `Task` itself in its `TASKS`."""

    name: str
    family: str
    episode_steps: int

    @property
    def id(self) -> str:
        return f"subcritic/{self.name}-v0"


# The paper's name → where the task is found.
LISTED = {
    "fixedReacherSingle": Entry("ReacherOneFixed", "arms", 100),
    "reacherSingle": Entry("ReacherOneRandom", "arms", 100),
    "fixedReacherDouble": Entry("ReacherTwoFixed", "arms", 100),
    "fixedReacher": Entry("ReacherThreeFixed", "arms", 100),
    "reacher": Entry("ReacherThreeRandom", "arms", 100),
    "reacher3daFixedTarget": Entry("ArmReachFixed", "arms", 100),
    "reacher3daRandomTarget": Entry("ArmReachRandom", "arms", 100),
    "gripper": Entry("GripperFixed", "arms", 150),
    "gripperRandom": Entry("GripperRandom", "arms", 150),
    "movingGripper": Entry("GripperMoving", "arms", 150),
    "blockworld1": Entry("BlockLift", "arms", 150),
    "blockworld3da": Entry("BlockLiftArm", "arms", 150),
    "canada2d": Entry("HockeyPlanar", "arms", 120),
    "canada": Entry("HockeyArm", "arms", 120),
    "pendulum": Entry("PendulumSwingUp", "poles", 200),
    "cart": Entry("CartRest", "poles", 150),
    "cartpole": Entry("CartpoleSwingUp", "poles", 200),
    "cartpoleBalance": Entry("CartpoleBalance", "poles", 200),
    "cartpoleParallelDouble": Entry("CartpoleParallelDouble", "poles", 250),
    "cartpoleSerialDouble": Entry("CartpoleSerialDouble", "poles", 250),
    "cartpoleSerialTriple": Entry("CartpoleSerialTriple", "poles", 250),
    "cheetah": Entry("Cheetah", "runners", 200),
    "hardCheetah": Entry("HardCheetah", "runners", 200),
    "walker2d": Entry("Walker", "runners", 250),
    "hopper": Entry("HopperBalance", "runners", 250),
    "hyq": Entry("QuadrupedStand", "runners", 250),
}


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
_PAPER_NAMES = {entry.id: paper for paper, entry in LISTED.items()}


def by_id(environment_id: str) -> Task | None:
    """The task registered with Gymnasium as `environment_id`; None if it is none of the suite."""
    paper = _PAPER_NAMES.get(environment_id)
    return TASKS[paper] if paper else None


def entry(environment_id: str) -> Entry | None:
    """As `by_id`, without importing the task's family: its entry in LISTED."""
    paper = _PAPER_NAMES.get(environment_id)
    return LISTED[paper] if paper else None


def table2() -> list[dict[str, str]]:
    """Table 2 of the paper: environment, state_dim, action_dim, observation_dim, and our words for the task."""
    return list(csv.DictReader(resources.files(__name__).joinpath("table2.csv").read_text().splitlines()))


def _environment(paper: str, **kwargs: Any) -> SuiteEnvironment:
    return SuiteEnvironment(TASKS[paper], **kwargs)


for _paper, _entry in LISTED.items():
    gym.register(_entry.id, partial(_environment, _paper), max_episode_steps=_entry.episode_steps)
