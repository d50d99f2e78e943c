"""The section of a config on films of policies, and the jobs: one for each task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from subcritic import suite
from subcritic.config import Count, MethodTraining, Profile, Rate, Section
from subcritic.config.profile import OnSomeEnvironments
from subcritic.studies import experiment2
from subcritic.study import Job


class Film(Section):
    """Which episode is filmed, and how much of it."""

    episode_seed: Annotated[int, Field(ge=0)] = Field(
        0, description="Seed of the filmed episode's start state, the same for all methods."
    )
    seconds: Rate = Field(4.0, description="Length of a film, in simulated seconds.")
    frames: Count = Field(6, description="Frames of each method on the sheet.")


class Films(Film, OnSomeEnvironments):
    """Films of policies of Experiment 2 on tasks of the suite."""

    methods: tuple[str, ...] = Field(
        (), description="Names of the profile's methods, in the order of the film; none given: all of them."
    )

    def check_in(self, profile: Profile) -> None:
        super().check_in(profile)
        if "films" in profile.studies:
            for environment in self.chosen(profile):
                if suite.entry(environment.id) is None:
                    raise ValueError(
                        f"films: {environment.name!r} is no task of the suite, and only those are filmed"
                    )
                if seen := environment.kwargs.keys() & {"pixels", "repeat"}:
                    raise ValueError(
                        f"films: {environment.name!r} has kwargs.{min(seen)}, and such tasks are not filmed"
                    )
        for name in self.methods:
            profile.method(name)


class Config(Section):
    """All that the film of one task depends on; its first seed's policies are filmed."""

    policies: tuple[MethodTraining, ...]
    film: Film


def jobs(profile: Profile) -> Iterator[Job]:
    settings = profile.section(Films)
    film = Film(**{name: getattr(settings, name) for name in Film.model_fields})
    names = settings.methods or tuple(method.name for method in profile.methods)
    trained = {(job.environment, job.method): job for job in experiment2.STUDY.jobs(profile)}
    policy = experiment2.STUDY.records["policy"].path
    for environment in settings.chosen(profile):
        chosen = [trained[environment.name, name] for name in names]
        config = Config(policies=tuple(job.config for job in chosen), film=film)
        reads = tuple(job.path(policy) for job in chosen)
        if chosen:
            yield Job("films", profile.profile, config, environment.name, reads=reads)
