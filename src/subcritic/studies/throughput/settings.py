"""The section of a config on throughput, and its one job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from subcritic.config import Count, Profile, Rate, Section, Sizes
from subcritic.study import Job


class Throughput(Section):
    """At which sizes updates are timed, and how often."""

    hidden: tuple[Sizes, ...] = Field(
        ((64, 64), (256, 256), (400, 300)), description="Hidden layers of the networks that are timed."
    )
    batches: tuple[Count, ...] = Field((64, 256), description="Minibatch sizes that are timed.")
    rounds: Annotated[int, Field(ge=3)] = Field(
        11, description="Rounds in which all learners take turns, in an order drawn anew."
    )
    seconds: Rate = Field(0.1, description="Seconds that one learner is timed in a round.")


def jobs(profile: Profile) -> Iterator[Job]:
    yield Job("throughput", profile.profile, profile.section(Throughput))
