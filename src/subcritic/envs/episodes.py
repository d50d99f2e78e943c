"""The episodes of one seed. They can be resumed without pickling the environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from subcritic import seeding


@dataclass(frozen=True)
class Transition:
    """One environment step. `observation` is that of the next state, also when the episode ended there."""

    observation: np.ndarray
    reward: float
    terminated: bool
    truncated: bool


class EpisodeStream:
    """Plays episodes one after the other; the seed of each reset is drawn for (seed, purpose, episode number).

    Most environments cannot be pickled, so the saved state of an unfinished episode is its number and its actions so far;
    `load_state_dict` repeats them and checks that the last observation is the same.
    """

    def __init__(self, environment: gym.Env, seed: int, purpose: str = "training") -> None:
        self.environment = environment
        self.seed, self.purpose = seed, f"{purpose} episode"
        self.episode = -1
        self.steps = 0
        self.episode_return = 0.0
        self.finished_return: float | None = None
        self._start_next()

    def step(self, action: np.ndarray) -> Transition:
        """Play one action (n_L,) in [-1, 1]. At the end of an episode `self.observation` is the first of the next one."""
        observation, reward, terminated, truncated, _ = self.environment.step(action)
        self.actions.append(action.copy())
        self.steps += 1
        self.episode_return += float(reward)
        reached = np.asarray(observation, np.float32)
        self.observation = reached
        self.finished_return = None
        if terminated or truncated:
            self.finished_return = self.episode_return
            self._start_next()
        return Transition(reached, float(reward), bool(terminated), bool(truncated))

    def _start_next(self) -> None:
        self.episode += 1
        self._reset()

    def _reset(self) -> None:
        reset_seed = int(seeding.generator(self.seed, self.purpose, self.episode).integers(2**31))
        observation, _ = self.environment.reset(seed=reset_seed)
        self.observation = np.asarray(observation, np.float32)
        self.actions: list[np.ndarray] = []
        self.episode_return = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {
            "episode": self.episode,
            "steps": self.steps,
            "actions": np.asarray(self.actions),
            "observation": self.observation.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises RuntimeError when the environment does not repeat itself from seed and actions."""
        self.episode, self.steps = state["episode"], state["steps"]
        self._reset()
        for action in state["actions"]:
            observation, reward, *_ = self.environment.step(action)
            self.actions.append(action)
            self.episode_return += float(reward)
            self.observation = np.asarray(observation, np.float32)
        if not np.array_equal(self.observation, state["observation"]):
            spec = self.environment.spec
            raise RuntimeError(
                f"{spec.id if spec else self.environment} does not repeat an episode from its seed and actions, so a "
                "stopped run cannot be resumed exactly; delete its checkpoint to start it anew"
            )
