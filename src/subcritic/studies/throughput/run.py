"""Result 3 of the paper: updates per second of the local rule, of DDPG and of Stable-Baselines3's DDPG.

All learners take turns in one process on one thread, so that what slows the machine slows them alike; compare them
within a round. An update is what training does between two environment steps: draw a minibatch, learn from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
import torch
from gymnasium.spaces import Box
from stable_baselines3 import DDPG as PeerDDPG
from stable_baselines3.common.logger import Logger
from torch.nn import ReLU

from subcritic.config import DDPGSettings, LocalSettings, parse_method
from subcritic.measuring.progress import say
from subcritic.measuring.tables import paths, write_csv
from subcritic.measuring.timing import (
    ACTION,
    ACTIVATION,
    OBSERVATION,
    REPLAY_ROWS,
    Updates,
    agent_settings,
    one_quiet_thread,
    ours,
    take_turns,
)
from subcritic.nn import devices
from subcritic.studies.throughput import STUDY, on_gpu, training
from subcritic.studies.throughput.operations import (
    BareProducts,
    autograd_ddpg_products,
    counted,
    ddpg_products,
    linear_products,
    multiply_adds,
)
from subcritic.studies.throughput.settings import Config, Throughput
from subcritic.study import Job

# A network of its own for every neuron is slow: measured up to so many hidden neurons.
MOST_NETWORKS = 160

GPU = torch.device("cuda")

# Settings in which each rule differs from its defaults.
Rules = Sequence[dict[str, Any]]


def run(job: Job, results: Path) -> list[Path]:
    """Measure every learner at every size, then whole training; writes the declared records."""
    config = job.config
    assert isinstance(config, Config)
    to, (rounds, counts) = paths(job, STUDY, results), measure(config.sizes, config.rules)
    whole = training.measure(config.sizes)
    return [
        write_csv(to["rounds"], rounds),
        write_csv(to["operations"], counts),
        write_csv(to["training"], whole),
        write_csv(to["gpu"], on_gpu.measure(config.sizes, GPU) if devices.available() else on_gpu.nothing()),
    ]


def measure(settings: Throughput, rules: Rules) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every learner at every size: learner, hidden ('256-256'), batch, round, updates_per_second; and multiply_adds."""
    rows, counts = [], []
    for hidden in settings.hidden:
        for batch in settings.batches:
            cell = {"hidden": "-".join(map(str, hidden)), "batch": batch}
            say(f"throughput: hidden {cell['hidden']}, batch {batch}: {settings.rounds} rounds")
            counts += [
                {"learner": learner, **cell, "multiply_adds": count}
                for learner, count in operations(hidden, batch, rules).items()
            ]
            with one_quiet_thread():
                rows += [row | cell for row in take_turns(learners(hidden, batch, rules), settings)]
    columns = ["learner", "hidden", "batch", "round", "updates_per_second"]
    return pd.DataFrame(rows)[columns], pd.DataFrame(counts)


def rule_settings(hidden: tuple[int, ...], batch: int, rules: Rules) -> dict[str, LocalSettings]:
    """The local rules besides the linear one, at one size; `mlp` only where it has few networks."""
    given = [
        parse_method({"hidden": hidden, "batch_size": batch, "activation": ACTIVATION, **changes})
        for changes in rules
    ]
    few = sum(hidden) <= MOST_NETWORKS
    return {method.name: method for method in given if few or method.algorithm != "mlp"}


def operations(hidden: tuple[int, ...], batch: int, rules: Rules) -> dict[str, int]:
    """Multiply-adds in the matrix products of one update, by learner; of `rules`, as torch counts them."""
    ddpg, linear = agent_settings(hidden, batch)
    local = rule_settings(hidden, batch, rules)
    return {name: counted(ours(settings)) for name, settings in local.items()} | {
        "ddpg": multiply_adds(ddpg_products(ddpg, OBSERVATION, ACTION)),
        "linear": multiply_adds(linear_products(linear, OBSERVATION, ACTION)),
        "stable-baselines3": multiply_adds(autograd_ddpg_products(ddpg, OBSERVATION, ACTION)),
        "ddpg-limit": multiply_adds(ddpg_products(ddpg, OBSERVATION, ACTION)),
        "linear-limit": multiply_adds(linear_products(linear, OBSERVATION, ACTION)),
    }


def learners(hidden: tuple[int, ...], batch: int, rules: Rules) -> dict[str, Updates]:
    """Name → a function that makes n updates."""
    ddpg, linear = agent_settings(hidden, batch)
    return {
        "ddpg": ours(ddpg),
        "linear": ours(linear),
        **{name: ours(settings) for name, settings in rule_settings(hidden, batch, rules).items()},
        "stable-baselines3": stable_baselines3(peer(ddpg)),
        "ddpg-limit": bare(BareProducts(ddpg_products(ddpg, OBSERVATION, ACTION))),
        "linear-limit": bare(BareProducts(linear_products(linear, OBSERVATION, ACTION))),
    }


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


class _Spaces(gym.Env):
    """An environment for its spaces only."""

    observation_space = Box(-np.inf, np.inf, (OBSERVATION,), np.float32)
    action_space = Box(-1.0, 1.0, (ACTION,), np.float32)
