"""The section of a config on recurrent networks, and its one job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, model_validator

from subcritic.config import (
    DDPGSettings,
    Environment,
    Fraction,
    LocalMethod,
    Profile,
    Section,
    Task,
    Training,
)
from subcritic.config.agents import need
from subcritic.study import Job, Run

METHODS = ("recurrent", "leaky", "feedforward", "ddpg")


class Recurrent(Section):
    """Learning without unrolling: recurrent networks, a feed-forward one of the same size, DDPG for comparison."""

    environments: Annotated[tuple[Environment, ...], Field(min_length=1)] = Field(
        (
            Environment(id="Pendulum-v1", name="Pendulum-v1"),
            Environment(id="subcritic/HiddenVelocityPendulum-v0", name="HiddenVelocityPendulum-v0"),
            Environment(id="subcritic/Cart-v0", name="Cart-v0"),
        ),
        description="Environments to train on.",
    )
    agent: LocalMethod = Field(
        {
            "algorithm": "linear",
            "hidden": (32, 32),
            "critic_rate": 1e-2,
            "actor_rate": 1e-2,
            "exploration": "neuron",
            "noise": "ornstein_uhlenbeck",
            "noise_scale": 0.3,
        },
        validate_default=True,
        description="The local learner, feed-forward and recurrent alike.",
    )
    control: DDPGSettings = Field(
        DDPGSettings(
            algorithm="ddpg", hidden=(32, 32), batch_size=128, noise="ornstein_uhlenbeck", noise_scale=0.3
        ),
        description="DDPG, feed-forward, for comparison.",
    )
    leak: Fraction = Field(0.2, description="Leak of the leaky network: time step over time constant.")
    training: Training = Field(Training(steps=10_000), description="Length and evaluation of its trainings.")

    @model_validator(mode="after")
    def _steps_can_be_learned_so(self) -> Recurrent:
        need(
            "agent: learning without unrolling",
            self.agent,
            {"replay": "stored", "target": "own_td", "trace": 0},
        )
        return self


class Config(Section):
    """All that the trainings on one environment depend on."""

    environment: Task
    agent: LocalMethod
    control: DDPGSettings
    leak: float
    training: Training
    seeds: tuple[int, ...]


class JobConfig(Section):
    """All that the study depends on."""

    trainings: tuple[Config, ...]


def jobs(profile: Profile) -> Iterator[Job]:
    settings, seeds = profile.section(Recurrent), tuple(profile.seed_list())
    trainings = tuple(
        Config(
            environment=environment.task(),
            agent=settings.agent,
            control=settings.control,
            leak=settings.leak,
            training=settings.training.model_copy(
                update={"steps": environment.steps or settings.training.steps}
            ),
            seeds=seeds,
        )
        for environment in settings.environments
    )
    yield Job(
        "recurrent",
        profile.profile,
        JobConfig(trainings=trainings),
        runs=tuple(
            Run(config.environment.name, method, config) for config in trainings for method in METHODS
        ),
        seeds=seeds,
        runtime=profile.runtime,
    )
