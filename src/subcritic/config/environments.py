"""Which environment, for how long, and what scores 1 there."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from subcritic.config.sections import Count, Section


class Reference(Section):
    """The return that scores 1 on an environment without a planner, and where it comes from."""

    mean_return: float
    source: Annotated[str, Field(min_length=1)]


class Environment(Section):
    """A Gymnasium environment with Box observations and actions."""

    id: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    kwargs: dict[str, Any] = Field(default_factory=dict)
    # Left out of the data of entries without it, so that these keep their digests.
    max_episode_steps: Annotated[Count | None, Field(exclude_if=lambda limit: limit is None)] = None
    steps: Count | None = None
    reference: Reference | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_from_id(cls, data: Any) -> Any:
        if isinstance(data, str):
            data = {"id": data}
        if isinstance(data, dict):
            data = {"name": _default_name(data.get("id")), **data}
        return data

    @field_validator("kwargs")
    @classmethod
    def _time_limit_has_its_own_field(cls, kwargs: dict[str, Any]) -> dict[str, Any]:
        if "max_episode_steps" in kwargs:
            raise ValueError("max_episode_steps belongs beside kwargs, as a field of the environment")
        return kwargs

    def task(self) -> dict[str, Any]:
        """What training on it depends on; a reference return, for one, does not matter."""
        return self.model_dump(include={"id", "name", "kwargs", "max_episode_steps"})


def _default_name(environment_id: Any) -> str:
    """'CartRest-v0' for 'CartRest-v0' and 'package:CartRest-v0', 'subcritic-CartRest-v0' for 'subcritic/CartRest-v0'.

    A valid name for anything, so that a wrong id is reported as that, and not as a wrong name that nobody wrote.
    """
    registered = str(environment_id).rpartition(":")[2]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", registered).lstrip("._-") or "environment"
