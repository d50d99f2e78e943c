"""Learning without unrolling (drafts, section 6.1): Experiment 2's rule in networks that feed back into themselves."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd

from subcritic import envs
from subcritic.agents import DDPG, LocalLearner
from subcritic.agents.recurrent import RecurrentLearner
from subcritic.measuring.comparison import compare
from subcritic.measuring.random_policy import random_returns
from subcritic.measuring.tables import paths, write_csv
from subcritic.studies.recurrent import STUDY
from subcritic.studies.recurrent.settings import Config, JobConfig
from subcritic.study import Job
from subcritic.training import Trainer
from subcritic.training.recurrent import RecurrentTrainer


def run(job: Job, results: Path) -> list[Path]:
    """Train four learners with equally many neurons on every task of the config, and play at random.

    `recurrent` and `leaky` learn by the local rule without unrolling, `feedforward` by the same rule without memory;
    `ddpg`, feed-forward with backpropagation, shows that the task can be learned. curves, scores: as of `compare`.
    random: environment, seed, score (of the uniform random policy, over as many episodes as a score).
    """
    config = job.config
    assert isinstance(config, JobConfig)
    to = paths(job, STUDY, results)
    curves, scores, _ = compare(job, contenders(config.trainings[0]), results)
    played = pd.concat([_random(training) for training in config.trainings])
    return [
        write_csv(to["curves"], curves),
        write_csv(to["scores"], scores),
        write_csv(to["random"], played),
    ]


def contenders(settings: Config) -> dict:
    """Name → what makes its trainer, see `compare`."""
    return {
        "recurrent": partial(_recurrent, settings, 1.0),
        "leaky": partial(_recurrent, settings, settings.leak),
        "feedforward": partial(_feedforward, LocalLearner, settings.agent),
        "ddpg": partial(_feedforward, DDPG, settings.control),
    }


def _recurrent(settings: Config, leak: float, make, observation, action, seeds, steps, factor) -> Trainer:
    agent = RecurrentLearner(settings.agent, observation, action, seeds, leak=leak)
    return RecurrentTrainer(agent, make, seeds, steps, factor)


def _feedforward(kind, settings, make, observation, action, seeds, steps, factor) -> Trainer:
    return Trainer(kind(settings, observation, action, seeds), make, seeds, steps, factor)


def _random(config: Config) -> pd.DataFrame:
    task, episodes = config.environment, config.training.final_episodes
    make_environment = envs.maker(task)
    scores = [random_returns(make_environment, episodes, seed).mean() for seed in config.seeds]
    return pd.DataFrame({"environment": task.name, "seed": config.seeds, "score": scores})
