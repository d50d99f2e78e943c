"""Timing learners: updates per second, in turns, in one process on one thread."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch

from subcritic import seeding
from subcritic.agents import make_agent
from subcritic.config import AgentSettings, DDPGSettings, LocalSettings
from subcritic.replay import Replay

# The sizes of HalfCheetah and Walker2d, the usual ones for such comparisons.
OBSERVATION, ACTION = 17, 6
REPLAY_ROWS = 10_000
# The actors' hidden neurons; Stable-Baselines3's DDPG has one activation for actor and critic, ReLU.
ACTIVATION = "relu"

Updates = Callable[[int], None]


class Turns(Protocol):
    """How often learners take turns, and how long a turn is in seconds."""

    @property
    def rounds(self) -> int: ...

    @property
    def seconds(self) -> float: ...


def agent_settings(hidden: tuple[int, ...], batch: int) -> tuple[DDPGSettings, LocalSettings]:
    """DDPG and the linear rule with equal actors, otherwise the preset `modern` and the rule's defaults."""
    size: dict[str, Any] = {"hidden": hidden, "batch_size": batch, "activation": ACTIVATION}
    return DDPGSettings(algorithm="ddpg", preset="modern", **size), LocalSettings(algorithm="linear", **size)


def ours(settings: AgentSettings) -> Updates:
    """Updates of one of our agents, one seed, from a full replay of random transitions."""
    agent = make_agent(settings, OBSERVATION, ACTION, seeds=[0])
    replay = Replay(1, REPLAY_ROWS, agent.columns)
    fill(replay)
    minibatches = seeding.Draws(seeding.generators([0], "minibatch"), settings.batch_size)

    @torch.no_grad()
    def updates(n: int) -> None:
        for _ in range(n):
            agent.learn(replay.sample(settings.batch_size, minibatches))

    return updates


def fill(replay: Replay) -> None:
    """Random transitions, none of them terminal, in every row."""
    replay.rows.uniform_(-1, 1)
    replay.unpack(replay.rows)["terminated"].zero_()
    replay.added = replay.capacity


@contextmanager
def one_quiet_thread() -> Iterator[None]:
    """One thread, no garbage collection, denormal numbers taken as zero, as in training; undone at the end."""
    threads, collecting = torch.get_num_threads(), gc.isenabled()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)
        if collecting:
            gc.enable()


def take_turns(contenders: dict[str, Updates], settings: Turns) -> list[dict]:
    """Every learner once per round, in an order drawn anew each round: rows learner, round, updates_per_second."""
    sizes = {name: _updates_within(settings.seconds, updates) for name, updates in contenders.items()}
    rng, rows = np.random.default_rng(0), []
    for round_number in range(1, settings.rounds + 1):
        for name in rng.permutation(list(contenders)):
            seconds = _seconds(contenders[name], sizes[name])
            rows.append({"learner": name, "round": round_number, "updates_per_second": sizes[name] / seconds})
    return rows


def _updates_within(seconds: float, updates: Updates) -> int:
    """How many updates take about `seconds`; finding out is the warm-up, but for the first, which may compile or load."""
    updates(1)
    n = 1
    while (taken := _seconds(updates, n)) < seconds / 2:
        n *= 2
    return max(1, math.ceil(n * seconds / taken))


def _seconds(updates: Updates, n: int) -> float:
    start = time.perf_counter()
    updates(n)
    return time.perf_counter() - start
