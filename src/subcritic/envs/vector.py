"""Several environments of one kind, side by side: stepped in one call where they can be, otherwise one by one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control import PendulumEnv
from gymnasium.wrappers import OrderEnforcing, TimeLimit
from numpy.typing import NDArray

from subcritic.envs.adapter import Adapter
from subcritic.envs.errors import NotFinite, UnusableEnvironment, warn
from subcritic.envs.pendulum import StackedPendulums
from subcritic.envs.stacked import Stacked, rows
from subcritic.envs.suite import StackedTasks, SuiteEnvironment


class Steps(NamedTuple):
    """One step of P environments: observation (P, n_0) float32, reward, terminated, truncated (P,).

    failed: row → what was not finite there; the row's observation and reward mean nothing.
    """

    observation: NDArray
    reward: NDArray
    terminated: NDArray
    truncated: NDArray
    failed: dict[int, str]


# Environments without their wrappers → what steps them in one call; None where their settings do not allow it.
STACKED: Mapping[type, Callable[[Sequence[Any]], Stacked | None]] = {
    PendulumEnv: StackedPendulums.of,
    SuiteEnvironment: StackedTasks.of,
}
NOT_FINITE = "gave an observation or a reward that is not finite"
# Wrappers that `make` adds and whose work is done here for all environments at once.
UNDERSTOOD = (Adapter, TimeLimit, OrderEnforcing)


class VectorEnvironment:
    """N environments that `make` made, each with its own episodes; what one goes through does not depend on the others.

    The tasks of the suite and Pendulum-v1 are stepped in one call, with the numbers of a single one, bit for bit.
    """

    def __init__(self, environments: Sequence[gym.Env]) -> None:
        self.environments = list(environments)
        self._stacked = _stacked(self.environments)
        # What the wrappers of stacked environments do: scale actions, count the steps of each episode.
        if self._stacked:
            outermost = self.environments[0]
            assert isinstance(outermost, Adapter)
            self._scaled, self._limit = outermost.scaled, _time_limit(outermost)
            self._elapsed = np.zeros(len(self.environments), int)

    @property
    def name(self) -> str:
        """The id of the config, or that Gymnasium knows it by, if it does."""
        first = self.environments[0]
        return first.id if isinstance(first, Adapter) else first.spec.id if first.spec else str(first)

    def reset(self, index: int, seed: int) -> NDArray:
        """Begin an episode of one environment; its first observation (n_0,). Raises NotFinite."""
        observation, _ = self.environments[index].reset(seed=seed)
        if self._stacked:
            self._stacked.begin(index)
            self._elapsed[index] = 0
        return np.array(observation, np.float32)

    def step(self, actions: NDArray, which: Sequence[int]) -> Steps:
        """An action (P, n_L) in [-1, 1] for each of the P environments of these indices, in increasing order."""
        if self._stacked is None:
            return self._one_by_one(actions, which)
        observation, reward, terminated = self._stacked.step(self._scaled(actions), which)
        chosen = rows(which, len(self.environments))
        self._elapsed[chosen] += 1
        failed = {}
        if not (np.isfinite(observation).all() and np.isfinite(reward).all()):
            finite = np.isfinite(observation).all(axis=1) & np.isfinite(reward)
            failed = dict.fromkeys(np.flatnonzero(~finite).tolist(), NOT_FINITE)
        return Steps(observation, reward, terminated, self._elapsed[chosen] >= self._limit, failed)

    def _one_by_one(self, actions: NDArray, which: Sequence[int]) -> Steps:
        shape = self.environments[0].observation_space.shape
        assert shape is not None
        count = len(which)
        found = Steps(
            np.empty((count, *shape), np.float32),
            np.empty(count),
            np.zeros(count, bool),
            np.zeros(count, bool),
            {},
        )
        for row, index in enumerate(which):
            try:
                observation, reward, terminated, truncated, _ = self.environments[index].step(actions[row])
            except NotFinite as error:
                found.failed[row] = error.what
                continue
            # Copied, since an environment may hand out the same array again.
            found.observation[row] = observation
            found.reward[row], found.terminated[row], found.truncated[row] = reward, terminated, truncated
        return found

    def close(self) -> None:
        """Close all environments; harmless to call again. One that cannot be closed is warned of: its work is done."""
        while self.environments:
            try:
                self.environments.pop().close()
            except UnusableEnvironment as error:
                warn(str(error))


def _stacked(environments: Sequence[gym.Env]) -> Stacked | None:
    """What steps them in one call; None where one is of another kind, or has a wrapper that may do more."""
    first = environments[0]
    make = STACKED.get(type(first.unwrapped))
    if make is None or any(_wrappers(each) != UNDERSTOOD for each in environments):
        return None
    if any(_made_as(each) != _made_as(first) or _is_patched(each.unwrapped) for each in environments):
        return None
    return make([each.unwrapped for each in environments])


def _is_patched(environment: Any) -> bool:
    """Whether methods of it were replaced, on it alone or on its class."""
    kind = type(environment)
    shadowed = any(callable(getattr(kind, name, None)) for name in vars(environment))
    return shadowed or any(
        value.__module__ != kind.__module__ for value in vars(kind).values() if inspect.isfunction(value)
    )


def _made_as(environment: gym.Env) -> tuple[Any, ...]:
    spec = environment.spec
    made = (spec.id, spec.kwargs, spec.max_episode_steps) if spec else ()
    return type(environment.unwrapped), *made


def _wrappers(environment: gym.Env) -> tuple[type, ...]:
    """The classes of its wrappers, from outside."""
    found = []
    while isinstance(environment, gym.Wrapper):
        found.append(type(environment))
        environment = environment.env
    return tuple(found)


def _time_limit(environment: gym.Env) -> float:
    spec = environment.spec
    return spec.max_episode_steps if spec and spec.max_episode_steps else float("inf")
