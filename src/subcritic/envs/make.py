"""Making an environment: flat float32 observations, actions in [-1, 1], clear errors."""

from __future__ import annotations

import contextlib
import difflib
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol

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


class ConfigEntry(Protocol):
    """An environment entry of a config (`subcritic.config.Environment`)."""

    @property
    def id(self) -> str: ...

    @property
    def kwargs(self) -> dict[str, Any]: ...

    @property
    def max_episode_steps(self) -> int | None: ...


def make(
    environment_id: str, kwargs: Mapping[str, Any] | None = None, max_episode_steps: int | None = None
) -> gym.Env:
    """The environment with flat float32 observations and actions in [-1, 1].

    `kwargs` and `max_episode_steps`, the time limit in steps of the environment, go to gymnasium.make; without a limit
    the registered one holds. 8-bit observations (images, RAM) are divided by 255. Atari games (ALE/…) are played with
    continuous actions from the 128 bytes of RAM unless `kwargs` say otherwise. `pixels: true` among the kwargs shows a
    task of the suite through its camera (`Pixels`). Raises UnusableEnvironment for an unknown id, a missing dependency,
    and spaces that are not (finite, for actions) Boxes.
    """
    kwargs = dict(kwargs or {})
    pixels = kwargs.pop("pixels", False)
    if max_episode_steps is not None:
        kwargs["max_episode_steps"] = max_episode_steps
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
        environment = _scaled(environment, observations.shape)
    if len(observations.shape) != 1:
        environment = FlattenObservation(environment)
    return environment


def maker(environment: ConfigEntry | Mapping[str, Any]) -> Callable[[], gym.Env]:
    """A function that makes the environment of a config entry, or of the entry as data; it can be pickled."""
    if isinstance(environment, Mapping):
        return partial(make, environment["id"], environment["kwargs"], environment.get("max_episode_steps"))
    return partial(make, environment.id, environment.kwargs, environment.max_episode_steps)


def sizes(environment: gym.Env) -> tuple[int, int]:
    """(observation size, action size) of an environment that `make` made."""
    observations, actions = environment.observation_space.shape, environment.action_space.shape
    assert observations is not None and actions is not None
    return observations[0], actions[0]


@contextlib.contextmanager
def explained(environment_id: str, kwargs: Mapping[str, Any]) -> Iterator[None]:
    """Turn what Gymnasium raises for an id that it cannot find or make into UnusableEnvironment."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (gym.error.DependencyNotInstalled, ImportError) as error:
        raise UnusableEnvironment(
            f"{environment_id!r} needs a package that is not installed: {error}"
        ) from None
    except gym.error.Error as error:
        raise UnusableEnvironment(
            f"unknown environment {environment_id!r}: {error}{_close_names(environment_id)}"
        ) from None
    except UnusableEnvironment:
        raise
    except Exception as error:
        raise UnusableEnvironment(
            f"{environment_id!r} cannot be made with kwargs {kwargs}: {error}"
        ) from error


def register_atari(environment_id: str) -> None:
    """Register Atari's games with Gymnasium. Raises UnusableEnvironment, naming the id, when they are not installed."""
    try:
        import ale_py
    except ImportError:
        message = "install the extra 'atari' (pip install 'subcritic[atari]')"
        raise UnusableEnvironment(f"{environment_id!r} needs ale-py: {message}") from None
    gym.register_envs(ale_py)


def _make(environment_id: str, kwargs: dict[str, Any]) -> gym.Env:
    if environment_id.startswith("ALE/"):
        register_atari(environment_id)
        kwargs = ATARI | kwargs
    with explained(environment_id, kwargs):
        return gym.make(environment_id, disable_env_checker=True, **kwargs)


def _close_names(environment_id: str) -> str:
    """A hint for a name that is not registered: what it may have been meant to be."""
    if environment_id in suite.LISTED:
        return f"; the paper's {environment_id} is {suite.LISTED[environment_id].id!r}"
    namespace, _, name = environment_id.rpartition(":")[2].rpartition("/")
    known = {entry.name: entry.id for entry in gym.registry.values() if (entry.namespace or "") == namespace}
    close = [known[match] for match in difflib.get_close_matches(name.partition("-v")[0], known, n=4)]
    if not close and namespace == "subcritic":
        close = list(known.values())
    return f"; there is {', '.join(close)}" if close else ""


def _seen(environment: gym.Env, environment_id: str) -> gym.Env:
    try:
        return Pixels(environment)
    except (TypeError, NoPicture) as error:
        raise UnusableEnvironment(f"{environment_id!r} cannot be observed as pixels: {error}") from None


def _scaled(environment: gym.Env, shape: tuple[int, ...]) -> gym.Env:
    space = Box(0.0, 1.0, shape, np.float32)
    return TransformObservation(environment, lambda image: image.astype(np.float32) / 255, space)


def _kind(space: gym.Space) -> str:
    return "discrete" if "Discrete" in type(space).__name__ else type(space).__name__
