"""Whether an environment can be used, and repeats itself: two of it are made and play the beginning of an episode."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from subcritic.envs.errors import UnusableEnvironment
from subcritic.envs.make import LONGEST, is_unlimited, make, sizes
from subcritic.envs.process import kept_as_it_was

# Steps of the episode that is played.
STEPS = 20
# Random steps in which an environment without a time limit must end an episode, so that one without any end is found before
# the first training starts.
PATIENCE = LONGEST


def check(
    environment_id: str, kwargs: Mapping[str, Any] | None = None, max_episode_steps: int | None = None
) -> str:
    """Raise UnusableEnvironment unless two of the environment can be made, reset and played, and its episodes end.

    Episodes end if there is a time limit. Without one, random actions must end an episode within PATIENCE steps. Returns
    what a user should know before training: that it does not repeat itself from a seed and actions; empty if all is well.
    """
    with contextlib.ExitStack() as opened, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = make(environment_id, kwargs, max_episode_steps)
        opened.callback(first.close)
        with _second(environment_id):
            second = make(environment_id, kwargs, max_episode_steps)
            opened.callback(second.close)
        if sizes(first) != sizes(second):
            raise UnusableEnvironment(
                f"{environment_id!r} has {sizes(first)} observations and actions when it is made once, {sizes(second)} the "
                "next time; networks need the same sizes"
            )
        with kept_as_it_was() as changed:
            # What came before an episode must not matter.
            _episode(second, seed=1)
            differs = _difference(_episode(first, seed=0), _episode(second, seed=0))
            if is_unlimited(first):
                _require_end(first, environment_id)
        if changed:
            raise UnusableEnvironment(
                f"{environment_id!r} changes the {' and the '.join(changed)} of this process when it is stepped"
            )
    return differs and (
        f"{environment_id!r} does not repeat itself: two episodes with one seed and the same actions differ in {differs}, "
        "so no result on it can be repeated; does reset hand its seed to super().reset, and come all random numbers from "
        "self.np_random?"
    )


def _episode(environment: gym.Env, seed: int) -> list[tuple]:
    """(observation, reward, terminated, truncated) of the steps of an episode of random actions, as far as STEPS."""
    rng, size = np.random.default_rng(seed), sizes(environment)[1]
    observation, _ = environment.reset(seed=seed)
    played: list[tuple] = [(observation, 0.0, False, False)]
    while len(played) <= STEPS and not (played[-1][2] or played[-1][3]):
        played.append(environment.step(rng.uniform(-1, 1, size).astype(np.float32))[:4])
    return played


def _difference(some: list[tuple], others: list[tuple]) -> str:
    """Where two episodes first differ, in words; empty where they do not."""
    names = ("the observation", "the reward", "terminated", "truncated")
    for step, (mine, other) in enumerate(zip(some, others, strict=False)):
        for name, left, right in zip(names, mine, other, strict=True):
            if not np.array_equal(left, right):
                return f"{name} of {f'step {step}' if step else 'the reset'}"
    return ""


def _require_end(environment: gym.Env, environment_id: str) -> None:
    rng, size = np.random.default_rng(0), sizes(environment)[1]
    environment.reset(seed=0)
    for step in range(1, PATIENCE + 1):
        _, _, terminated, truncated, _ = environment.step(rng.uniform(-1, 1, size).astype(np.float32))
        if (terminated or truncated) and step < LONGEST:
            return
    raise UnusableEnvironment(
        f"{environment_id!r} has no time limit, and {PATIENCE} random actions did not end an episode; give its entry a "
        "limit, for example `max_episode_steps: 1000`"
    )


@contextlib.contextmanager
def _second(environment_id: str) -> Iterator[None]:
    """Say of an environment that can be made once at a time that this is not enough."""
    try:
        yield
    except UnusableEnvironment as error:
        raise UnusableEnvironment(
            f"{error}; it was made once, but training and evaluation need several at a time, each with a port or file of "
            "its own"
        ) from error
