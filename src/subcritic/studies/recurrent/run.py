"""Learning without unrolling (drafts, section 6.1): Experiment 2's rule in networks that feed back into themselves."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd

from subcritic import envs
from subcritic.agents import DDPG, LocalLearner
from subcritic.agents.recurrent import RecurrentLearner
from subcritic.config import Environment, Profile, Recurrent, dump
from subcritic.measuring.comparison import compare
from subcritic.measuring.tables import write_csv
from subcritic.studies.anchors.run import random_returns
from subcritic.training import Trainer
from subcritic.training.recurrent import RecurrentTrainer

STAGE = "recurrent"


def run(profile: Profile, results: Path) -> list[Path]:
    """Train four learners with equally many neurons on every task of `profile.recurrent`, and play at random.

    `recurrent` and `leaky` learn by the local rule without unrolling, `feedforward` by the same rule without memory;
    `ddpg`, feed-forward with backpropagation, shows that the task can be learned. Writes curves.csv and scores.csv (as of
    `compare`) and random.csv: environment, seed, score (of the uniform random policy, over as many episodes as a score).
    """
    settings, folder = profile.recurrent, results / profile.profile / STAGE
    config = {"agent": dump(settings.agent), "control": dump(settings.control), "leak": settings.leak}
    paths, _ = compare(
        profile, STAGE, settings.environments, contenders(settings), settings.training, config, results
    )
    played = pd.concat([_random(profile, environment) for environment in settings.environments])
    return [*paths, write_csv(folder / "random.csv", played)]


def contenders(settings: Recurrent) -> dict:
    """Name → what makes its trainer, see `compare`."""
    return {
        "recurrent": partial(_recurrent, settings, 1.0),
        "leaky": partial(_recurrent, settings, settings.leak),
        "feedforward": partial(_feedforward, LocalLearner, settings.agent),
        "ddpg": partial(_feedforward, DDPG, settings.control),
    }


def _recurrent(settings: Recurrent, leak: float, make, observation, action, seeds, steps, factor) -> Trainer:
    agent = RecurrentLearner(settings.agent, observation, action, seeds, leak=leak)
    return RecurrentTrainer(agent, make, seeds, steps, factor)


def _feedforward(kind, settings, make, observation, action, seeds, steps, factor) -> Trainer:
    return Trainer(kind(settings, observation, action, seeds), make, seeds, steps, factor)


def _random(profile: Profile, environment: Environment) -> pd.DataFrame:
    make_environment = partial(envs.make, environment.id, environment.kwargs)
    episodes, seeds = profile.recurrent.training.final_episodes, profile.seed_list()
    scores = [random_returns(make_environment, episodes, seed).mean() for seed in seeds]
    return pd.DataFrame({"environment": environment.name, "seed": seeds, "score": scores})
