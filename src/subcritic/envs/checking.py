"""Whether an environment can be used: it is made, reset, and played for one step."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import TimeLimit

from subcritic.envs.make import UnusableEnvironment, make

# Random steps in which an environment without a time limit must end an episode: ten times Gymnasium's usual limit of 1000
# steps, and only seconds of simulation, so that one without any end is found before the first training starts.
PATIENCE = 10_000


def check(
    environment_id: str, kwargs: Mapping[str, Any] | None = None, max_episode_steps: int | None = None
) -> None:
    """Raise UnusableEnvironment unless the environment can be made, reset and played, and its episodes end.

    Episodes end if there is a time limit. Without one, random actions must end an episode within PATIENCE steps.
    """
    environment = make(environment_id, kwargs, max_episode_steps)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _play(environment, environment_id)
    finally:
        environment.close()


def _play(environment: gym.Env, environment_id: str) -> None:
    environment.action_space.seed(0)
    with _blamed(environment_id, "reset"):
        observation, _ = environment.reset(seed=0)
        _require_observation(observation, environment)
    limited = _has_time_limit(environment)
    for _ in range(1 if limited else PATIENCE):
        with _blamed(environment_id, "step"):
            observation, reward, terminated, truncated, _ = environment.step(
                environment.action_space.sample()
            )
            _require_observation(observation, environment)
            float(reward)
        if limited or terminated or truncated:
            return
    raise UnusableEnvironment(
        f"{environment_id!r} has no time limit, and {PATIENCE} random actions did not end an episode: an evaluation of it "
        "might never end; give its entry a limit, for example `max_episode_steps: 1000`"
    )


@contextlib.contextmanager
def _blamed(environment_id: str, method: str) -> Iterator[None]:
    """Whatever an environment's own code raises, as UnusableEnvironment."""
    try:
        yield
    except Exception as error:
        raise UnusableEnvironment(
            f"{environment_id!r}: its {method} failed: {type(error).__name__}: {error}"
        ) from error


def _require_observation(observation: Any, environment: gym.Env) -> None:
    shape = environment.observation_space.shape
    if np.shape(observation) != shape:
        raise ValueError(f"it gave an observation of shape {np.shape(observation)}; its space says {shape}")
    if not np.isfinite(observation).all():
        raise ValueError(f"it gave an observation that is not finite: {observation}")


def _has_time_limit(environment: gym.Env) -> bool:
    """Whether any of the wrappers is a TimeLimit."""
    while isinstance(environment, gym.Wrapper):
        if isinstance(environment, TimeLimit):
            return True
        environment = environment.env
    return False
