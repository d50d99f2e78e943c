"""A profile: the whole of one reproduction."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from subcritic.config.agents import DDPGSettings, LocalSettings, Method
from subcritic.config.environments import Environment
from subcritic.config.sections import ConfigError, Count, Section
from subcritic.config.stages import (
    Anchors,
    Asynchronous,
    Experiment1,
    Recurrent,
    Scaling,
    Statistics,
    Theorem,
    Throughput,
    Training,
)


class Profile(Section):
    profile: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seeds: Count = 3
    first_seed: Annotated[int, Field(ge=0)] = 0
    environments: Annotated[tuple[Environment, ...], Field(min_length=1)]
    methods: Annotated[tuple[Method, ...], Field(min_length=1)]
    training: Training = Training()
    experiment1: Experiment1 = Experiment1()
    anchors: Anchors = Anchors()
    statistics: Statistics = Statistics()
    throughput: Throughput = Throughput()
    theorem: Theorem = Theorem()
    scaling: Scaling = Scaling()
    asynchronous: Asynchronous = Asynchronous()
    recurrent: Recurrent = Recurrent()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Profile:
        for field in ("environments", "methods"):
            names = [entry.name for entry in getattr(self, field)]
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise ValueError(f"{field}: the name {repeated[0]!r} is used twice; give each its own `name`")
        return self

    def environment(self, name: str) -> Environment:
        """The environment called `name`; raises ConfigError, listing the known ones, when there is none."""
        return _named(self.environments, name, "environment")

    def method(self, name: str) -> DDPGSettings | LocalSettings:
        """The method called `name`; raises ConfigError, listing the known ones, when there is none."""
        return _named(self.methods, name, "method")

    def seed_list(self) -> list[int]:
        return list(range(self.first_seed, self.first_seed + self.seeds))

    def steps_for(self, environment: Environment) -> int:
        return environment.steps or self.training.steps


def _named(entries: tuple, name: str, kind: str):
    for entry in entries:
        if entry.name == name:
            return entry
    raise ConfigError(f"{kind} {name!r} is not in the config; known: {', '.join(e.name for e in entries)}")
