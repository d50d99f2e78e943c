"""An environment as learners see it, whatever its own code hands out."""

from __future__ import annotations

from numbers import Real
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from subcritic.envs.errors import NotFinite, UnusableEnvironment, failed
from subcritic.envs.process import kept_as_it_was

# Kinds of NumPy's dtypes that convert to float32: booleans, integers, floats.
NUMBERS = "biuf"
LARGEST = float(np.finfo(np.float32).max)


class Adapter(gym.Wrapper):
    """Flat float32 observations, actions (n_L,) in [-1, 1], rewards that are floats, ends that are booleans.

    Gymnasium's own wrappers trust what an environment declares, and fail later and elsewhere. Here what converts without
    loss to what the spaces declare is converted, be it a list, another dtype, or an array with more axes of length 1, and
    copied, since an environment may use its arrays again. Actions are scaled to the bounds, clipped to them in the dtype
    of the space, and shaped as it says. 8-bit observations are divided by 255. After making and resetting, this process is
    `kept_as_it_was`.

    Raises NotFinite for observations and rewards that are not finite float32, and UnusableEnvironment for everything else
    that cannot be used: other shapes or kinds, an answer of another interface, and whatever the environment raises;
    ValueError for an action that is not finite.
    """

    def __init__(self, env: gym.Env, environment_id: str) -> None:
        super().__init__(env)
        self.id = environment_id
        actions, observations = env.action_space, env.observation_space
        assert isinstance(actions, Box) and isinstance(observations, Box)
        self.declared = observations
        self.eight_bit = observations.dtype == np.uint8
        size, number = int(np.prod(observations.shape)), int(np.prod(actions.shape))
        low, high = (_flat(bound) for bound in (observations.low, observations.high))
        if self.eight_bit:
            low, high = low / 255, high / 255
        self.observation_space = Box(low, high, (size,), np.float32)
        self.action_space = Box(-1.0, 1.0, (number,), np.float32)
        self.low, self.high = actions.low.ravel(), actions.high.ravel()
        self.played_shape, self.played_dtype = actions.shape, actions.dtype
        wide, computed = self.low.astype(np.float64), max(actions.dtype, np.dtype(np.float32))
        self.middle = ((wide + self.high) / 2).astype(computed)
        self.half = ((self.high - wide) / 2).astype(computed)

    def scaled(self, action: NDArray) -> NDArray:
        """Actions (…, n_L) in [-1, 1] between the environment's bounds, in the dtype of its space; a new array."""
        played = (self.middle + self.half * action).astype(self.played_dtype)
        return np.minimum(np.maximum(played, self.low), self.high)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray, dict]:
        try:
            with kept_as_it_was():
                answer = self.env.reset(seed=seed, options=options)
        except UnusableEnvironment:
            raise
        except (Exception, SystemExit) as error:
            raise failed(self.id, "resetting", error) from error
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise self._unusable(
                f"gave {_told(answer)} when reset; reset must return the observation and a dict"
            )
        return self._observation(answer[0]), _information(answer[1])

    def step(self, action: NDArray) -> tuple[NDArray, float, bool, bool, dict]:
        if not np.isfinite(action).all():
            raise ValueError(f"{self.id}: action {action} is not finite")
        try:
            played = self.scaled(action).reshape(self.played_shape)
            # The time limit, which `make` makes sure of, has looked for five parts.
            observation, reward, terminated, truncated, information = self.env.step(played)
        except UnusableEnvironment:
            raise
        except (Exception, SystemExit) as error:
            raise failed(self.id, "stepping", error) from error
        return (
            self._observation(observation),
            self._reward(reward),
            self._flag("terminated", terminated),
            self._flag("truncated", truncated),
            _information(information),
        )

    def close(self) -> None:
        try:
            with kept_as_it_was():
                super().close()
        except (Exception, SystemExit) as error:
            raise failed(self.id, "closing", error) from error

    def _observation(self, given: Any) -> NDArray:
        values = self._numbers("an observation", given)
        shape = self.declared.shape
        if values.shape != shape and _without_ones(values.shape) != _without_ones(shape):
            raise self._unusable(
                f"gave an observation of shape {values.shape}; its observation_space declares {shape}"
            )
        with np.errstate(over="ignore"):
            flat = np.array(values, np.float32).reshape(-1)
        if not np.isfinite(flat).all():
            (index, *_) = np.flatnonzero(~np.isfinite(flat))
            raise NotFinite(
                self.id, f"gave an observation with {_told_number(values.flat[index])} at index {index}"
            )
        if self.eight_bit:
            flat /= 255
        return flat

    def _reward(self, given: Any) -> float:
        if not isinstance(given, float):
            values = self._numbers("a reward", given)
            if values.size != 1:
                raise self._unusable(f"gave {_told(given)} as a reward; a single number is needed")
            given = float(values.reshape(()))
        if not abs(given) <= LARGEST:
            raise NotFinite(self.id, f"gave the reward {_told_number(given)}")
        return float(given)

    def _flag(self, name: str, given: Any) -> bool:
        if type(given) is bool:
            return given
        values = np.asarray(given)
        if values.size != 1 or values.dtype.kind not in "biu":
            raise self._unusable(f"gave {_told(given)} as {name}; True or False is needed")
        return bool(values.reshape(()))

    def _numbers(self, what: str, given: Any) -> NDArray:
        """An array of numbers, without a copy where it is one."""
        try:
            values = np.asarray(given)
            if values.dtype.kind == "O" and all(isinstance(value, Real) for value in values.flat):
                values = values.astype(np.float64)
        except Exception:
            values = np.empty((), "O")
        if values.dtype.kind not in NUMBERS:
            declared = f"; its observation_space declares {self.declared.dtype} {self.declared.shape}"
            raise self._unusable(
                f"gave {_told(given)} as {what}{declared if what != 'a reward' else '; a number is needed'}"
            )
        return values

    def _unusable(self, what: str) -> UnusableEnvironment:
        return UnusableEnvironment(f"{self.id!r} {what}")


def _flat(bound: NDArray) -> NDArray:
    with np.errstate(over="ignore"):
        return bound.astype(np.float32).reshape(-1)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(length for length in shape if length != 1)


def _information(given: Any) -> dict:
    """What an environment says besides is not read here."""
    return given if isinstance(given, dict) else {}


def _told_number(given: float) -> str:
    return f"{given}{' (beyond float32)' if np.isfinite(given) else ''}"


def _told(given: Any) -> str:
    """A value in an error message: its type, and what it is, in one short line."""
    said = " ".join(repr(given).split())
    return f"{type(given).__name__} {said if len(said) <= 60 else said[:57] + '…'}"
