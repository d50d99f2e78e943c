"""A profile: the whole of one reproduction."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from subcritic.config.ablation import Ablation
from subcritic.config.agents import AgentSettings
from subcritic.config.environments import Environment
from subcritic.config.methods import Method
from subcritic.config.references import References
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
    """purpose: 'results' runs every stage; 'lab_book' the ablation alone, its methods being the attempts to keep;
    'suite' the references and gallery of tasks of the suite, and how the methods learn them.
    """

    profile: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    purpose: Literal["results", "lab_book", "suite"] = "results"
    seeds: Count = 3
    first_seed: Annotated[int, Field(ge=0)] = 0
    environments: Annotated[tuple[Environment, ...], Field(min_length=1)]
    methods: Annotated[tuple[Method, ...], Field(min_length=1)]
    training: Training = Training()
    ablation: Ablation = Field({}, validate_default=True)
    experiment1: Experiment1 = Experiment1()
    anchors: Anchors = Anchors()
    references: References = References()
    statistics: Statistics = Statistics()
    throughput: Throughput = Throughput()
    theorem: Theorem = Theorem()
    scaling: Scaling = Scaling()
    asynchronous: Asynchronous = Field({}, validate_default=True)
    recurrent: Recurrent = Field({}, validate_default=True)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Profile:
        lists = {"environments": self.environments, "methods": self.methods}
        for field, entries in (lists | {"ablation.methods": self.ablation.methods}).items():
            names = [entry.name for entry in entries]
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise ValueError(f"{field}: the name {repeated[0]!r} is used twice; give each its own `name`")
        return self

    @model_validator(mode="after")
    def _ablated_environments_exist(self) -> Profile:
        known = [environment.name for environment in self.environments]
        for name in self.ablation.environments:
            if name not in known:
                raise ValueError(
                    f"ablation.environments: {name!r} is not among the profile's environments: {', '.join(known)}"
                )
        return self

    def environment(self, name: str) -> Environment:
        """The environment called `name`; raises ConfigError, listing the known ones, when there is none."""
        return _named(self.environments, name, "environment")

    def method(self, name: str) -> AgentSettings:
        """The method called `name`; raises ConfigError, listing the known ones, when there is none."""
        return _named(self.methods, name, "method")

    def ablated_environments(self) -> tuple[Environment, ...]:
        """The environments of the ablation: those it names, or the profile's first one."""
        chosen = self.ablation.environments or (self.environments[0].name,)
        return tuple(self.environment(name) for name in chosen)

    def ablated_environment(self, name: str) -> Environment:
        """The ablation's environment called `name`; raises ConfigError, listing the known ones, when there is none."""
        return _named(self.ablated_environments(), name, "environment of the ablation")

    def ablated_method(self, name: str) -> AgentSettings:
        """The ablation's method called `name`; raises ConfigError, listing the known ones, when there is none."""
        return _named(self.ablation.methods, name, "method of the ablation")

    def ablation_steps(self, environment: Environment) -> int:
        return self.ablation.steps or self.steps_for(environment)

    def seed_list(self) -> list[int]:
        return list(range(self.first_seed, self.first_seed + self.seeds))

    def steps_for(self, environment: Environment) -> int:
        return environment.steps or self.training.steps


def _named(entries: tuple, name: str, kind: str):
    for entry in entries:
        if entry.name == name:
            return entry
    raise ConfigError(f"{kind} {name!r} is not in the config; known: {', '.join(e.name for e in entries)}")
