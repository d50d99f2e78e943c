"""Evaluation of policies without exploration noise; all episodes of all seeds are played side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from subcritic import envs, seeding

# Steps of an episode between two states at which critics are asked.
JUDGE_EVERY = 10

# observations (S, E, n_0) → predictions (S, E) of critics, by name.
Judge = Callable[[Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class Episodes:
    """E episodes for each of S seeds, played side by side; T steps of the longest.

    returns (S, E): undiscounted; NaN of seeds that did not play, whose actions were not finite, or that failed. reward
    (T, S, E): 0 after an episode's end. length (S, E): steps. terminated (S, E): whether a terminal state ended it, not a
    time limit. judged: critic → its predictions (⌈T / JUDGE_EVERY⌉, S, E) at the steps 0, JUDGE_EVERY, …; judged_last:
    critic → (S, E) at the last state. failed: index of a seed → what was not finite in what its environment gave.
    """

    returns: np.ndarray
    reward: np.ndarray
    length: np.ndarray
    terminated: np.ndarray
    judged: dict[str, np.ndarray]
    judged_last: dict[str, np.ndarray]
    failed: dict[int, str]


class Evaluator:
    """Plays `episodes` episodes per seed with actions from a deterministic policy.

    Reset seeds depend on the training seed and on `step` alone, so that an evaluation can be repeated. It holds
    len(seeds) × episodes environments open until `close`, or the end of a `with` statement.
    """

    def __init__(self, make_environment: Callable[[], gym.Env], seeds: Sequence[int], episodes: int) -> None:
        self.seeds, self.episodes = list(seeds), episodes
        # Episode e of seed s is number s · episodes + e.
        self.environments = envs.VectorEnvironment(
            [make_environment() for _ in seeds for _ in range(episodes)]
        )
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
        return self.play(act, step, episodes, active).returns

    def play(
        self,
        act: Callable[[Tensor], Tensor],
        step: int,
        episodes: int | None = None,
        active: Sequence[int] | None = None,
        judge: Judge | None = None,
    ) -> Episodes:
        """As a call, with all that happened; `judge` is asked at every JUDGE_EVERY-th state and at the last one."""
        if not self.environments.environments:
            raise RuntimeError("this Evaluator was closed; make a new one")
        active = range(len(self.seeds)) if active is None else active
        episodes = self.episodes if episodes is None else episodes
        shape = (len(self.seeds), episodes)
        observation = torch.zeros(*shape, envs.sizes(self.environments.environments[0])[0])
        returns, length, ended = np.full(shape, np.nan), np.zeros(shape, int), np.zeros(shape, bool)
        rewards: list[np.ndarray] = []
        judged: list[dict[str, Tensor]] = []
        failed: dict[int, str] = {}
        self.running = [(s, e) for s in active for e in range(episodes)]
        for s, e in tuple(self.running):
            rng = seeding.generator(self.seeds[s], "evaluation", step, e)
            try:
                first = self.environments.reset(s * self.episodes + e, seed=int(rng.integers(2**31)))
            except envs.NotFinite as error:
                failed[s] = error.what
                continue
            observation[s, e] = torch.from_numpy(first)
            returns[s, e] = 0.0
        returns[list(failed)] = np.nan
        self.running = [(s, e) for s, e in self.running if s not in failed]
        seen = observation.numpy()
        while self.running:
            # Indices of the episodes that are played, into arrays (S, E).
            playing = tuple(np.transpose(self.running))
            which = (playing[0] * self.episodes + playing[1]).tolist()
            over = np.zeros(len(which), bool)
            while not over.any():
                if judge is not None and len(rewards) % JUDGE_EVERY == 0:
                    judged.append(judge(observation))
                actions = act(observation).numpy()[playing]
                lost = ~np.isfinite(actions).all(axis=1)
                actions[lost] = 0.0
                reached, reward, terminated, truncated, wrong = self.environments.step(actions, which)
                for row, what in wrong.items():
                    failed[int(playing[0][row])], lost[row] = what, True
                    reached[row], reward[row] = seen[playing[0][row], playing[1][row]], 0.0
                seen[playing] = reached
                rewards.append(np.zeros(shape))
                rewards[-1][playing] = reward
                returns[playing] += reward
                length[playing] += 1
                over = terminated | truncated
                if lost.any():
                    # All episodes of a seed end with the one that cannot go on.
                    returns[playing[0][lost]] = np.nan
                    over |= np.isin(playing[0], playing[0][lost])
            ended[playing] = terminated
            self.running = [pair for pair, is_over in zip(self.running, over, strict=True) if not is_over]
        last = judge(observation) if judge is not None else {}
        return Episodes(
            returns,
            np.stack(rewards) if rewards else np.zeros((0, *shape)),
            length,
            ended,
            {name: np.stack([at[name].numpy() for at in judged]) for name in last if judged},
            {name: value.numpy() for name, value in last.items()},
            failed,
        )

    def close(self) -> None:
        """Close all environments; harmless to call again."""
        self.environments.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
