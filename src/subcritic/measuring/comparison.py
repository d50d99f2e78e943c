"""Training several learners on several tasks side by side: what the studies beyond Experiment 2 have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from subcritic import envs
from subcritic.measuring.method import score_rows
from subcritic.measuring.observers import Evaluation, LearningMetrics
from subcritic.measuring.session import Session
from subcritic.measuring.tables import read_curves
from subcritic.study import Job, Run
from subcritic.training import Trainer

# (make_environment, observation size, action size, seeds, steps, divergence factor) → a trainer ready to run.
MakeTrainer = Callable[..., Trainer]
# (environment, method) → the trainer after training.
Trainers = dict[tuple[str, str], Trainer]


def compare(
    job: Job, contenders: Mapping[str, MakeTrainer], results: Path
) -> tuple[pd.DataFrame, pd.DataFrame, Trainers]:
    """Train every run of a job, all its seeds: what `contenders` makes for the run's method, on the run's environment.

    Returns the curves (columns environment, method, seed, step, metric, value), the scores (environment, method, seed,
    score, steps, diverged_at), and the trainers after training by (environment, method). A run's config must have an
    `environment` and a `training`.
    """
    curves, scores, trainers = [], [], {}
    for run in job.runs:
        session = Session(job, run, results)
        trainer, observers = session.run(partial(_setup, job, run, contenders[run.method]))
        trainers[run.environment, run.method] = trainer
        curves.append(read_curves(session.identities, results))
        scores.append(score_rows(run.environment, run.method, trainer, observers[0].scores))
    return pd.concat(curves, ignore_index=True), pd.concat(scores, ignore_index=True), trainers


def _setup(job: Job, run: Run, make_trainer: MakeTrainer, log) -> tuple[Trainer, list]:
    task, training, seeds = run.config.environment, run.config.training, list(job.seeds)
    make_environment = envs.maker(task)
    first = make_environment()
    sizes = envs.sizes(first)
    first.close()
    trainer = make_trainer(make_environment, *sizes, seeds, training.steps, training.divergence_factor)
    observers = [
        Evaluation(log, training, make_environment, seeds),
        LearningMetrics(log, job.runtime.log_every, trainer.agent.settings.update_every),
    ]
    return trainer, observers
