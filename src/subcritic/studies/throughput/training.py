"""Whole training: CPU time per environment step of one agent, with environment, acting, replay and update.

Learners take turns in one process on one thread, as in `run.py`. What is timed is CPU time, of steps after the warm-up, one
update for each. Evaluation, logging and checkpoints are left out on all sides.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
import torch
from stable_baselines3 import DDPG as PeerDDPG
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import NormalActionNoise
from torch.nn import ReLU

from subcritic import envs
from subcritic.agents import make_agent
from subcritic.config import AgentSettings, DDPGSettings, parse_method
from subcritic.measuring.progress import say
from subcritic.measuring.timing import ACTIVATION, one_quiet_thread
from subcritic.studies.throughput.settings import Throughput
from subcritic.training import Trainer

ENVIRONMENTS = ("Pendulum-v1", "subcritic/Cheetah-v0")
SEEDS = (1, 5)
HIDDEN, BATCH, NOISE = (64, 64), 64, 0.1
WARM_UP = 64
# Of the replay, and so of the training that is begun.
STEPS = 1_000_000
REPLAY = 100_000
RLTOOLS = "rltools"

COLUMNS = ["environment", "learner", "seeds", "round", "microseconds"]
# Takes so many environment steps per agent.
Steps = Callable[[int], None]


def measure(settings: Throughput) -> pd.DataFrame:
    """Rows of COLUMNS; microseconds of CPU time per step of one agent, that is, per step divided by the number of seeds."""
    rows = []
    for environment in ENVIRONMENTS:
        say(f"throughput: whole training on {environment}: {settings.training_rounds} rounds")
        with one_quiet_thread():
            contenders = dict(learners(environment))
            for steps in contenders.values():
                steps(WARM_UP + 20)
            rng = np.random.default_rng(0)
            for number in range(1, settings.training_rounds + 1):
                for key in rng.permutation(len(contenders)):
                    (learner, seeds), steps = list(contenders.items())[key]
                    taken = _cpu_seconds(steps, settings.training_steps) / (settings.training_steps * seeds)
                    rows.append([environment, learner, seeds, number, 1e6 * taken])
    return pd.DataFrame(rows, columns=COLUMNS)


def learners(environment: str) -> Iterator[tuple[tuple[str, int], Steps]]:
    """((learner, seeds), a function that trains on)."""
    for method in methods():
        for seeds in SEEDS:
            yield (method.name, seeds), ours(method, environment, seeds)
    yield ("stable-baselines3", 1), stable_baselines3(environment)
    if environment == "Pendulum-v1" and importlib.util.find_spec(RLTOOLS):
        yield (RLTOOLS, 1), rltools(environment)


def methods() -> list[AgentSettings]:
    """DDPG, the linear rule and learned feedback with equal actors."""
    size: dict[str, Any] = {
        "hidden": HIDDEN,
        "batch_size": BATCH,
        "activation": ACTIVATION,
        "learning_starts": WARM_UP,
        "replay_size": REPLAY,
        "noise_scale": NOISE,
    }
    chosen: list[dict[str, Any]] = [
        {"algorithm": "ddpg", "preset": "modern"},
        {"algorithm": "linear"},
        {"algorithm": "learned_feedback", "name": "learned-feedback", "optimiser": "adam"},
    ]
    return [parse_method(size | method) for method in chosen]


def ours(settings: AgentSettings, environment: str, seeds: int) -> Steps:
    """Training of one of our agents, as studies train it."""
    agent = make_agent(settings, *sizes(environment), list(range(seeds)))
    trainer = Trainer(
        agent, partial(envs.make, environment), list(range(seeds)), steps=STEPS, divergence_factor=1e6
    )

    @torch.no_grad()
    def steps(n: int) -> None:
        for _ in range(n):
            trainer.advance()

    return steps


def sizes(environment: str) -> tuple[int, int]:
    """Of observation and action."""
    made = envs.make(environment)
    made.close()
    observation, action = made.observation_space.shape, made.action_space.shape
    assert observation is not None and action is not None
    return observation[0], action[0]


def stable_baselines3(environment: str) -> Steps:
    """`learn` of Stable-Baselines3's DDPG with the same networks, rates, noise and minibatches; logging off."""
    settings, (_, width) = methods()[0], sizes(environment)
    assert isinstance(settings, DDPGSettings)
    model = PeerDDPG(
        "MlpPolicy",
        envs.make(environment),
        learning_rate=settings.critic_rate,
        buffer_size=REPLAY,
        learning_starts=WARM_UP,
        batch_size=BATCH,
        tau=settings.polyak,
        gamma=settings.discount,
        train_freq=1,
        gradient_steps=1,
        action_noise=NormalActionNoise(np.zeros(width), np.full(width, NOISE)),
        policy_kwargs={"net_arch": list(HIDDEN), "activation_fn": ReLU},
        seed=0,
        device="cpu",
    )
    model.set_logger(Logger(folder=None, output_formats=[]))

    def steps(n: int) -> None:
        # The logged intervals count episodes: none within what is timed.
        with torch.enable_grad():
            model.learn(n, log_interval=STEPS, reset_num_timesteps=False)

    return steps


def rltools(environment: str) -> Steps:
    """RLtools's TD3 in its own settings: 64-64, two critics, minibatches of 100, one update of the actor for two of these.

    It compiles itself at the first use, which takes a C++ compiler and about a minute.
    """
    from rltools import TD3

    loop = TD3(
        lambda: gym.make(environment), enable_evaluation=False, STEP_LIMIT=STEPS, REPLAY_BUFFER_CAP=REPLAY
    )
    state = loop.State(0)

    def steps(n: int) -> None:
        for _ in range(n):
            state.step()

    return steps


def _cpu_seconds(steps: Steps, n: int) -> float:
    start = time.process_time()
    steps(n)
    return time.process_time() - start
