"""The section of a config on references, and the jobs: one for each task of the suite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, field_validator

from subcritic.config import Profile, Rate, Section, Task
from subcritic.study import Job


class Plans(Section):
    """How planners plan."""

    horizon_seconds: Rate = Field(0.6, description="How far a planner looks ahead, in simulated seconds.")
    plans: Annotated[int, Field(ge=2)] = Field(48, description="MPPI: plans sampled per step.")
    knots: Annotated[int, Field(ge=2)] = Field(6, description="MPPI: knots of a plan's spline.")
    noise: Rate = Field(1.2, description="MPPI: standard deviation of sampled actions, of a range of 2.")
    temperature: Rate = Field(0.1, description="MPPI: temperature of the weights of plans.")


class Planners(Plans):
    """How random actions and planners are measured on a task of the suite."""

    planners: Annotated[tuple[Literal["mppi", "ilqg"], ...], Field(min_length=1)] = Field(
        ("mppi", "ilqg"), description="The planners that are measured; mppi defines score 1."
    )
    episodes: Annotated[int, Field(ge=2)] = Field(10, description="Episodes of each planner.")
    random_episodes: Annotated[int, Field(ge=10)] = Field(50, description="Episodes of random actions.")
    first_seed: Annotated[int, Field(ge=0)] = Field(0, description="Seed of the first episode.")

    @field_validator("planners")
    @classmethod
    def _includes_mppi(cls, planners: tuple[str, ...]) -> tuple[str, ...]:
        if "mppi" not in planners or len(set(planners)) < len(planners):
            raise ValueError("mppi defines score 1 and must be among the planners, each named once")
        return planners


class References(Planners):
    """What scores 0 and 1 on the tasks of the suite."""

    source: Literal["published", "measured"] = Field(
        "published",
        description="Normalise by the references published with the package, or by those this profile measures.",
    )

    def plans_alone(self) -> Plans:
        """How planners plan, and nothing of how they are measured."""
        return Plans(**{name: getattr(self, name) for name in Plans.model_fields})

    def measured(self) -> Planners:
        """All but where references come from."""
        return Planners.model_validate(self.model_dump(exclude={"source"}))


class Config(Section):
    """All that the references of one task depend on."""

    environment: Task
    planners: Planners


def jobs(profile: Profile) -> Iterator[Job]:
    for environment in profile.environments:
        config = Config(environment=environment.task(), planners=profile.section(References).measured())
        yield Job("references", profile.profile, config, environment.name)
