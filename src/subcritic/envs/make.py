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

from subcritic.envs import suite, view
from subcritic.envs.adapter import Adapter, boxes
from subcritic.envs.errors import UnusableEnvironment, blamed
from subcritic.envs.held import Held
from subcritic.envs.pixels import RGB, Pixels
from subcritic.envs.process import kept_as_it_was

# RAM is the default view of an Atari game: the smallest vector that it gives.
ATARI = {"continuous": True, "obs_type": "ram"}
# Seen as pixels, each step of a game is one frame of the console, so that the frames of an action follow each other.
ATARI_PIXELS = {"frameskip": 1}
# What a module that an id names comes with.
EXTRAS = {"shimmy": "control", "dm_control": "control"}
# Time limit in steps where none is registered or stated, so that no evaluation goes on for ever: ten times Gymnasium's usual
# limit, and only seconds of simulation.
LONGEST = 10_000


class FallbackLimit(TimeLimit):
    """The time limit of an environment for which none is registered or stated."""

    @property
    def reached(self) -> bool:
        """Whether the episode has come to it."""
        return self._elapsed_steps is not None and self._elapsed_steps >= self._max_episode_steps


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
    games (ALE/…) are played with continuous actions from the 128 bytes of RAM unless `kwargs` say otherwise. Two kwargs are
    read here (`view`): `pixels` shows pictures instead of what the environment observes (`Pixels`), and `repeat` holds every
    action for that many steps (`Held`). What else is made of what the environment hands out: see `Adapter`.

    Raises UnusableEnvironment for an unknown id, a missing dependency, what the environment raises, pixels of an environment
    without pictures, and spaces that are not made of Boxes, finite and of floats for actions.
    """
    # An environment may change what it is given.
    kwargs = copy.deepcopy(dict(kwargs or {}))
    try:
        seen = view.take(kwargs)
    except ValueError as error:
        raise UnusableEnvironment(f"{environment_id!r}: {error}") from None
    if max_episode_steps is not None:
        kwargs["max_episode_steps"] = max_episode_steps
    environment = _make(environment_id, kwargs, pictures=seen.size is not None)
    if seen.size is not None:
        environment = Pixels(_limited(environment), environment_id, seen.size, seen.repeat)
    elif seen.repeat > 1:
        environment = Held(_limited(environment), seen.repeat)
    with blamed(environment_id, "making"):
        spaces: list[Any] = [
            getattr(environment, f"{name}_space", None) for name in ("observation", "action")
        ]
    if unusable := _unusable(*spaces):
        raise UnusableEnvironment(f"{environment_id!r} {unusable}")
    return Adapter(_limited(environment), environment_id, *spaces)


def fallback_limit(environment: gym.Env) -> FallbackLimit | None:
    """The time limit of LONGEST steps of an environment that `make` made; None where another is registered or stated."""
    return next((each for each in _wrappers(environment) if isinstance(each, FallbackLimit)), None)


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


def picture(environment: gym.Env) -> tuple[int, int, int] | None:
    """(height, width, channels) of what an environment that `make` made observes; None where that is no picture."""
    return environment.picture if isinstance(environment, Adapter) else None


@contextlib.contextmanager
def explained(environment_id: str) -> Iterator[None]:
    """Turn what is raised for an id that cannot be found or made into UnusableEnvironment; see also `kept_as_it_was`."""
    with blamed(environment_id, "making"), kept_as_it_was(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (gym.error.DependencyNotInstalled, ModuleNotFoundError) as error:
            extra = EXTRAS.get(getattr(error, "name", None) or "")
            install = f"; install the extra '{extra}' (pip install -e '.[{extra}]')" if extra else ""
            raise UnusableEnvironment(
                f"{environment_id!r} needs what is not installed: {error}{install}"
            ) from error
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
        message = "install the extra 'atari' (pip install -e '.[atari]')"
        raise UnusableEnvironment(f"{environment_id!r} needs ale-py: {message}") from None
    gym.register_envs(ale_py)


def _make(environment_id: str, kwargs: dict[str, Any], pictures: bool) -> gym.Env:
    """pictures: whether it is to draw; tasks of the suite are drawn by `Pixels` itself."""
    if environment_id.startswith("ALE/"):
        register_atari(environment_id)
        kwargs = ATARI | (ATARI_PIXELS if pictures else {}) | kwargs
    if pictures and not suite.entry(environment_id):
        kwargs = {"render_mode": RGB} | kwargs
    with explained(environment_id):
        return gym.make(environment_id, disable_env_checker=True, **kwargs)


def _limited(environment: gym.Env) -> gym.Env:
    """With the time limit of LONGEST steps, if it has none."""
    if any(isinstance(wrapper, TimeLimit) for wrapper in _wrappers(environment)):
        return environment
    return FallbackLimit(environment, LONGEST)


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
