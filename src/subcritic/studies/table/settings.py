"""The section of a config on the results table."""

from __future__ import annotations

from pydantic import Field

from subcritic.config import Profile, Section


class Table(Section):
    """What the results page shows beside a profile's own methods."""

    beside: str = Field(
        "",
        description="A published profile with tasks of the same names; none given: nothing is shown beside.",
    )
    beside_methods: tuple[str, ...] = Field((), description="Names of its methods that are shown.")

    def check_in(self, profile: Profile) -> None:
        if bool(self.beside) != bool(self.beside_methods):
            raise ValueError("table: beside and beside_methods must be given together")
        if self.beside == profile.profile:
            raise ValueError(f"table.beside = {self.beside!r}: must be another profile")
