"""What every part of the schema shares: the base class, number types, the error."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from subcritic.config.profile import Profile

Rate = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Sizes = Annotated[tuple[Count, ...], Field(min_length=1)]
# Names become folders and words of commands: nothing in them means something to a shell or leads elsewhere.
LONGEST_NAME = 100
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=LONGEST_NAME)]
Activation = Literal["relu", "tanh", "sigmoid"]


class ConfigError(ValueError):
    """A config that cannot be run; the message names the field, what was given and what would be right."""


class Section(BaseModel):
    """A part of a config: unknown keys are refused, values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def check_in(self, profile: Profile) -> None:
        """Raise ValueError where this section does not fit the rest of the profile."""


def hint(key: str, known: Iterable[str]) -> str:
    """For an error message: the known key that is most like an unknown one, if any is."""
    match = difflib.get_close_matches(key, sorted(known), n=1)
    return f"; did you mean {match[0]!r}?" if match else ""
