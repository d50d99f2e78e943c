"""Training one method on one environment, all seeds: what the studies that compare methods have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from subcritic import envs
from subcritic.agents import Agent, make_agent
from subcritic.config import AgentSettings, MethodTraining, Runtime, dump, parse_method
from subcritic.measuring import policies
from subcritic.measuring.observers import Evaluation, LearningMetrics, Log
from subcritic.measuring.probe import PolicyGradientProbe, probed
from subcritic.measuring.session import Session
from subcritic.measuring.tables import paths, read_curves, write_csv, write_json
from subcritic.study import Job, Study
from subcritic.training import Trainer

# (settings, observation size, action size, seeds) → an agent.
MakeAgent = Callable[[AgentSettings, int, int, Sequence[int]], Agent]


def train(job: Job, study: Study, results: Path) -> list[Path]:
    """Train the job's method on its environment, all its seeds; returns the files written, as the study declares them.

    curves: everything recorded, in long form. scores: one row per seed, its score (mean noise-free return of the last
    evaluation), steps, and the step it diverged at, if it did; and the critic whose predictions were furthest from the
    realised return in that evaluation, with the ratio of the two. method: what readers need to know of the method.
    policy: the trained actors.
    """
    config = job.config
    assert isinstance(config, MethodTraining)
    session = Session(job, job.runs[0], results)

    def setup(log: Log) -> tuple[Trainer, list]:
        trainer, observers = watched_training(config, job.runtime, log)
        if probed(trainer.agent):
            observers.append(PolicyGradientProbe(log, job.runtime, trainer.agent, job.seeds))
        return trainer, observers

    trainer, observers = session.run(setup)
    evaluation = observers[0]
    scores = score_rows(job.environment, job.method, trainer, evaluation.scores)
    scores.insert(2, "role", config.agent.role)
    scores["critic"], scores["reached"] = zip(*evaluation.furthest, strict=True)
    to = paths(job, study, results)
    return [
        write_csv(to["curves"], read_curves(session.identities, results)),
        write_csv(to["scores"], scores),
        write_json(to["method"], facts(config.agent, trainer)),
        policies.save(to["policy"], policies.of(trainer)),
    ]


def watched_training(
    config: MethodTraining, runtime: Runtime, log: Log, make: MakeAgent = make_agent
) -> tuple[Trainer, list]:
    """A trainer of the method, all its seeds, and what watches every training: evaluation first, then losses.

    make: what makes the agent of the method's settings.
    """
    task, training, seeds = config.environment, config.training, list(config.seeds)
    envs.check(task.id, task.kwargs, task.max_episode_steps)
    make_environment = envs.maker(task)
    first = make_environment()
    sizes = envs.sizes(first)
    first.close()
    agent = make(config.agent, *sizes, seeds)
    observers = [
        Evaluation(log, training, make_environment, seeds),
        LearningMetrics(log, runtime.log_every, agent.settings.update_every),
    ]
    return Trainer(agent, make_environment, seeds, training.steps, training.divergence_factor), observers


def score_rows(environment: str, method: str, trainer: Trainer, scores: list[float]) -> pd.DataFrame:
    """One row per seed: environment, method, seed, score, steps, diverged_at."""
    return pd.DataFrame(
        {
            "environment": environment,
            "method": method,
            "seed": trainer.seeds,
            "score": pd.array(scores, dtype=float),
            "steps": trainer.steps,
            "diverged_at": pd.array(trainer.watch.diverged_at, dtype="Int64"),
        }
    )


def facts(method: AgentSettings, trainer: Trainer) -> dict[str, Any]:
    """What tables say of a method: its role, the dimension of its action, what reaches its neurons, its settings, and its
    algorithm's defaults.
    """
    return {
        "role": method.role,
        "actions": trainer.agent.actor.sizes[-1],
        "receives": sorted(trainer.agent.receives),
        "settings": dump(method),
        "defaults": dump(parse_method({"algorithm": method.algorithm})),
    }
