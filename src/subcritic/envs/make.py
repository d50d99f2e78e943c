"""Making an environment: flat float32 observations, actions in [-1, 1], clear errors."""

from __future__ import annotations

import contextlib
import copy
import difflib
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from gymnasium.wrappers import TimeLimit

from subcritic.envs import suite
from subcritic.envs.adapter import Adapter, boxes
from subcritic.envs.display import NoPicture
from subcritic.envs.errors import UnusableEnvironment, blamed
from subcritic.envs.pixels import Pixels
from subcritic.envs.process import kept_as_it_was

# Networks here read vectors, so RAM is the default view of an Atari game.
ATARI = {"continuous": True, "obs_type": "ram"}
# Time limit in steps where none is registered or stated, so that no evaluation goes on for ever: ten times Gymnasium's usual
# limit, and only seconds of simulation.
LONGEST = 10_000


class FallbackLimit(TimeLimit):
    """The time limit of an environment for which none is registered or stated."""


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
    the registered one holds, and LONGEST where there is none. 8-bit observations (images, RAM) are divided by 255. Atari
    games (ALE/…) are played with continuous actions from the 128 bytes of RAM unless `kwargs` say otherwise. `pixels: true`
    among the kwargs shows a task of the suite through its camera (`Pixels`). What else is made of what the environment
    hands out: see `Adapter`. Raises UnusableEnvironment for an unknown id, a missing dependency, what the environment
    raises, and spaces that are not made of Boxes, finite and of floats for actions.
    """
    # An environment may change what it is given.
    kwargs = copy.deepcopy(dict(kwargs or {}))
    pixels = kwargs.pop("pixels", False) if suite.entry(environment_id) else False
    if max_episode_steps is not None:
        kwargs["max_episode_steps"] = max_episode_steps
    environment = _make(environment_id, kwargs)
    if pixels:
        environment = _seen(environment, environment_id)
    with blamed(environment_id, "making"):
        spaces: list[Any] = [
            getattr(environment, f"{name}_space", None) for name in ("observation", "action")
        ]
    if unusable := _unusable(*spaces):
        raise UnusableEnvironment(f"{environment_id!r} {unusable}")
    if not any(isinstance(wrapper, TimeLimit) for wrapper in _wrappers(environment)):
        environment = FallbackLimit(environment, LONGEST)
    return Adapter(environment, environment_id, *spaces)


def is_unlimited(environment: gym.Env) -> bool:
    """Whether an environment that `make` made has no time limit but LONGEST."""
    return any(isinstance(wrapper, FallbackLimit) for wrapper in _wrappers(environment))


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
def explained(environment_id: str) -> Iterator[None]:
    """Turn what is raised for an id that cannot be found or made into UnusableEnvironment; see also `kept_as_it_was`."""
    with blamed(environment_id, "making"), kept_as_it_was(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (gym.error.DependencyNotInstalled, ModuleNotFoundError) as error:
            raise UnusableEnvironment(f"{environment_id!r} needs what is not installed: {error}") from error
        except gym.error.Error as error:
            if environment_id.rpartition(":")[2] in gym.registry:
                raise
            raise UnusableEnvironment(
                f"unknown environment {environment_id!r}: {error}{_close_names(environment_id)}"
            ) from None


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
    with explained(environment_id):
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


def _wrappers(environment: gym.Env) -> Iterator[gym.Wrapper]:
    while isinstance(environment, gym.Wrapper):
        yield environment
        environment = environment.env


def _seen(environment: gym.Env, environment_id: str) -> gym.Env:
    try:
        return Pixels(environment)
    except (TypeError, NoPicture) as error:
        raise UnusableEnvironment(f"{environment_id!r} cannot be observed as pixels: {error}") from None


def _unusable(observation: Any, action: Any) -> str:
    """What is wrong with the spaces that an environment declares; empty if nothing is."""
    for name, space in {"observation": observation, "action": action}.items():
        if space is None:
            return f"declares no {name}_space; a Box is needed"
        try:
            parts = list(boxes(space)) if name == "observation" else [space]
        except TypeError as error:
            kind = type(space).__name__
            return f"has {kind} observations{f' with {error} in them' if str(error) != kind else ''}; Boxes are needed"
        if not all(isinstance(part, Box) for part in parts):
            return f"has {type(space).__name__} actions; a Box, of continuous actions, is needed"
        if not parts or any(0 in part.shape for part in parts):
            return f"has empty {name}s, of shape {space.shape}"
        if not all((part.low <= part.high).all() for part in parts):
            return f"has an {name}_space whose low is not below its high"
    if action.dtype.kind != "f":
        return f"has actions of dtype {action.dtype}; a Box of floats is needed"
    if not np.isfinite([action.low, action.high]).all():
        return "has actions without bounds; a finite Box is needed"
    return ""
