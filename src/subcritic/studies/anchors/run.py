"""The two returns that normalise a score: 0 is the uniform random policy; 1 a stated reference, or the planner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from subcritic import envs, published
from subcritic.config import ConfigError
from subcritic.envs import suite
from subcritic.measuring.random_policy import random_returns
from subcritic.measuring.tables import paths, write_json
from subcritic.published import Reference as PublishedReference
from subcritic.published import Score
from subcritic.studies.anchors import STUDY
from subcritic.studies.anchors.settings import Config
from subcritic.study import Job


def run(job: Job, results: Path) -> list[Path]:
    """The anchors of one environment; writes and returns `anchors/<environment>.json`.

    A reference that the config states comes first. Without one, a task of the suite takes both anchors from its
    references, published or measured as the config says; any other environment has no reference. Where actions are held for
    several steps, random ones are played so, while the planner's are not held.
    """
    config = job.config
    assert isinstance(config, Config)
    measured = results / job.profile / f"environments/{job.environment}.json"
    return [write_json(paths(job, STUDY, results)["anchors"], _anchors(config, measured))]


def _anchors(config: Config, measured: Path) -> dict[str, Any]:
    task, stated = config.environment, config.reference
    found, why_not = (None, "")
    if stated is None and task.pays_as_registered:
        found, why_not = _of_the_suite(config, measured)
    if found:
        random, planner = _random(config) if task.kwargs else found.scores["random"], found.scores["mppi"]
        return _entry(task.name, random) | {
            "reference_return": planner.mean,
            "reference_standard_error": planner.standard_error,
            "reference_source": found.source(),
        }
    return _entry(task.name, _random(config)) | {
        "reference_return": stated.mean_return if stated else None,
        "reference_standard_error": 0.0,
        "reference_source": stated.source if stated else why_not or None,
    }


def _random(config: Config) -> Score:
    """What random actions earn, measured now."""
    returns = random_returns(envs.maker(config.environment), config.random_episodes)
    error = float(returns.std(ddof=1) / np.sqrt(len(returns)))
    return Score(float(returns.mean()), error, len(returns), returns[0])


def _of_the_suite(config: Config, measured: Path) -> tuple[PublishedReference | None, str]:
    """The scores of a task of the suite, or none and why."""
    task = config.environment
    if suite.entry(task.id) is None:
        return None, ""
    if config.source == "published":
        found = published.reference(task.id)
        why_not = published.why_not(found)
        return (None, why_not) if why_not else (found, "")
    if not measured.is_file():
        raise ConfigError(
            f"{measured} is missing: `subcritic references --environment {task.name}` measures it; or normalise by "
            "the published references with references.source: published"
        )
    return published.measured(json.loads(measured.read_text())), ""


def _entry(environment: str, random: Score) -> dict[str, Any]:
    return {
        "environment": environment,
        "random_mean": random.mean,
        "random_standard_error": random.standard_error,
        "random_episodes": random.episodes,
    }
