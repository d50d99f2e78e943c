"""What scores 0 and 1 on a task of the suite: uniform random actions, and planners on the true physics."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from subcritic import provenance, published
from subcritic.config import ConfigError, dump
from subcritic.envs import suite
from subcritic.envs.planners import ILQG, MPPI, Planner, episode
from subcritic.measuring.progress import say
from subcritic.measuring.tables import paths, write_json
from subcritic.studies.references import STUDY
from subcritic.studies.references.settings import Config, Planners, Plans
from subcritic.study import Job

PLANNERS = {"mppi": MPPI, "ilqg": ILQG}
VERSIONS = ("mujoco", "gymnasium", "numpy")


def task_of(environment_id: str) -> suite.Task:
    """The task registered as `environment_id`; raises ConfigError when it is none of the suite."""
    task = suite.by_id(environment_id)
    if task is None:
        known = ", ".join(entry.id for entry in suite.LISTED.values())
        raise ConfigError(
            f"{environment_id!r} is no task of the suite, and planners play on the suite only: {known}"
        )
    return task


def make(environment_id: str, **kwargs: Any) -> gym.Env:
    """A task of the suite as planners need it: no wrapper but the time limit."""
    return gym.make(task_of(environment_id).id, disable_env_checker=True, **kwargs)


def planner(name: str, environment: gym.Env, settings: Plans) -> Planner:
    """The planner called `name` for an environment that `make` made."""
    own = ("plans", "knots", "noise", "temperature") if name == "mppi" else ()
    given = {field: getattr(settings, field) for field in ("horizon_seconds", *own)}
    return PLANNERS[name](environment.unwrapped, **given)


def measure(environment_id: str, settings: Planners, say: Callable[[str], None]) -> dict[str, Any]:
    """Returns of random actions and of every planner on a task of the suite, with all that they depend on."""
    environment = make(environment_id)
    task = task_of(environment_id)
    players: dict[str, Planner | None] = {"random": None}
    players |= {name: planner(name, environment, settings) for name in settings.planners}
    found = {}
    for name, player in players.items():
        episodes = settings.episodes if player else settings.random_episodes
        found[name] = _play(environment, range(settings.first_seed, settings.first_seed + episodes), player)
        say(f"{environment_id}: {name}: {published.summary(found[name])}")
    environment.close()
    return {
        "id": environment_id,
        "paper": task.paper,
        **found,
        "settings": dump(settings),
        "versions": {name: provenance.versions()[name] for name in VERSIONS},
        "date": date.today().isoformat(),
    }


def run(job: Job, results: Path) -> list[Path]:
    """Measure one task; writes and returns `environments/<environment>.json`."""
    config = job.config
    assert isinstance(config, Config)
    task = config.environment
    if task.kwargs:
        raise ConfigError(f"{task.name}: references are of the bare task; it has kwargs {task.kwargs}")
    found = {"environment": task.name} | measure(task.id, config.planners, say)
    return [write_json(paths(job, STUDY, results)["references"], found)]


def _play(environment: gym.Env, seeds: Sequence[int], player: Planner | None) -> dict[str, Any]:
    """Statistics of one episode per seed; `steps_per_second`: environment steps per CPU-second, planning included."""
    start = time.process_time()
    played = [episode(environment, seed, player) for seed in seeds]
    seconds = time.process_time() - start
    returns = np.array([earned for earned, _ in played])
    return {
        "mean": float(returns.mean()),
        "standard_error": float(returns.std(ddof=1) / np.sqrt(len(returns))),
        "episodes": len(returns),
        "seeds": list(seeds),
        "returns": returns.tolist(),
        "mean_steps": float(np.mean([steps for _, steps in played])),
        "steps_per_second": round(sum(steps for _, steps in played) / max(seconds, 1e-9), 1),
    }
