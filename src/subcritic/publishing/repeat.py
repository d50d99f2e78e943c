"""Repeating the beginning of a training, with today's code and the config as it is, in a folder that nobody keeps."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from subcritic.measuring.kept import identity_of
from subcritic.measuring.method import facts
from subcritic.publishing import accumulated
from subcritic.study import Job
from subcritic.tracking import record
from subcritic.tracking.process import instead
from subcritic.training import Trainer

# Updates that the repeated part has at least.
UPDATES = 500
# Seconds between two checkpoints, and between two lines of progress, of a training that needs neither.
NEVER = 1e9
# What a Repeat has of every seed.
OF_SEEDS = ("curves", "diverged_at", "tags", "rows")


@dataclass(frozen=True)
class Repeat:
    """What today's code gives, for every seed, up to the evaluation at `step`.

    curves: as in curves.csv. diverged_at: None of a seed that has not. tags: those of its record. rows: as in runs.csv, of a
    training that came to its end. facts: what tables say of the method.
    """

    step: int
    curves: dict[int, pd.DataFrame]
    diverged_at: dict[int, int | None]
    tags: dict[int, dict[str, str]]
    rows: dict[int, dict[str, Any]]
    facts: dict[str, Any]


def repeat(job: Job, folder: Path, steps: int | None = None) -> Repeat:
    """Train a job's seeds as its study does, of the same config, but end early; `folder` is new, and of no use later.

    Seeds that a profile trains together are repeated together: where a product has one seed and one column, it may be
    rounded otherwise than with several seeds.

    It ends with the first evaluation, at `steps` or later, of policies that have learned: no seed that still learns has the
    weights that it began with. (A search changes them once in many episodes.) A training that comes to its end before is
    repeated whole. steps: by default those of the warm-up and of UPDATES updates.

    So little will do because differences do not average out: on two tasks of the suite, one weight of an actor off by its
    last bit, 100 steps before the evaluation, changed the returns of all seeds of five methods. What only happens later is
    not seen, such as the evaluation at the end, with its own number of episodes, or a replay that is full; more steps see
    more.
    """
    agent, together = job.config.agent, job.runtime.seeds_at_a_time or len(job.seeds)
    if steps is None:
        steps = agent.learning_starts + UPDATES * agent.update_every
    found = [
        _together(job.of_seeds(job.seeds[first : first + together]), folder / str(first), steps)
        for first in range(0, len(job.seeds), together)
    ]
    return Repeat(
        min(part.step for part in found),
        *(
            {seed: value for part in found for seed, value in getattr(part, name).items()}
            for name in OF_SEEDS
        ),
        facts=found[0].facts,
    )


def _together(job: Job, folder: Path, steps: int) -> Repeat:
    runtime = job.runtime.model_copy(update={"checkpoint_seconds": NEVER, "progress_seconds": NEVER})
    stop = Stop(job, steps)
    # Nothing of it goes to MLflow.
    with instead(folder), stopping_at(stop):
        importlib.import_module(f"subcritic.studies.{job.study}.run").run(
            replace(job, runtime=runtime), folder
        )
    records = {seed: record.read(identity_of(job, seed).folder(folder)) for seed in job.seeds}
    return Repeat(
        stop.step,
        {seed: accumulated.curves_of(job, seed, folder) for seed in job.seeds},
        dict(zip(job.seeds, stop.diverged_at, strict=True)),
        {seed: content["tags"] for seed, content in records.items()},
        {
            seed: accumulated.row_of(job, seed, folder)
            for seed, content in records.items()
            if content["status"] == "FINISHED"
        },
        stop.facts,
    )


class Reached(Exception):
    """A training is as far as it should come."""


class Stop:
    """An observer that ends a training, see `repeat`, and says how far it came."""

    def __init__(self, job: Job, steps: int) -> None:
        self.every = job.config.training.evaluate_every
        self.settings, self.steps = job.config.agent, steps

    def __call__(self, trainer: Trainer) -> None:
        weights, watch = trainer.agent.policy().flat, trainer.watch
        if trainer.step == 0:
            self.first = weights.clone()
            self.facts = facts(self.settings, trainer)
        self.step, self.diverged_at = trainer.step, list(watch.diverged_at)
        learned = not any(torch.equal(weights[s], self.first[s]) for s in watch.active)
        if learned and self.steps <= trainer.step < trainer.steps:
            raise Reached


@contextlib.contextmanager
def stopping_at(stop: Stop) -> Iterator[None]:
    """Every training in here calls `stop` after all its other observers, and ends where that says so."""
    run = Trainer.run

    def watched(trainer: Trainer) -> None:
        trainer.observers.append(stop)
        run(trainer)

    Trainer.run = watched
    try:
        yield
    except Reached:
        pass
    finally:
        Trainer.run = run
