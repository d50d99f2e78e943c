"""The two returns that normalise a score: 0 is the uniform random policy, measured; 1 is a stated reference."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np

from subcritic import envs, seeding
from subcritic.config import Profile
from subcritic.envs import EpisodeStream


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
    """Measure the random policy on one environment; writes and returns `anchors/<environment>.json`."""
    environment = profile.environment(environment_name)
    returns = random_returns(
        partial(envs.make, environment.id, environment.kwargs), profile.anchors.random_episodes
    )
    reference = environment.reference
    path = results / profile.profile / "anchors" / f"{environment.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {
        "environment": environment.name,
        "random_mean": float(returns.mean()),
        "random_standard_error": float(returns.std(ddof=1) / np.sqrt(len(returns))),
        "random_episodes": len(returns),
        "reference_return": reference.mean_return if reference else None,
        "reference_source": reference.source if reference else None,
    }
    path.write_text(json.dumps(found, indent=2) + "\n")
    return [path]
