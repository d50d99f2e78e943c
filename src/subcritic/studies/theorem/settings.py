"""The theorem's section of a config, and its jobs: one for each environment, from the snapshots of Experiment 1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from subcritic.config import Count, Profile, Section
from subcritic.studies.experiment1 import settings as experiment1
from subcritic.study import Job, Run


class Theorem(Section):
    """Theorem 2.2.4 on trained agents."""

    trajectory_steps: Annotated[int, Field(ge=16)] = Field(
        512, description="Steps of the trajectory whose data cannot tell two critics apart."
    )
    aliases: Annotated[int, Field(ge=2)] = Field(
        32, description="States that share one presynaptic voltage v in the aliased world."
    )
    draws: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        (1, 4, 16, 64, 256, 1024), description="Numbers of states drawn for each v."
    )


class Config(Section):
    """All that the measurement on one environment depends on."""

    snapshots: experiment1.Config
    theorem: Theorem


def jobs(profile: Profile) -> Iterator[Job]:
    for environment in profile.environments:
        config = Config(
            snapshots=experiment1.config_of(profile, environment.task()), theorem=profile.section(Theorem)
        )
        yield Job(
            "theorem",
            profile.profile,
            config,
            environment.name,
            reads=(f"experiment1/{environment.name}/snapshots.pt",),
            runs=(Run(environment.name, "theorem", config),),
            seeds=config.snapshots.seeds,
            runtime=profile.runtime,
        )
