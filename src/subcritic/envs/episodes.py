"""The episodes of several seeds, side by side. They can be resumed without pickling the environments."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from subcritic import seeding
from subcritic.envs.errors import NotFinite
from subcritic.envs.vector import VectorEnvironment


class Transitions(NamedTuple):
    """One step of N environments: next state's observation (N, n_0), also where the episode ended there; reward, terminated,
    truncated (N,). An environment that was not stepped stays where it was, with reward 0.

    finished: index → undiscounted return of the episode that this step ended. failed: index → what was not finite in the
    environment's answer; it stays where it was, with reward 0, and must not be stepped again.
    """

    observation: NDArray[np.float32]
    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    finished: dict[int, float]
    failed: dict[int, str]


class EpisodeStreams:
    """Plays episodes one after the other in N environments; a reset's seed is drawn for (seed, purpose, episode number).

    `observation` (N, n_0): where the environments are; a step replaces the array, and changes nothing in it.

    Most environments cannot be pickled, so the saved state of an unfinished episode is its number and its actions so far;
    `load_state_dict` repeats them and checks that the last observation is the same.
    """

    def __init__(
        self, environments: Sequence[gym.Env], seeds: Sequence[int], purpose: str = "training"
    ) -> None:
        self.environments = VectorEnvironment(environments)
        self.seeds, self.purpose = list(seeds), f"{purpose} episode"
        count = len(self.seeds)
        self.episode = [-1] * count
        self.returns = np.zeros(count)
        # Of the running episodes.
        self.actions: list[list[NDArray[Any]]] = [[] for _ in range(count)]
        self.observation = np.stack([self._start_next(index) for index in range(count)])

    def step(self, actions: NDArray[Any], which: Sequence[int] | None = None) -> Transitions:
        """Play actions (N, n_L) in [-1, 1] in the environments `which`, in increasing order; None: in all.

        Where an episode ended, `self.observation` is the first one of the next.
        """
        count = len(self.seeds)
        chosen = list(range(count) if which is None else which)
        if len(chosen) == count:
            observation, reward, terminated, truncated, failed = self.environments.step(actions, chosen)
        else:
            observation, reward = self.observation.copy(), np.zeros(count)
            terminated, truncated = np.zeros(count, bool), np.zeros(count, bool)
            failed = {}
            if chosen:
                stepped = self.environments.step(actions[chosen], chosen)
                observation[chosen], reward[chosen] = stepped.observation, stepped.reward
                terminated[chosen], truncated[chosen] = stepped.terminated, stepped.truncated
                failed = {chosen[row]: what for row, what in stepped.failed.items()}
        for index in failed:
            observation[index], reward[index] = self.observation[index], 0.0
            terminated[index] = truncated[index] = False
        kept = actions.copy()
        for index in chosen:
            self.actions[index].append(kept[index])
        self.returns += reward
        self.observation, finished = observation, {}
        if (ended := terminated | truncated).any():
            self.observation = observation.copy()
            for index in np.flatnonzero(ended).tolist():
                finished[index] = float(self.returns[index])
                try:
                    self.observation[index] = self._start_next(index)
                except NotFinite as error:
                    failed[index] = error.what
        return Transitions(observation, reward, terminated, truncated, finished, failed)

    def _start_next(self, index: int) -> NDArray[np.float32]:
        self.episode[index] += 1
        return self._reset(index)

    def _reset(self, index: int) -> NDArray[np.float32]:
        rng = seeding.generator(self.seeds[index], self.purpose, self.episode[index])
        self.actions[index], self.returns[index] = [], 0.0
        return self.environments.reset(index, seed=int(rng.integers(2**31)))

    def close(self) -> None:
        self.environments.close()

    def state_dict(self) -> list[dict[str, Any]]:
        """Of every environment: the number of its episode, the actions in it so far, and where they led."""
        return [
            {"episode": episode, "actions": np.asarray(actions), "observation": observation.copy()}
            for episode, actions, observation in zip(
                self.episode, self.actions, self.observation, strict=True
            )
        ]

    def load_state_dict(self, states: Sequence[dict[str, Any]], which: Sequence[int] | None = None) -> None:
        """Go on in the environments `which`; None: in all.

        Where an environment does not repeat itself from seed and actions, the next episode begins, with a warning.
        """
        self.observation = self.observation.copy()
        for index in range(len(self.seeds)) if which is None else which:
            self.episode[index] = states[index]["episode"]
            self.observation[index] = self._reset(index)
            for action in states[index]["actions"]:
                found = self.environments.step(action[None], [index])
                self.actions[index].append(action)
                self.returns[index] += found.reward[0]
                self.observation[index] = found.observation[0]
            if not np.array_equal(self.observation[index], states[index]["observation"]):
                self.observation[index] = self._start_next(index)
                warnings.warn(
                    f"{self.environments.name} does not repeat an episode from its seed and actions: seed "
                    f"{self.seeds[index]} goes on with a new episode, not as it would have without the stop",
                    stacklevel=2,
                )
