"""Which environment, for how long, and what scores 1 there."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from subcritic.config.sections import Count, Section


class Reference(Section):
    """The return that scores 1 on an environment without a planner, and where it comes from."""

    mean_return: float = Field(description="The mean undiscounted return of an episode that scores 1.")
    source: Annotated[str, Field(min_length=1)] = Field(description="Where that return comes from.")


class Task(Section):
    """What a number measured on an environment depends on."""

    id: str = Field(description="A Gymnasium id, or `module:Id` for an environment of your own module.")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = Field(
        description="Name in results and tables; the id with `-` for `/` unless given."
    )
    kwargs: dict[str, Any] = Field(default_factory=dict, description="Handed to gymnasium.make.")


class Environment(Task):
    """A Gymnasium environment with Box observations and actions."""

    steps: Count | None = Field(None, description="Steps of a training here, in place of training.steps.")
    reference: Reference | None = Field(
        None, description="The return that scores 1 here; without one, scores stay raw."
    )

    @model_validator(mode="before")
    @classmethod
    def _name_from_id(cls, data: Any) -> Any:
        if isinstance(data, str):
            data = {"id": data}
        if isinstance(data, dict) and isinstance(data.get("id"), str):
            data = {"name": data["id"].replace("/", "-"), **data}
        return data

    def task(self) -> Task:
        """What training on it depends on; a reference return, for one, does not matter."""
        return Task(**{name: getattr(self, name) for name in Task.model_fields})
