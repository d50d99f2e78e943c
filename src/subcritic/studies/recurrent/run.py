"""Learning without unrolling (drafts, section 6.1): recurrent networks on tasks that take memory."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from subcritic import envs
from subcritic.measuring.comparison import compare
from subcritic.measuring.random_policy import random_returns
from subcritic.measuring.tables import paths, write_csv
from subcritic.studies.recurrent import STUDY
from subcritic.studies.recurrent.settings import Config
from subcritic.study import Job
from subcritic.training.recurrent import trainer_of


def run(job: Job, results: Path) -> list[Path]:
    """Train one method on one task, or play at random. curves, scores: as of `compare`."""
    config = job.config
    assert isinstance(config, Config)
    to = paths(job, STUDY, results)
    if config.agent is None:
        curves, scores = pd.DataFrame(columns=STUDY.records["curves"].columns), played_at_random(job, config)
    else:
        curves, scores, _ = compare(job, {job.method: trainer_of(config.agent)}, results)
    return [write_csv(to["curves"], curves), write_csv(to["scores"], scores)]


def played_at_random(job: Job, config: Config) -> pd.DataFrame:
    """Scores of the uniform random policy, over as many episodes as a score of a training, for every seed."""
    make, episodes = envs.maker(config.environment), config.training.final_episodes
    rows = [
        [job.environment, job.method, seed, float(random_returns(make, episodes, seed).mean()), 0, None, None]
        for seed in config.seeds
    ]
    return pd.DataFrame(rows, columns=STUDY.records["scores"].columns)
