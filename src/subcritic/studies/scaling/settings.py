"""The section of a config on scaling, and its jobs: one for each environment, from the snapshots of Experiment 1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, model_validator

from subcritic.config import Count, Profile, Rate, Section
from subcritic.studies.experiment1 import settings as experiment1
from subcritic.study import Job, Run


class Scaling(Section):
    """How agreement depends on width, noise and draws: `widths` at `noise_scale`, and `noise_scales` at `width`."""

    widths: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        (8, 16, 32, 64, 128, 256), description="Widths of both hidden layers, measured at `noise_scale`."
    )
    noise_scales: Annotated[tuple[Rate, ...], Field(min_length=1)] = Field(
        (0.01, 0.03, 0.1, 0.3, 1.0),
        description="Standard deviations of the noise on every voltage, measured at `width`.",
    )
    width: Count = Field(64, description="The width at which the noise scale is varied.")
    noise_scale: Rate = Field(0.1, description="The noise scale at which the width is varied.")
    draws: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        (64, 256, 1024, 4096, 16384, 65536),
        description="Numbers of draws of noise; each a multiple of the last.",
    )
    actor_steps: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = Field(
        (0, 100),
        description="Gradient steps that an actor has taken on the critic of Experiment 1, in turns.",
    )
    neurons_per_layer: Count = Field(2, description="Neurons of each layer whose own critics are fitted.")

    @model_validator(mode="after")
    def _draws_are_multiples(self) -> Scaling:
        for less, more in zip(self.draws, self.draws[1:], strict=False):
            if more <= less or more % less:
                raise ValueError(f"draws must grow by whole factors, and {more} is no multiple of {less}")
        return self


class Config(Section):
    """All that the measurement on one environment depends on."""

    snapshots: experiment1.Config
    scaling: Scaling


def jobs(profile: Profile) -> Iterator[Job]:
    for environment in profile.environments:
        config = Config(
            snapshots=experiment1.config_of(profile, environment.task()), scaling=profile.section(Scaling)
        )
        yield Job(
            "scaling",
            profile.profile,
            config,
            environment.name,
            reads=(f"experiment1/{environment.name}/snapshots.pt",),
            runs=(Run(environment.name, "scaling", config),),
            seeds=config.snapshots.seeds,
            runtime=profile.runtime,
        )
