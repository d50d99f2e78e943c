"""An environment as learners see it, whatever its own code hands out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Tuple
from numpy.typing import NDArray

from subcritic.envs.errors import NotFinite, UnusableEnvironment, blamed, failed, said
from subcritic.envs.process import kept_as_it_was

# Kinds of NumPy's dtypes that convert to float32: booleans, integers, floats.
NUMBERS = "biuf"
LARGEST = float(np.finfo(np.float32).max)
# Characters of a value in an error message.
SHORT = 60


class Adapter(gym.Wrapper):
    """Flat float32 observations, actions (n_L,) in [-1, 1], rewards that are floats, ends that are booleans.

    Gymnasium's own wrappers trust what an environment declares, and fail later and elsewhere. Here what converts without
    loss to what the spaces declare is converted, be it a list, another dtype, or an array with more axes of length 1, and
    copied, since an environment may use its arrays again. Parts of a Dict or Tuple are put together in the order of the
    space. Actions are scaled to the bounds, clipped to them in the dtype of the space, and shaped as it says. 8-bit
    observations are divided by 255. After making and resetting, this process is `kept_as_it_was`.

    Raises NotFinite for observations and rewards that are not finite float32, and UnusableEnvironment for everything else
    that cannot be used: other shapes or kinds, an answer of another interface, and whatever the environment raises.
    """

    def __init__(self, env: gym.Env, environment_id: str, observations: gym.Space, actions: Box) -> None:
        """observations, actions: the spaces that the environment declares, observations made of Boxes alone."""
        super().__init__(env)
        self.id, self.declared, self.parts = environment_id, observations, list(boxes(observations))
        low, high = (
            np.concatenate([_flat(getattr(part, end)) / _unit(part) for part in self.parts])
            for end in ("low", "high")
        )
        self.observation_space = Box(low, high, dtype=np.float32)
        self.action_space = Box(-1.0, 1.0, (int(np.prod(actions.shape)),), np.float32)
        self.low, self.high = actions.low.ravel(), actions.high.ravel()
        self.played_shape, self.played_dtype = actions.shape, actions.dtype
        # Halves are taken first, since a difference may be beyond the largest float.
        low, high = self.low.astype(np.float64) / 2, self.high.astype(np.float64) / 2
        computed = max(actions.dtype, np.dtype(np.float32))
        self.middle, self.half = (low + high).astype(computed), (high - low).astype(computed)
        # What needs no look at its parts: one vector of floats; actions in [-1, 1].
        self.plain = (
            isinstance(observations, Box) and observations.dtype.kind == "f" and len(self.parts[0].shape) == 1
        )
        self.unscaled = bool((self.middle == 0).all() and (self.half == 1).all())

    @property
    def picture(self) -> tuple[int, int, int] | None:
        """(height, width, channels), in which order a picture's pixels stand in an observation; None where it is no picture.

        A picture is what the environment declares as one Box of 8-bit numbers with three axes.
        """
        shape = self.declared.shape
        if not isinstance(self.declared, Box) or self.declared.dtype != np.uint8 or len(shape or ()) != 3:
            return None
        height, width, channels = self.declared.shape
        return height, width, channels

    def scaled(self, action: NDArray) -> NDArray:
        """Actions (…, n_L) in [-1, 1] between the environment's bounds, in the dtype of its space; a new array."""
        played = action if self.unscaled else self.middle + self.half * action
        played = np.minimum(np.maximum(played, self.low), self.high)
        return played if played.dtype == self.played_dtype else played.astype(self.played_dtype)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray, dict]:
        with blamed(self.id, "resetting"), kept_as_it_was():
            answer = self.env.reset(seed=seed, options=options)
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise self._unusable(
                f"gave {_told(answer)} when reset; reset must return the observation and a dict"
            )
        return self._observation(answer[0]), _information(answer[1])

    def step(self, action: NDArray) -> tuple[NDArray, float, bool, bool, dict]:
        played = self.scaled(action).reshape(self.played_shape)
        # As `blamed`, which takes longer.
        try:
            # The time limit, which `make` makes sure of, has looked for five parts.
            observation, reward, terminated, truncated, information = self.env.step(played)
        except (UnusableEnvironment, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise failed(self.id, "stepping", error) from error
        return (
            self._observation(observation),
            self._reward(reward),
            self._flag("terminated", terminated),
            self._flag("truncated", truncated),
            _information(information),
        )

    def close(self) -> None:
        with blamed(self.id, "closing"), kept_as_it_was():
            super().close()

    def _observation(self, given: Any) -> NDArray:
        # By far the most are as declared, and finite: NaN fails the comparison.
        is_vector = self.plain and type(given) is np.ndarray and given.dtype.char in "fd"
        if is_vector and given.shape == self.declared.shape and np.abs(given).max() <= LARGEST:
            return given.astype(np.float32)
        parts = [given] if isinstance(self.declared, Box) else list(self._taken_apart(self.declared, given))
        found = [self._part(part, box) for part, box in zip(parts, self.parts, strict=True)]
        seen = found[0] if len(found) == 1 else np.concatenate(found)
        if not np.isfinite(seen).all():
            (index, *_) = np.flatnonzero(~np.isfinite(seen))
            value = np.concatenate([self._numbers(part, "an observation", "").ravel() for part in parts])[
                index
            ]
            raise NotFinite(self.id, f"gave an observation with {_told_number(value)} at index {index}")
        return seen

    def _taken_apart(self, space: gym.Space, given: Any) -> Iterator[Any]:
        """The parts of an observation, in the order of `boxes`."""
        if isinstance(space, Box):
            yield given
        elif isinstance(space, Dict):
            if not isinstance(given, Mapping) or set(given) != set(space.keys()):
                keys = sorted(given) if isinstance(given, Mapping) else _told(given)
                raise self._unusable(
                    f"gave an observation with {keys}; its space declares {sorted(space.keys())}"
                )
            for key, part in space.items():
                yield from self._taken_apart(part, given[key])
        elif isinstance(space, Tuple):
            if not isinstance(given, Sequence) or len(given) != len(space):
                raise self._unusable(
                    f"gave {_told(given)} as an observation; its space declares {len(space)} parts"
                )
            for value, part in zip(given, space, strict=True):
                yield from self._taken_apart(part, value)

    def _part(self, given: Any, declared: Box) -> NDArray:
        """A part of an observation as a new float32 vector."""
        says = f"its observation_space declares {declared.dtype} {declared.shape}"
        values = self._numbers(given, "an observation", says)
        if values.shape != declared.shape and _without_ones(values.shape) != _without_ones(declared.shape):
            raise self._unusable(f"gave an observation of shape {values.shape}; {says}")
        if declared.dtype.kind != "f" and values.dtype != declared.dtype:
            with np.errstate(invalid="ignore"):
                lost = values != values.astype(declared.dtype)
            if (lost & np.isfinite(values)).any():
                raise self._unusable(
                    f"gave an observation of {values.dtype} with {values[lost].flat[0]}; {says}"
                )
        flat = _flat(values)
        if _unit(declared) != 1:
            flat /= _unit(declared)
        return flat

    def _reward(self, given: Any) -> float:
        if not isinstance(given, float):
            values = self._numbers(given, "a reward", "a number is needed")
            if values.size != 1:
                raise self._unusable(f"gave {_told(given)} as a reward; a single number is needed")
            given = float(values.reshape(()))
        if not abs(given) <= LARGEST:
            raise NotFinite(self.id, f"gave the reward {_told_number(given)}")
        return float(given)

    def _flag(self, name: str, given: Any) -> bool:
        if isinstance(given, bool | np.bool_):
            return bool(given)
        values = _array(given)
        if values is None or values.size != 1 or values.dtype.kind not in "biu":
            raise self._unusable(f"gave {_told(given)} as {name}; True or False is needed")
        return bool(values.reshape(()))

    def _numbers(self, given: Any, what: str, needed: str) -> NDArray:
        """An array of numbers, without a copy where it is one."""
        values = _array(given)
        if values is None or values.dtype.kind not in NUMBERS:
            raise self._unusable(f"gave {_told(given)} as {what}; {needed}")
        return values

    def _unusable(self, what: str) -> UnusableEnvironment:
        return UnusableEnvironment(f"{self.id!r} {what}")


def boxes(space: gym.Space) -> Iterator[Box]:
    """The Boxes that a space is made of, in its own order. Raises TypeError for a space that is no Box, Dict or Tuple."""
    if isinstance(space, Box):
        yield space
    elif isinstance(space, Dict | Tuple):
        for part in space.values() if isinstance(space, Dict) else space:
            yield from boxes(part)
    else:
        raise TypeError(type(space).__name__)


def _array(given: Any) -> NDArray | None:
    """What was given as an array; masked elements are NaN. None if that cannot be."""
    try:
        values = np.asarray(given.detach() if hasattr(given, "detach") else given)
        if isinstance(given, np.ma.MaskedArray):
            values = np.ma.filled(given.astype(np.float64), np.nan)
        if values.dtype.kind == "O" and all(isinstance(value, (Real, Decimal)) for value in values.flat):
            values = np.array([_float(value) for value in values.flat]).reshape(values.shape)
    except Exception:
        return None
    return values


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _flat(values: NDArray) -> NDArray:
    """A new float32 vector."""
    with np.errstate(over="ignore"):
        return np.array(values, np.float32).reshape(-1)


def _unit(box: Box) -> int:
    """What observations of a Box are divided by."""
    return 255 if box.dtype == np.uint8 else 1


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(length for length in shape if length != 1)


def _information(given: Any) -> dict:
    """What an environment says besides is not read here."""
    return given if isinstance(given, dict) else {}


def _told_number(given: Any) -> str:
    try:
        beyond = np.isfinite(float(given))
    except (OverflowError, TypeError, ValueError):
        beyond = False
    return f"{said(given, str, SHORT)}{' (beyond float32)' if beyond else ''}"


def _told(given: Any) -> str:
    """A value in an error message: its type, and what it is."""
    return f"{type(given).__name__} {said(given, repr, SHORT)}"
