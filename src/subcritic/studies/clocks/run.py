"""Leaky integrators in continuous time (drafts, section 6.1): neurons that update and learn at times of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from subcritic.agents.graph import GraphLearner
from subcritic.measuring.comparison import compare
from subcritic.measuring.tables import paths, write_csv
from subcritic.studies.clocks import STUDY
from subcritic.studies.clocks.settings import Config
from subcritic.study import Job
from subcritic.training.recurrent import trainer_of


def run(job: Job, results: Path) -> list[Path]:
    """Train one method on one environment. curves, scores: as of `compare`; reach: see `reach`."""
    config = job.config
    assert isinstance(config, Config)
    to = paths(job, STUDY, results)
    curves, scores, trainers = compare(job, {job.method: trainer_of(config.agent)}, results)
    (trainer,) = trainers.values()
    assert isinstance(trainer.agent, GraphLearner)
    return [
        write_csv(to["curves"], curves),
        write_csv(to["scores"], scores),
        write_csv(to["reach"], reach(job, trainer.agent)),
    ]


def reach(job: Job, agent: GraphLearner) -> pd.DataFrame:
    """environment, method, layer, share: of a layer's neurons, the share that can change the action of the same step."""
    rows = [
        [job.environment, job.method, number, np.mean([agent.clocks.steps_to_action(n) == 0 for n in layer])]
        for number, layer in enumerate(agent.layers, start=1)
    ]
    return pd.DataFrame(rows, columns=STUDY.records["reach"].columns)
