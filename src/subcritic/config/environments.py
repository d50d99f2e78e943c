"""Which environment, for how long, and what scores 1 there."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from subcritic.config.sections import Count, Section


class Reference(Section):
    """The return that scores 1 on an environment without a planner, and where it comes from."""

    mean_return: float
    source: Annotated[str, Field(min_length=1)]


class Environment(Section):
    """A Gymnasium environment with Box observations and actions."""

    id: str
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    kwargs: dict[str, Any] = Field(default_factory=dict)
    steps: Count | None = None
    reference: Reference | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_from_id(cls, data: Any) -> Any:
        if isinstance(data, str):
            data = {"id": data}
        if isinstance(data, dict) and isinstance(data.get("id"), str):
            data = {"name": data["id"].replace("/", "-"), **data}
        return data

    def task(self) -> dict[str, Any]:
        """What training on it depends on; a reference return, for one, does not matter."""
        return {"id": self.id, "name": self.name, "kwargs": self.kwargs}
