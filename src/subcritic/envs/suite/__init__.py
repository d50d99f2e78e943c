"""The 26 tasks of Lillicrap et al. 2016 (Table 2), rebuilt from their descriptions and registered with Gymnasium."""

from __future__ import annotations

from functools import partial

import gymnasium as gym

from subcritic.envs.suite import arms, poles, runners
from subcritic.envs.suite.environment import SuiteEnvironment
from subcritic.envs.suite.task import Component, Task

__all__ = ["TASKS", "Component", "SuiteEnvironment", "Task"]

# The paper's name → the task.
TASKS: dict[str, Task] = {task.paper: task for family in (arms, poles, runners) for task in family.TASKS}

for _task in TASKS.values():
    gym.register(
        _task.id, entry_point=partial(SuiteEnvironment, _task), max_episode_steps=_task.episode_steps
    )
