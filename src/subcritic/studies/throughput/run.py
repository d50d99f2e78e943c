"""Result 3 of the paper: updates per second of the local rule, of DDPG and of Stable-Baselines3's DDPG.

All learners take turns in one process on one thread, so that what slows the machine slows them alike; compare them
within a round. An update is what training does between two environment steps: draw a minibatch, learn from it.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gymnasium as gym
import numpy as np
import pandas as pd
import torch
from gymnasium.spaces import Box
from stable_baselines3 import DDPG as PeerDDPG
from stable_baselines3.common.logger import Logger
from torch.nn import ReLU

from subcritic import seeding
from subcritic.agents import make_agent
from subcritic.config import AgentSettings, DDPGSettings, LocalSettings, Throughput, parse_method
from subcritic.replay import Replay
from subcritic.studies.throughput.operations import (
    BareProducts,
    autograd_ddpg_products,
    counted,
    ddpg_products,
    linear_products,
    multiply_adds,
)

# The sizes of HalfCheetah and Walker2d, the usual ones for such comparisons.
OBSERVATION, ACTION = 17, 6
REPLAY_ROWS = 10_000

# The local rules besides the linear one, by the settings in which they differ from its defaults.
RULES = {
    "bilinear": {"algorithm": "bilinear"},
    "compatible": {"algorithm": "compatible"},
    "mlp": {"algorithm": "mlp"},
    "node-perturbation": {"algorithm": "node_perturbation", "optimiser": "adam"},
    "node-perturbation-4": {"algorithm": "node_perturbation", "optimiser": "adam", "draws": 4},
    "feedback-alignment": {"algorithm": "feedback_alignment", "optimiser": "adam"},
    "learned-feedback": {"algorithm": "learned_feedback", "optimiser": "adam"},
    "random-direction": {"algorithm": "random_direction", "optimiser": "adam"},
}
# A network of its own for every neuron is slow: measured up to so many hidden neurons.
MOST_NETWORKS = 160

Updates = Callable[[int], None]


def measure(
    settings: Throughput, folder: Path, progress: Callable[[str], None] = lambda line: None
) -> pd.DataFrame:
    """Measure every learner at every size; write throughput.csv and operations.csv into `folder`.

    Returns throughput.csv's rows: learner, hidden ('256-256'), batch, round, updates_per_second.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows, counts = [], []
    for hidden in settings.hidden:
        for batch in settings.batches:
            cell = {"hidden": "-".join(map(str, hidden)), "batch": batch}
            progress(f"throughput: hidden {cell['hidden']}, batch {batch}: {settings.rounds} rounds")
            counts += [
                {"learner": learner, **cell, "multiply_adds": count}
                for learner, count in operations(hidden, batch).items()
            ]
            with one_quiet_thread():
                rows += [row | cell for row in take_turns(learners(hidden, batch), settings)]
    columns = ["learner", "hidden", "batch", "round", "updates_per_second"]
    measured = pd.DataFrame(rows)[columns]
    measured.to_csv(folder / "throughput.csv", index=False)
    pd.DataFrame(counts).to_csv(folder / "operations.csv", index=False)
    return measured


def agent_settings(hidden: tuple[int, ...], batch: int) -> tuple[DDPGSettings, LocalSettings]:
    """DDPG and the linear rule at one size, everything else as in the `modern` preset and the rule's defaults."""
    ddpg = DDPGSettings(algorithm="ddpg", preset="modern", hidden=hidden, batch_size=batch)
    return ddpg, LocalSettings(algorithm="linear", hidden=hidden, batch_size=batch)


def rule_settings(hidden: tuple[int, ...], batch: int) -> dict[str, LocalSettings]:
    """The local rules besides the linear one, at one size; `mlp` only where it has few networks."""
    return {
        name: parse_method({"hidden": hidden, "batch_size": batch, **changes})
        for name, changes in RULES.items()
        if name != "mlp" or sum(hidden) <= MOST_NETWORKS
    }


def operations(hidden: tuple[int, ...], batch: int) -> dict[str, int]:
    """Multiply-adds in the matrix products of one update, by learner; of the rules in RULES, as torch counts them."""
    ddpg, linear = agent_settings(hidden, batch)
    rules = {name: counted(ours(settings)) for name, settings in rule_settings(hidden, batch).items()}
    return rules | {
        "ddpg": multiply_adds(ddpg_products(ddpg, OBSERVATION, ACTION)),
        "linear": multiply_adds(linear_products(linear, OBSERVATION, ACTION)),
        "stable-baselines3": multiply_adds(autograd_ddpg_products(ddpg, OBSERVATION, ACTION)),
        "ddpg-limit": multiply_adds(ddpg_products(ddpg, OBSERVATION, ACTION)),
        "linear-limit": multiply_adds(linear_products(linear, OBSERVATION, ACTION)),
    }


def learners(hidden: tuple[int, ...], batch: int) -> dict[str, Updates]:
    """Name → a function that makes n updates."""
    ddpg, linear = agent_settings(hidden, batch)
    return {
        "ddpg": ours(ddpg),
        "linear": ours(linear),
        **{name: ours(settings) for name, settings in rule_settings(hidden, batch).items()},
        "stable-baselines3": stable_baselines3(peer(ddpg)),
        "ddpg-limit": bare(BareProducts(ddpg_products(ddpg, OBSERVATION, ACTION))),
        "linear-limit": bare(BareProducts(linear_products(linear, OBSERVATION, ACTION))),
    }


def ours(settings: AgentSettings) -> Updates:
    """Updates of one of our agents, one seed, from a full replay of random transitions."""
    agent = make_agent(settings, OBSERVATION, ACTION, seeds=[0])
    replay = Replay(1, REPLAY_ROWS, agent.columns)
    fill(replay)
    rngs = seeding.generators([0], "minibatch")

    @torch.no_grad()
    def updates(n: int) -> None:
        for _ in range(n):
            agent.learn(replay.sample(settings.batch_size, rngs))

    return updates


def fill(replay: Replay) -> None:
    """Random transitions, none of them terminal, in every row."""
    replay.rows.uniform_(-1, 1)
    replay.unpack(replay.rows)["terminated"].zero_()
    replay.added = replay.capacity


def stable_baselines3(model: PeerDDPG) -> Updates:
    """Updates of a `peer`: one call of `train` each, as its training loop makes with its defaults for DDPG."""

    def updates(n: int) -> None:
        for _ in range(n):
            model.train(gradient_steps=1, batch_size=model.batch_size)

    return updates


def peer(settings: DDPGSettings) -> PeerDDPG:
    """Stable-Baselines3's DDPG with the same networks, optimisers and minibatches, logging off, its replay full."""
    model = PeerDDPG(
        "MlpPolicy",
        _Spaces(),
        learning_rate=settings.critic_rate,
        buffer_size=REPLAY_ROWS,
        batch_size=settings.batch_size,
        tau=settings.polyak,
        gamma=settings.discount,
        policy_kwargs={"net_arch": list(settings.hidden), "activation_fn": ReLU},
        seed=0,
        device="cpu",
    )
    model.set_logger(Logger(folder=None, output_formats=[]))
    buffer, rng = model.replay_buffer, np.random.default_rng(0)
    for array in (buffer.observations, buffer.next_observations, buffer.actions, buffer.rewards):
        array[:] = rng.uniform(-1, 1, array.shape)
    buffer.full = True
    return model


def bare(products: BareProducts) -> Updates:
    """Updates that are nothing but their matrix products."""

    def updates(n: int) -> None:
        for _ in range(n):
            products.update()

    return updates


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


def take_turns(contenders: dict[str, Updates], settings: Throughput) -> list[dict]:
    """Every learner once per round, in an order drawn anew each round: rows learner, round, updates_per_second."""
    sizes = {name: _updates_within(settings.seconds, updates) for name, updates in contenders.items()}
    rng, rows = np.random.default_rng(0), []
    for round_number in range(1, settings.rounds + 1):
        for name in rng.permutation(list(contenders)):
            seconds = _seconds(contenders[name], sizes[name])
            rows.append({"learner": name, "round": round_number, "updates_per_second": sizes[name] / seconds})
    return rows


def _updates_within(seconds: float, updates: Updates) -> int:
    """How many updates take about `seconds`; finding out is the warm-up."""
    n = 1
    while (taken := _seconds(updates, n)) < seconds / 2:
        n *= 2
    return max(1, math.ceil(n * seconds / taken))


def _seconds(updates: Updates, n: int) -> float:
    start = time.perf_counter()
    updates(n)
    return time.perf_counter() - start


class _Spaces(gym.Env):
    """An environment for its spaces only."""

    observation_space = Box(-np.inf, np.inf, (OBSERVATION,), np.float32)
    action_space = Box(-1.0, 1.0, (ACTION,), np.float32)
