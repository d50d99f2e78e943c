"""The uniform random policy, whose mean return scores 0."""

from __future__ import annotations

import numpy as np

from subcritic import seeding
from subcritic.envs import EpisodeStreams


def random_returns(make_environment, episodes: int, seed: int = 0) -> np.ndarray:
    """Undiscounted returns of `episodes` episodes with actions uniform in [-1, 1], (episodes,)."""
    environment = make_environment()
    stream = EpisodeStreams([environment], [seed], purpose="anchor")
    rng = seeding.generator(seed, "anchor actions")
    returns: list[float] = []
    while len(returns) < episodes:
        action = rng.uniform(-1, 1, (1, *environment.action_space.shape)).astype(np.float32)
        returns.extend(stream.step(action).finished.values())
    stream.close()
    return np.array(returns)
