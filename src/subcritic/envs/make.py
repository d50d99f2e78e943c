"""Making an environment: flat float32 observations, actions in [-1, 1], clear errors."""

from __future__ import annotations

import difflib
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from gymnasium.wrappers import FlattenObservation, RescaleAction, TransformObservation

from subcritic.envs import suite
from subcritic.envs.display import NoPicture
from subcritic.envs.pixels import Pixels

# Networks here read vectors, so RAM is the default view of an Atari game.
ATARI = {"continuous": True, "obs_type": "ram"}


class UnusableEnvironment(ValueError):
    """An environment that cannot be used here; the message says which, why, and what would be right."""


def make(environment_id: str, kwargs: dict[str, Any] | None = None) -> gym.Env:
    """The environment with flat float32 observations and actions in [-1, 1].

    8-bit observations (images, RAM) are divided by 255. Atari games (ALE/…) are played with continuous actions from the
    128 bytes of RAM unless `kwargs` say otherwise. `pixels: true` among the kwargs shows a task of the suite through its
    camera (`Pixels`). Raises UnusableEnvironment for an unknown id, a missing dependency, and spaces that are not
    (finite, for actions) Boxes.
    """
    kwargs = dict(kwargs or {})
    pixels = kwargs.pop("pixels", False)
    environment = _make(environment_id, kwargs)
    if pixels:
        environment = _seen(environment, environment_id)
    actions, observations = environment.action_space, environment.observation_space
    if not isinstance(actions, Box):
        raise UnusableEnvironment(
            f"{environment_id!r} has {_kind(actions)} actions; continuous (Box) actions are needed"
        )
    if not np.isfinite([actions.low, actions.high]).all():
        raise UnusableEnvironment(f"{environment_id!r} has actions without bounds; a finite Box is needed")
    if not isinstance(observations, Box):
        raise UnusableEnvironment(
            f"{environment_id!r} has {_kind(observations)} observations; a Box is needed"
        )
    if actions.shape == () or len(actions.shape) > 1:
        raise UnusableEnvironment(
            f"{environment_id!r} has actions of shape {actions.shape}; a vector is needed"
        )
    environment = RescaleAction(environment, np.float32(-1), np.float32(1))
    if observations.dtype == np.uint8:
        environment = _scaled(environment)
    if len(observations.shape) != 1:
        environment = FlattenObservation(environment)
    return environment


def sizes(environment: gym.Env) -> tuple[int, int]:
    """(observation size, action size)."""
    return environment.observation_space.shape[0], environment.action_space.shape[0]


def check(environment_id: str, kwargs: dict[str, Any] | None = None) -> None:
    """Raise UnusableEnvironment unless the environment can be used."""
    make(environment_id, kwargs).close()


def _make(environment_id: str, kwargs: dict[str, Any]) -> gym.Env:
    if environment_id.startswith("ALE/"):
        _register_atari(environment_id)
        kwargs = ATARI | kwargs
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return gym.make(environment_id, disable_env_checker=True, **kwargs)
    except (gym.error.DependencyNotInstalled, ImportError) as error:
        raise UnusableEnvironment(
            f"{environment_id!r} needs a package that is not installed: {error}"
        ) from None
    except gym.error.Error as error:
        raise UnusableEnvironment(
            f"unknown environment {environment_id!r}: {error}{_close_names(environment_id)}"
        ) from None
    except (TypeError, AssertionError) as error:
        raise UnusableEnvironment(
            f"{environment_id!r} cannot be made with kwargs {kwargs}: {error}"
        ) from None


def _close_names(environment_id: str) -> str:
    """A hint for a name that is not registered: what it may have been meant to be."""
    if environment_id in suite.LISTED:
        return f"; the paper's {environment_id} is {suite.LISTED[environment_id].id!r}"
    namespace, _, name = environment_id.rpartition("/")
    known = {entry.name: entry.id for entry in gym.registry.values() if (entry.namespace or "") == namespace}
    close = [known[match] for match in difflib.get_close_matches(name.partition("-v")[0], known, n=4)]
    if not close and namespace == "subcritic":
        close = list(known.values())
    return f"; there is {', '.join(close)}" if close else ""


def _seen(environment: gym.Env, environment_id: str) -> gym.Env:
    try:
        return Pixels(environment)
    except (TypeError, NoPicture) as error:
        raise UnusableEnvironment(f"{environment_id!r} cannot be seen as pixels: {error}") from None


def _register_atari(environment_id: str) -> None:
    try:
        import ale_py
    except ImportError:
        message = "install the extra 'atari' (pip install 'subcritic[atari]')"
        raise UnusableEnvironment(f"{environment_id!r} needs ale-py: {message}") from None
    gym.register_envs(ale_py)


def _scaled(environment: gym.Env) -> gym.Env:
    shape = environment.observation_space.shape
    space = Box(0.0, 1.0, shape, np.float32)
    return TransformObservation(environment, lambda image: image.astype(np.float32) / 255, space)


def _kind(space: gym.Space) -> str:
    return "discrete" if "Discrete" in type(space).__name__ else type(space).__name__
