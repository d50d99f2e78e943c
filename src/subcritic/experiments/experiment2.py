"""Experiment 2: every neuron its own actor-critic, beside DDPG in the same loop (drafts, Experiment 2)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd

from subcritic import envs
from subcritic.agents import LocalLearner, make_agent
from subcritic.config import Profile, dump
from subcritic.experiments.observers import Evaluation, LearningMetrics, PolicyGradientProbe
from subcritic.experiments.session import Session
from subcritic.experiments.tables import read_curves, write_csv
from subcritic.training import Trainer


def run(profile: Profile, environment_name: str, method_name: str, results: Path) -> list[Path]:
    """Train one method on one environment, all seeds; returns the files written.

    `<method>.csv` holds the curves in long form, `<method>.scores.csv` one row per seed: its score (mean noise-free return
    of the last evaluation), steps, and the step it diverged at, if it did.
    """
    environment, method = profile.environment(environment_name), profile.method(method_name)
    envs.check(environment.id, environment.kwargs)
    seeds, steps = profile.seed_list(), profile.steps_for(environment)
    config = {
        "environment": environment.task(),
        "agent": dump(method),
        "training": dump(profile.training) | {"steps": steps},
    }
    make_environment = partial(envs.make, environment.id, environment.kwargs)
    session = Session(
        results,
        profile.profile,
        "experiment2",
        environment.name,
        method.name,
        seeds,
        config,
        profile.training.checkpoint_seconds,
    )

    def setup(log):
        first = make_environment()
        observation_size, action_size = envs.sizes(first)
        first.close()
        agent = make_agent(method, observation_size, action_size, seeds)
        observers = [
            Evaluation(log, profile.training, make_environment, seeds),
            LearningMetrics(log, profile.training),
        ]
        if isinstance(agent, LocalLearner) and method.probe:
            observers.append(PolicyGradientProbe(log, profile.training, agent, action_size, seeds))
        trainer = Trainer(agent, make_environment, seeds, steps, profile.training.divergence_factor)
        return trainer, observers

    trainer, observers = session.run(setup)
    folder = results / profile.profile / "experiment2" / environment.name
    scores = pd.DataFrame(
        {
            "environment": environment.name,
            "method": method.name,
            "seed": seeds,
            "score": observers[0].scores,
            "steps": steps,
            "diverged_at": pd.array(trainer.watch.diverged_at, dtype="Int64"),
        }
    )
    return [
        write_csv(folder / f"{method.name}.csv", read_curves(session.identities, results)),
        write_csv(folder / f"{method.name}.scores.csv", scores),
    ]
