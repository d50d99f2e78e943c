"""Training one method on one environment, all seeds: what the studies that compare methods have in common."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from subcritic import envs
from subcritic.agents import Agent, make_agent
from subcritic.config import AgentSettings, MethodTraining, Runtime, dump, parse_method
from subcritic.measuring import policies
from subcritic.measuring.kept import FACTS, POLICY, SCORE, identity_of, is_kept
from subcritic.measuring.observers import Evaluation, LearningMetrics, Log
from subcritic.measuring.probe import PolicyGradientProbe, probed
from subcritic.measuring.session import Session
from subcritic.measuring.tables import paths, read_curves, write_csv, write_json
from subcritic.nn.devices import CPU
from subcritic.study import Job, Study
from subcritic.training import Trainer
from subcritic.training.on_device import DeviceTrainer

# (settings, observation size, action size, seeds, shape of the picture or None; device, if not the CPU) → an agent.
MakeAgent = Callable[..., Agent]


def train(job: Job, study: Study, results: Path) -> list[Path]:
    """Train the job's method on its environment, all its seeds; returns the files written, as the study declares them.

    A seed is trained once: one whose finished record is of this config and this code is taken as it is. So more seeds cost
    what they add.

    curves: everything recorded, in long form. scores: one row per seed, its score (mean noise-free return of the last
    evaluation), steps, and the step it diverged at, if it did; and the critic whose predictions were furthest from the
    realised return in that evaluation, with the ratio of the two. method: what readers need to know of the method.
    policy: the trained actors.
    """
    config = job.config
    assert isinstance(config, MethodTraining)
    missing = tuple(seed for seed in job.seeds if not is_kept(job, seed, results))
    if missing:
        _train(job.of_seeds(missing), config.agent, results)
    return write_records(job, study, results)


def _train(job: Job, method: AgentSettings, results: Path) -> None:
    config = job.config
    assert isinstance(config, MethodTraining)

    def setup(log: Log) -> tuple[Trainer, list]:
        trainer, observers = watched_training(config, job.runtime, log)
        if probed(trainer.agent):
            observers.append(PolicyGradientProbe(log, job.runtime, trainer.agent, job.seeds))
        return trainer, observers

    def export(trainer: Trainer, observers: list) -> list[dict[str, bytes]]:
        rows = score_rows(job.environment, job.method, trainer, observers[0].scores)
        rows.insert(2, "role", method.role)
        rows["critic"], rows["reached"] = zip(*observers[0].furthest, strict=True)
        shared = json.dumps(facts(method, trainer)).encode()
        known = rows.astype(object).where(rows.notna(), None).to_dict("records")
        return [{SCORE: json.dumps(row).encode(), FACTS: shared} for row in known]

    session = Session(job, job.runs[0], results)
    session.run(setup, export)
    # All is in the records; a checkpoint would only be in the way of other seeds.
    session.path.unlink(missing_ok=True)


def write_records(job: Job, study: Study, results: Path) -> list[Path]:
    """What the study declares that each of these jobs writes, from the finished records of its seeds.

    Seeds that were taken from published runs have no policy.
    """
    identities = [identity_of(job, seed) for seed in job.seeds]
    kept = [identity.folder(results) / "artifacts" for identity in identities]
    trained = [folder / POLICY for folder in kept]
    scores = pd.DataFrame([json.loads((folder / SCORE).read_text()) for folder in kept])
    scores = scores.astype({"score": float, "diverged_at": "Int64", "reached": float, "failure": "string"})
    to = paths(job, study, results)
    return [
        write_csv(to["curves"], read_curves(identities, results)),
        write_csv(to["scores"], scores),
        write_json(to["method"], json.loads((kept[0] / FACTS).read_text())),
        policies.save(to["policy"], [policies.load_one(path) for path in trained if path.is_file()]),
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
    sizes, picture = envs.sizes(first), envs.picture(first)
    first.close()
    device = torch.device(training.device)
    elsewhere = {} if device == CPU else {"device": device}
    agent = make(config.agent, *sizes, seeds, picture, **elsewhere)
    observers = [
        Evaluation(log, training, make_environment, seeds),
        LearningMetrics(log, runtime.log_every, agent.settings.update_every),
    ]
    # An agent that does not learn from single transitions brings a loop of its own.
    loop: type[Trainer] = getattr(agent, "Trainer", Trainer) if device == CPU else DeviceTrainer
    return loop(agent, make_environment, seeds, training.steps, training.divergence_factor), observers


def score_rows(environment: str, method: str, trainer: Trainer, scores: list[float]) -> pd.DataFrame:
    """One row per seed: environment, method, seed, score, steps, diverged_at, failure.

    A seed whose environment failed has no score, and as `failure` what happened.
    """
    failures = trainer.watch.failures
    scores = [math.nan if failure else score for score, failure in zip(scores, failures, strict=True)]
    return pd.DataFrame(
        {
            "environment": environment,
            "method": method,
            "seed": trainer.seeds,
            "score": pd.array(scores, dtype=float),
            "steps": trainer.steps,
            "diverged_at": pd.array(trainer.watch.diverged_at, dtype="Int64"),
            "failure": pd.array(failures, dtype="string"),
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
