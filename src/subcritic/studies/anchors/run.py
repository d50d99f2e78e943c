"""The two returns that normalise a score: 0 is the uniform random policy; 1 a stated reference, or the planner."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from subcritic import envs, seeding
from subcritic.config import ConfigError, Environment, Profile
from subcritic.envs import EpisodeStream, suite
from subcritic.envs.suite import published
from subcritic.envs.suite.published import Reference as PublishedReference
from subcritic.envs.suite.published import Score


def random_returns(make_environment, episodes: int, seed: int = 0) -> np.ndarray:
    """Undiscounted returns of `episodes` episodes with actions uniform in [-1, 1], (episodes,)."""
    environment = make_environment()
    stream = EpisodeStream(environment, seed, purpose="anchor")
    rng = seeding.generator(seed, "anchor actions")
    returns: list[float] = []
    while len(returns) < episodes:
        stream.step(rng.uniform(-1, 1, environment.action_space.shape).astype(np.float32))
        if stream.finished_return is not None:
            returns.append(stream.finished_return)
    environment.close()
    return np.array(returns)


def run(profile: Profile, environment_name: str, results: Path) -> list[Path]:
    """The anchors of one environment; writes and returns `anchors/<environment>.json`.

    A reference that the config states comes first. Without one, a task of the suite takes both anchors from its
    references, published or measured as the config says; any other environment has no reference.
    """
    environment = profile.environment(environment_name)
    path = results / profile.profile / "anchors" / f"{environment.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_anchors(profile, environment, results), indent=2) + "\n")
    return [path]


def _anchors(profile: Profile, environment: Environment, results: Path) -> dict[str, Any]:
    found, why_not = (None, "")
    if environment.reference is None and not environment.kwargs:
        found, why_not = _of_the_suite(profile, environment, results)
    if found:
        random, planner = found.scores["random"], found.scores["mppi"]
        return _entry(environment.name, random) | {
            "reference_return": planner.mean,
            "reference_standard_error": planner.standard_error,
            "reference_source": found.source(),
        }
    returns = random_returns(
        partial(envs.make, environment.id, environment.kwargs), profile.anchors.random_episodes
    )
    stated = environment.reference
    error = float(returns.std(ddof=1) / np.sqrt(len(returns)))
    return _entry(environment.name, Score(float(returns.mean()), error, len(returns), returns[0])) | {
        "reference_return": stated.mean_return if stated else None,
        "reference_standard_error": 0.0,
        "reference_source": stated.source if stated else why_not or None,
    }


def _of_the_suite(
    profile: Profile, environment: Environment, results: Path
) -> tuple[PublishedReference | None, str]:
    """The scores of a task of the suite, or none and why."""
    if environment.id not in {task.id for task in suite.TASKS.values()}:
        return None, ""
    if profile.references.source == "published":
        found = published.reference(environment.id)
        why_not = published.why_not(found)
        return (None, why_not) if why_not else (found, "")
    path = results / profile.profile / "environments" / f"{environment.name}.json"
    if not path.is_file():
        raise ConfigError(
            f"{path} is missing: `subcritic references --environment {environment.name}` measures it; or normalise by "
            "the published references with references.source: published"
        )
    return published.measured(json.loads(path.read_text())), ""


def _entry(environment: str, random: Score) -> dict[str, Any]:
    return {
        "environment": environment,
        "random_mean": random.mean,
        "random_standard_error": random.standard_error,
        "random_episodes": random.episodes,
    }
