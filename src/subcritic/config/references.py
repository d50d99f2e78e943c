"""How the planners that say what scores 1 on a task of the suite are measured."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from subcritic.config.sections import Count, Rate, Section


class References(Section):
    """`source`: normalise by the references published with the package, or by those this profile measures itself."""

    source: Literal["published", "measured"] = "published"
    planners: Annotated[tuple[Literal["mppi", "ilqg"], ...], Field(min_length=1)] = ("mppi", "ilqg")
    horizon_seconds: Rate = 0.6
    plans: Annotated[int, Field(ge=2)] = 48
    knots: Annotated[int, Field(ge=2)] = 6
    noise: Rate = 1.2
    temperature: Rate = 0.1
    episodes: Annotated[int, Field(ge=2)] = 10
    random_episodes: Annotated[int, Field(ge=10)] = 50
    first_seed: Annotated[int, Field(ge=0)] = 0
    film_seed: Annotated[int, Field(ge=0)] = 0
    film_seconds: Rate = 6.0
    film_frames: Count = 12

    @field_validator("planners")
    @classmethod
    def _with_the_one_that_defines_score_1(cls, planners: tuple) -> tuple:
        if "mppi" not in planners or len(set(planners)) < len(planners):
            raise ValueError("mppi defines score 1 and must be among the planners, each named once")
        return planners

    def planner(self, name: str) -> dict[str, Any]:
        """The settings of the planner called `name`."""
        own = ("plans", "knots", "noise", "temperature") if name == "mppi" else ()
        return {field: getattr(self, field) for field in ("horizon_seconds", *own)}
