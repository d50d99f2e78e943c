"""Learning in threads without a lock, and in processes: is it as good as without, how fast is it, and what must be sent?

The drafts call the rule "decentralized, local, and asynchronous". `synchronous` is Experiment 2's learner; in
`asynchronous` the same neurons are dealt to threads that learn while the agent acts, from a replay they share.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd

from subcritic.agents import LocalLearner
from subcritic.agents.asynchronous import AsynchronousLearner
from subcritic.measuring.comparison import MakeTrainer, Trainers, compare
from subcritic.measuring.tables import paths, write_csv
from subcritic.studies.asynchronous import STUDY
from subcritic.studies.asynchronous.counting import count
from subcritic.studies.asynchronous.settings import Config, JobConfig
from subcritic.studies.asynchronous.speed import measure
from subcritic.study import Job
from subcritic.training import Trainer
from subcritic.training.asynchronous import AsynchronousTrainer


def run(job: Job, results: Path) -> list[Path]:
    """Measure the speed, count what crosses between processes, then train both ways.

    rounds: updates per second, as in the study throughput. messages: see `count`. curves, scores: as of `compare`. lag:
    environment, method, updates, mean, largest: how many updates the slowest thread was behind when acting went on.
    """
    config = job.config
    assert isinstance(config, JobConfig)
    to = paths(job, STUDY, results)
    speeds = write_csv(to["rounds"], measure(config.speed, config.trainings[0].threads))
    messages = write_csv(to["messages"], count(config.distributed))
    curves, scores, trainers = compare(job, contenders(config), results)
    return [
        speeds,
        messages,
        write_csv(to["curves"], curves),
        write_csv(to["scores"], scores),
        write_csv(to["lag"], _lags(trainers)),
    ]


def contenders(config: JobConfig) -> dict[str, MakeTrainer]:
    """What makes the trainers of each method."""
    found: dict[str, MakeTrainer] = {}
    for settings in config.trainings:
        found[f"{settings.agent.name}-synchronous"] = partial(_synchronous, settings)
        found[f"{settings.agent.name}-asynchronous"] = partial(_asynchronous, settings)
    return found


def _synchronous(settings: Config, make, observation, action, seeds, steps, factor) -> Trainer:
    return Trainer(LocalLearner(settings.agent, observation, action, seeds), make, seeds, steps, factor)


def _asynchronous(settings: Config, make, observation, action, seeds, steps, factor) -> Trainer:
    agent = AsynchronousLearner(settings.agent, observation, action, seeds, groups=settings.threads)
    return AsynchronousTrainer(agent, make, seeds, steps, factor, lag=settings.lag)


def _lags(trainers: Trainers) -> pd.DataFrame:
    rows = []
    for (environment, method), trainer in trainers.items():
        if isinstance(trainer, AsynchronousTrainer):
            total, largest, grants = trainer.behind
            rows.append([environment, method, grants, total / max(grants, 1), largest])
    return pd.DataFrame(rows, columns=["environment", "method", "updates", "mean", "largest"])
