"""The section of a config on anchors, and the jobs: one for each environment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from subcritic import published, suite
from subcritic.config import Profile, Reference, Section, Task
from subcritic.studies.references.settings import References
from subcritic.study import Job


class Anchors(Section):
    """The returns that normalise scores."""

    random_episodes: Annotated[int, Field(ge=10)] = Field(
        20, description="Episodes of uniform random actions whose mean return scores 0."
    )


class Config(Section):
    """All that the anchors of one environment depend on. published: the package's own references, where they are used."""

    environment: Task
    reference: Reference | None
    random_episodes: int
    source: Literal["published", "measured"]
    published: str


def jobs(profile: Profile) -> Iterator[Job]:
    source = profile.section(References).source
    for environment in profile.environments:
        planned = suite.entry(environment.id) is not None and environment.pays_as_registered
        measured = source == "measured" and planned and environment.reference is None
        config = Config(
            environment=environment.task(),
            reference=environment.reference,
            random_episodes=profile.section(Anchors).random_episodes,
            source=source if planned else "published",
            published=repr(published.reference(environment.id)) if planned and not measured else "",
        )
        yield Job(
            "anchors",
            profile.profile,
            config,
            environment.name,
            reads=(f"environments/{environment.name}.json",) if measured else (),
        )
