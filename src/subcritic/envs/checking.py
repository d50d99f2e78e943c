"""Whether an environment can be used, and repeats itself: two of it are made and play the beginning of an episode."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from subcritic.envs.errors import UnusableEnvironment
from subcritic.envs.make import LONGEST, FallbackLimit, fallback_limit, make, sizes
from subcritic.envs.process import kept_as_it_was

# Steps of an episode that are played.
STEPS = 100
# Random steps in which an environment without a time limit must end an episode, so that one without any end is found before
# the first training starts.
PATIENCE = LONGEST

# One episode: observation, reward, terminated, truncated of the reset and of every step.
Played = list[tuple[Any, ...]]


def check(
    environment_id: str, kwargs: Mapping[str, Any] | None = None, max_episode_steps: int | None = None
) -> str:
    """Raise UnusableEnvironment unless two of the environment can be made, reset and played, and its episodes end.

    Episodes end if there is a time limit; without one, random actions must end an episode within PATIENCE steps. Returns
    what a user should know before training: that it does not repeat itself from a seed and actions, or that two disturb each
    other when they are stepped in turns; empty if all is well.
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
            (alone,) = _episodes([first], [0])
            # What came before an episode must not matter, nor which of the two plays it.
            (again,), (other,) = _episodes([first], [0]), _episodes([second], [0])
            differs = _difference(alone, again) or _difference(alone, other)
            disturbed = _difference(alone, _episodes([first, second], [0, 1])[0])
            if limit := fallback_limit(first):
                _require_end(first, limit, environment_id)
        if changed:
            raise UnusableEnvironment(
                f"{environment_id!r} changes the {' and the '.join(changed)} of this process when it is stepped"
            )
    return _remark(environment_id, differs, disturbed)


def _remark(environment_id: str, differs: str, disturbed: str) -> str:
    """differs, disturbed: where an episode differs from itself when it is played again, and beside another one."""
    if differs:
        return (
            f"{environment_id!r} does not repeat itself: two episodes with one seed and the same actions differ in "
            f"{differs}, so no result on it can be repeated; does reset hand its seed to super().reset, and come all random "
            "numbers from self.np_random?"
        )
    if disturbed:
        return (
            f"instances of {environment_id!r} disturb each other: an episode differs in {disturbed} when another one is "
            "played in turns with it, as in training; so no seed's result can be repeated, and if all are one simulator, "
            "results mean nothing; each needs a simulator and random numbers of its own"
        )
    return ""


def _episodes(environments: Sequence[gym.Env], seeds: Sequence[int]) -> list[Played]:
    """The steps of an episode of random actions in each of the environments, as far as STEPS, taken in turns."""
    rngs = [np.random.default_rng(seed) for seed in seeds]
    played: list[Played] = [
        [(environment.reset(seed=seed)[0], 0.0, False, False)]
        for environment, seed in zip(environments, seeds, strict=True)
    ]
    for _ in range(STEPS):
        for environment, rng, steps in zip(environments, rngs, played, strict=True):
            if not (steps[-1][2] or steps[-1][3]):
                action = rng.uniform(-1, 1, sizes(environment)[1]).astype(np.float32)
                steps.append(environment.step(action)[:4])
    return played


def _difference(some: Played, others: Played) -> str:
    """Where two episodes first differ, in words; empty where they do not."""
    names = ("the observation", "the reward", "terminated", "truncated")
    for step, (mine, other) in enumerate(zip(some, others, strict=False)):
        for name, left, right in zip(names, mine, other, strict=True):
            if not np.array_equal(left, right):
                return f"{name} of {f'step {step}' if step else 'the reset'}"
    return ""


def _require_end(environment: gym.Env, limit: FallbackLimit, environment_id: str) -> None:
    rng, size = np.random.default_rng(0), sizes(environment)[1]
    environment.reset(seed=0)
    for _ in range(PATIENCE):
        _, _, terminated, truncated, _ = environment.step(rng.uniform(-1, 1, size).astype(np.float32))
        if limit.reached:
            break
        if terminated or truncated:
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
