"""Evaluation of policies without exploration noise; all episodes of all seeds are played side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from subcritic import envs, seeding


class Evaluator:
    """Plays `episodes` episodes per seed with actions from a deterministic policy.

    Reset seeds depend on the training seed and on `step` alone, so that an evaluation can be repeated. It holds
    len(seeds) × episodes environments open until `close`, or the end of a `with` statement.
    """

    def __init__(self, make_environment: Callable[[], gym.Env], seeds: Sequence[int], episodes: int) -> None:
        self.seeds, self.episodes = list(seeds), episodes
        self.environments = [[make_environment() for _ in range(episodes)] for _ in seeds]
        # (seed, episode) of the episodes that have not ended, while they are played.
        self.running: list[tuple[int, int]] = []

    def __call__(
        self,
        act: Callable[[Tensor], Tensor],
        step: int,
        episodes: int | None = None,
        active: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Undiscounted returns (S, episodes) of all or the first few episodes; NaN for seeds that are not `active`.

        act: observations (S, episodes, n_0) → actions (S, episodes, n_L) in [-1, 1].
        """
        if not self.environments:
            raise RuntimeError("this Evaluator was closed; make a new one")
        active = range(len(self.seeds)) if active is None else active
        episodes = self.episodes if episodes is None else episodes
        size, _ = envs.sizes(self.environments[0][0])
        observation = torch.zeros(len(self.seeds), episodes, size)
        returns = np.full((len(self.seeds), episodes), np.nan)
        self.running = [(s, e) for s in active for e in range(episodes)]
        for s, e in self.running:
            rng = seeding.generator(self.seeds[s], "evaluation", step, e)
            first, _ = self.environments[s][e].reset(seed=int(rng.integers(2**31)))
            observation[s, e] = torch.as_tensor(first)
            returns[s, e] = 0.0
        while self.running:
            actions = act(observation).numpy()
            still = []
            for s, e in self.running:
                after, reward, terminated, truncated, _ = self.environments[s][e].step(actions[s, e])
                returns[s, e] += float(reward)
                if not (terminated or truncated):
                    observation[s, e] = torch.as_tensor(after)
                    still.append((s, e))
            self.running = still
        return returns

    def close(self) -> None:
        """Close all environments; harmless to call again."""
        while self.environments:
            for environment in self.environments.pop():
                environment.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
