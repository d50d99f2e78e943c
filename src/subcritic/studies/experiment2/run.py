"""Experiment 2: every neuron its own actor-critic, beside DDPG in the same loop (drafts, Experiment 2)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd

from subcritic import envs
from subcritic.agents import make_agent
from subcritic.config import Environment, Method, Profile, Training, dump
from subcritic.measuring.observers import Evaluation, LearningMetrics
from subcritic.measuring.probe import PolicyGradientProbe, probed
from subcritic.measuring.session import Session
from subcritic.measuring.tables import read_curves, write_csv
from subcritic.training import Trainer


def run(profile: Profile, environment_name: str, method_name: str, results: Path) -> list[Path]:
    """Train one method on one environment, all seeds; returns the files `train` writes."""
    environment = profile.environment(environment_name)
    training = profile.training.model_copy(update={"steps": profile.steps_for(environment)})
    return train(profile, "experiment2", environment, profile.method(method_name), training, results)


def train(
    profile: Profile,
    stage: str,
    environment: Environment,
    method: Method,
    training: Training,
    results: Path,
) -> list[Path]:
    """Train `method` on `environment` for `training.steps`, all seeds of the profile; returns the files written.

    `<stage>/<environment>/<method>.csv` holds the curves in long form, `<method>.scores.csv` one row per seed: its score
    (mean noise-free return of the last evaluation), steps, and the step it diverged at, if it did.
    """
    envs.check(environment.id, environment.kwargs)
    seeds = profile.seed_list()
    config = {"environment": environment.task(), "agent": dump(method), "training": dump(training)}
    make_environment = partial(envs.make, environment.id, environment.kwargs)
    session = Session(
        results,
        profile.profile,
        stage,
        environment.name,
        method.name,
        seeds,
        config,
        training.checkpoint_seconds,
    )

    def setup(log):
        first = make_environment()
        sizes = envs.sizes(first)
        first.close()
        agent = make_agent(method, *sizes, seeds)
        observers = [Evaluation(log, training, make_environment, seeds), LearningMetrics(log, training)]
        if probed(agent):
            observers.append(PolicyGradientProbe(log, training, agent, seeds))
        return Trainer(agent, make_environment, seeds, training.steps, training.divergence_factor), observers

    trainer, observers = session.run(setup)
    folder = results / profile.profile / stage / environment.name
    scores = pd.DataFrame(
        {
            "environment": environment.name,
            "method": method.name,
            "seed": seeds,
            "score": observers[0].scores,
            "steps": training.steps,
            "diverged_at": pd.array(trainer.watch.diverged_at, dtype="Int64"),
        }
    )
    return [
        write_csv(folder / f"{method.name}.csv", read_curves(session.identities, results)),
        write_csv(folder / f"{method.name}.scores.csv", scores),
    ]
