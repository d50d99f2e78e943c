"""The section of a config on learning in threads, and its one job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, model_validator

from subcritic.config import Count, Environment, LocalMethod, Profile, Section, Task, Training
from subcritic.config.agents import need
from subcritic.studies.throughput.settings import Throughput
from subcritic.study import Job, Run

NEEDED = {
    "algorithm": "linear",
    "optimiser": "sgd",
    "target": "own_td",
    "replay": "stored",
    "layers_in_turn": None,
}


class Asynchronous(Section):
    """Learning in threads, compared with the same learner without threads."""

    environments: Annotated[tuple[Environment, ...], Field(min_length=1)] = Field(
        (
            Environment(id="Pendulum-v1", name="Pendulum-v1"),
            Environment(id="subcritic/Cart-v0", name="Cart-v0"),
        ),
        description="Environments to train on.",
    )
    agent: LocalMethod = Field(
        {
            "algorithm": "linear",
            "critic_rate": 1e-2,
            "actor_rate": 1e-2,
            "noise": "ornstein_uhlenbeck",
            "noise_scale": 0.3,
        },
        validate_default=True,
        description="The local learner whose neurons are dealt to threads.",
    )
    threads: Count = Field(2, description="Number of threads that learn.")
    lag: Count = Field(64, description="Updates that a thread may be behind before acting waits for it.")
    training: Training = Field(Training(steps=6_000), description="Length and evaluation of its trainings.")
    speed: Throughput = Field(Throughput(), description="At which sizes updates per second are timed.")

    @model_validator(mode="after")
    def _threads_can_learn_so(self) -> Asynchronous:
        need("agent: learning in threads", self.agent, NEEDED)
        return self


class Config(Section):
    """All that one training, with or without threads, depends on."""

    environment: Task
    agent: LocalMethod
    threads: int
    lag: int
    training: Training
    seeds: tuple[int, ...]


class JobConfig(Section):
    """All that the study depends on."""

    trainings: tuple[Config, ...]
    speed: Throughput


def jobs(profile: Profile) -> Iterator[Job]:
    settings, seeds = profile.section(Asynchronous), tuple(profile.seed_list())
    trainings = tuple(
        Config(
            environment=environment.task(),
            agent=settings.agent,
            threads=settings.threads,
            lag=settings.lag,
            training=settings.training.model_copy(
                update={"steps": environment.steps or settings.training.steps}
            ),
            seeds=seeds,
        )
        for environment in settings.environments
    )
    yield Job(
        "asynchronous",
        profile.profile,
        JobConfig(trainings=trainings, speed=settings.speed),
        runs=tuple(
            Run(config.environment.name, method, config)
            for config in trainings
            for method in ("synchronous", "asynchronous")
        ),
        seeds=seeds,
        runtime=profile.runtime,
    )
