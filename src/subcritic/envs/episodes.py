"""The episodes of several seeds, side by side. They can be resumed without pickling the environments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from subcritic import seeding
from subcritic.envs.errors import NotFinite, UnusableEnvironment, warn
from subcritic.envs.make import sizes
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

    An observation or reward that is not finite raises UnusableEnvironment, unless `tolerant` leaves it to the caller:
    `failed_at_start` holds what was wrong with first observations (their rows are 0), `Transitions.failed` the rest.

    Most environments cannot be pickled, so the saved state of an unfinished episode is its number and its actions so far;
    `load_state_dict` repeats them and checks that the last observation and the return so far are the same.
    """

    def __init__(
        self,
        environments: Sequence[gym.Env],
        seeds: Sequence[int],
        purpose: str = "training",
        tolerant: bool = False,
    ) -> None:
        self.environments = VectorEnvironment(environments)
        self.seeds, self.purpose, self.tolerant = list(seeds), f"{purpose} episode", tolerant
        count = len(self.seeds)
        self.episode = [-1] * count
        self.returns = np.zeros(count)
        # Of the running episodes.
        self.actions: list[list[NDArray[Any]]] = [[] for _ in range(count)]
        self.observation = np.zeros((count, sizes(environments[0])[0]), np.float32)
        self.failed_at_start: dict[int, str] = {}
        for index in range(count):
            try:
                self.observation[index] = self._start_next(index)
            except NotFinite as error:
                self.failed_at_start[index] = error.what
        self._judge(self.failed_at_start)

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
        self._judge(failed)
        return Transitions(observation, reward, terminated, truncated, finished, failed)

    def _judge(self, failed: dict[int, str]) -> None:
        if failed and not self.tolerant:
            raise UnusableEnvironment(f"{self.environments.name!r} {next(iter(failed.values()))}")

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
            {
                "episode": self.episode[index],
                "actions": np.asarray(self.actions[index]),
                "observation": self.observation[index].copy(),
                "return": self.returns[index],
            }
            for index in range(len(self.seeds))
        ]

    def load_state_dict(self, states: Sequence[dict[str, Any]], which: Sequence[int] | None = None) -> None:
        """Go on in the environments `which`; None: in all.

        Where an environment does not repeat itself from seed and actions, the next episode begins, with a warning.
        """
        self.observation = self.observation.copy()
        for index in range(len(self.seeds)) if which is None else which:
            if not self._repeat(index, states[index]):
                self.observation[index] = self._start_next(index)
                warn(
                    f"{self.environments.name!r} does not repeat an episode from its seed and actions: seed "
                    f"{self.seeds[index]} goes on with a new episode, not as it would have without the stop"
                )

    def _repeat(self, index: int, state: dict[str, Any]) -> bool:
        """Play the episode of a saved state again, as far as it was; whether that leads to the same state."""
        self.episode[index] = state["episode"]
        try:
            self.observation[index] = self._reset(index)
        except NotFinite:
            return False
        for action in state["actions"]:
            found = self.environments.step(action[None], [index])
            if found.failed:
                return False
            self.actions[index].append(action)
            self.returns[index] += found.reward[0]
            self.observation[index] = found.observation[0]
        same = np.array_equal(self.observation[index], state["observation"])
        return same and self.returns[index] == state["return"]
