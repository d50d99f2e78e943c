"""Which environment, for how long, and what scores 1 there."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from subcritic import suite
from subcritic.config.sections import Count, Name, Section

INFINITE = (math.inf, -math.inf)
# An entry that stands for tasks of the suite.
WHOLE_SUITE = "subcritic/*"


class Reference(Section):
    """The return that scores 1 on an environment without a planner, and where it comes from."""

    mean_return: float = Field(
        allow_inf_nan=False, description="The mean undiscounted return of an episode that scores 1."
    )
    source: Annotated[str, Field(min_length=1)] = Field(description="Where that return comes from.")


class Task(Section):
    """What a number measured on an environment depends on."""

    id: Annotated[str, Field(min_length=1)] = Field(
        description="A Gymnasium id, or `module:Id` for an environment of your own module."
    )
    name: Name = Field(
        description="Name in results and tables; unless given, the id without its module, with `-` for `/`."
    )
    kwargs: dict[str, Any] = Field(
        default_factory=dict,
        description="Handed to gymnasium.make, but for `pixels` and `repeat` "
        "([what they do](environments.md#pixels-and-held-actions)).",
    )
    # Left out of the data of entries without it, so that these keep their digests.
    max_episode_steps: Annotated[Count | None, Field(exclude_if=lambda limit: limit is None)] = Field(
        None,
        description="Steps after which an episode is truncated, in place of the registered limit; without either, 10,000.",
    )

    @property
    def pays_as_registered(self) -> bool:
        """Whether the same actions earn what they earn in the registered environment, however they are held and seen."""
        return set(self.kwargs) <= {"pixels", "repeat"}


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
        if isinstance(data, dict):
            data = {"name": default_name(data.get("id")), **data}
        return data

    @field_validator("kwargs")
    @classmethod
    def _time_limit_has_its_own_field(cls, kwargs: dict[str, Any]) -> dict[str, Any]:
        if "max_episode_steps" in kwargs:
            raise ValueError("max_episode_steps belongs beside kwargs, as a field of the environment")
        return kwargs

    @field_validator("kwargs")
    @classmethod
    def _the_same_in_every_file(cls, kwargs: dict[str, Any]) -> dict[str, Any]:
        for place, value in _leaves(kwargs):
            if (
                not (value is None or isinstance(value, str | bool | int | float))
                or value != value
                or value in INFINITE
            ):
                raise ValueError(
                    f"{place} is {value!r}: finite numbers, text, true, false, null, and lists and mappings of these can be "
                    "handed over; quote a date"
                )
        return kwargs

    def task(self) -> Task:
        """What training on it depends on; a reference return, for one, does not matter."""
        return Task(**{name: getattr(self, name) for name in Task.model_fields})


def _leaves(value: Any, place: str = "kwargs") -> Iterator[tuple[str, Any]]:
    """What a value consists of, each with its place. Raises ValueError for a key that is no text."""
    if isinstance(value, dict):
        for key, part in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{key!r}, a key of {place}, is no text; quote it")
            yield from _leaves(part, f"{place}.{key}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _leaves(part, f"{place}[{index}]")
    else:
        yield place, value


def default_name(environment_id: Any) -> str:
    """'CartRest-v0' for 'CartRest-v0' and 'package:CartRest-v0', 'subcritic-CartRest-v0' for 'subcritic/CartRest-v0'.

    A valid name for anything, so that a wrong id is reported as that, and not as a wrong name that nobody wrote.
    """
    registered = str(environment_id).rpartition(":")[2]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", registered).lstrip("._-") or "environment"


def expanded(entries: Any) -> Any:
    """Entries with `subcritic/*` replaced by an entry for every task of the suite that no other entry names."""
    if not isinstance(entries, list | tuple) or WHOLE_SUITE not in entries:
        return entries
    ids = {entry.get("id") if isinstance(entry, dict) else entry for entry in entries}
    others = [
        {"id": task.id, "name": task.id.partition("/")[2]}
        for task in suite.LISTED.values()
        if task.id not in ids
    ]
    place = list(entries).index(WHOLE_SUITE)
    return [*entries[:place], *others, *entries[place + 1 :]]
