"""Training several learners on several tasks side by side: what the stages beyond Experiment 2 have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from subcritic import envs
from subcritic.config import Environment, Profile, Training, dump
from subcritic.measuring.observers import Evaluation, LearningMetrics
from subcritic.measuring.session import Session
from subcritic.measuring.tables import read_curves, write_csv
from subcritic.training import Trainer

# (make_environment, observation size, action size, seeds, steps) → a trainer ready to run.
MakeTrainer = Callable[..., Trainer]


def compare(
    profile: Profile,
    stage: str,
    environments: Sequence[Environment],
    contenders: Mapping[str, MakeTrainer],
    training: Training,
    config: dict[str, Any],
    results: Path,
) -> tuple[list[Path], dict[tuple[str, str], Trainer]]:
    """Train every contender on every environment, all seeds of the profile.

    Writes `<stage>/curves.csv` (columns environment, method, seed, step, metric, value) and `<stage>/scores.csv`
    (environment, method, seed, score, steps, diverged_at); returns both paths, and the trainers after training by
    (environment, method). `config` is recorded with every run.
    """
    curves, scores, trainers = [], [], {}
    for environment in environments:
        for name, make_trainer in contenders.items():
            session = _session(profile, stage, environment, name, training, config, results)
            setup = partial(_setup, environment, make_trainer, training, profile.seed_list())
            trainer, observers = session.run(setup)
            trainers[environment.name, name] = trainer
            curves.append(read_curves(session.identities, results))
            scores.append(_scores(environment, name, trainer, observers[0].scores))
    folder = results / profile.profile / stage
    paths = [
        write_csv(folder / "curves.csv", pd.concat(curves, ignore_index=True)),
        write_csv(folder / "scores.csv", pd.concat(scores, ignore_index=True)),
    ]
    return paths, trainers


def _session(profile, stage, environment, name, training, config, results) -> Session:
    described = {
        "environment": environment.task(),
        "training": dump(training) | {"steps": environment.steps or training.steps},
        **config,
    }
    seeds, seconds = profile.seed_list(), training.checkpoint_seconds
    return Session(results, profile.profile, stage, environment.name, name, seeds, described, seconds)


def _setup(environment: Environment, make_trainer: MakeTrainer, training: Training, seeds: list[int], log):
    make_environment = partial(envs.make, environment.id, environment.kwargs)
    first = make_environment()
    sizes = envs.sizes(first)
    first.close()
    steps = environment.steps or training.steps
    trainer = make_trainer(make_environment, *sizes, seeds, steps, training.divergence_factor)
    return trainer, [Evaluation(log, training, make_environment, seeds), LearningMetrics(log, training)]


def _scores(environment: Environment, name: str, trainer: Trainer, scores: Sequence[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "environment": environment.name,
            "method": name,
            "seed": trainer.seeds,
            "score": np.asarray(scores, dtype=float),
            "steps": trainer.steps,
            "diverged_at": pd.array(trainer.watch.diverged_at, dtype="Int64"),
        }
    )
