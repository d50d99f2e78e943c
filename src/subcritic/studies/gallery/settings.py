"""The section of a config on films, and the jobs: one for each task of the suite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from subcritic.config import Count, Profile, Rate, Section, Task
from subcritic.studies.references.settings import Plans, References
from subcritic.study import Job


class Gallery(Section):
    """Films of MPPI on the tasks of the suite."""

    seed: Annotated[int, Field(ge=0)] = Field(0, description="Seed of the filmed episode.")
    seconds: Rate = Field(6.0, description="Length of a film, in simulated seconds.")
    frames: Count = Field(12, description="Frames on the sheet that shows how the film goes on.")


class Config(Section):
    """All that the film of one task depends on."""

    environment: Task
    plans: Plans
    film: Gallery


def jobs(profile: Profile) -> Iterator[Job]:
    for environment in profile.environments:
        config = Config(
            environment=environment.task(),
            plans=profile.section(References).plans_alone(),
            film=profile.section(Gallery),
        )
        yield Job("gallery", profile.profile, config, environment.name)
