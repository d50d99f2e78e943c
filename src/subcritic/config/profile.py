"""What every profile says; `subcritic.profiles` adds a section for each study."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, TypeVar

from pydantic import Field, field_validator, model_validator

from subcritic.config.agents import AgentSettings
from subcritic.config.environments import Environment, expanded
from subcritic.config.methods import Method
from subcritic.config.sections import ConfigError, Count, Name, Section
from subcritic.config.training import Runtime, Statistics, Training

Kind = TypeVar("Kind", bound=Section)
Named = TypeVar("Named", AgentSettings, Environment)


# Beside the profiles in results/.
SHARED_FOLDERS = ("published", "mlartifacts", "mlartifacts-shared", "mlflow.db", "logs")


class Profile(Section):
    """The whole of one reproduction."""

    profile: Name = Field(description="Name of the profile; its results go to `results/<profile>/`.")
    studies: tuple[str, ...] = Field((), description="The studies that the profile runs, by name.")
    seeds: Count = Field(3, description="Number of seeds of every training.")
    first_seed: Annotated[int, Field(ge=0)] = Field(0, description="The first seed; the others follow it.")
    environments: Annotated[tuple[Environment, ...], Field(min_length=1)] = Field(
        description="Environments: a Gymnasium id, or an entry with `id` and more; `subcritic/*` for all "
        "tasks of the suite that no other entry names."
    )
    methods: tuple[Method, ...] = Field(
        (), description="The learners of Experiment 2, each with its `algorithm`."
    )
    training: Training = Field(Training(), description="Length and evaluation of the trainings.")
    runtime: Runtime = Field(Runtime(), description="How often something is saved or logged.")
    statistics: Statistics = Field(Statistics(), description="How results over seeds are summarised.")

    @field_validator("profile")
    @classmethod
    def _has_a_folder_of_its_own(cls, name: str) -> str:
        if name.lower() in SHARED_FOLDERS:
            raise ValueError(f"results/{name} belongs to all profiles; choose another name")
        return name

    @field_validator("environments", mode="before")
    @classmethod
    def _tasks_of_the_suite(cls, entries: Any) -> Any:
        return expanded(entries)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Profile:
        unique_names("environments", self.environments)
        unique_names("methods", self.methods)
        return self

    @model_validator(mode="after")
    def _sections_fit(self) -> Profile:
        for name in type(self).model_fields:
            if isinstance(section := getattr(self, name), Section):
                section.check_in(self)
        return self

    def section(self, kind: type[Kind]) -> Kind:
        """The settings of type `kind`. Raises ConfigError when the profile has none."""
        for name in type(self).model_fields:
            if type(section := getattr(self, name)) is kind:
                return section
        raise ConfigError(f"the profile has no section {kind.__name__}")

    def environment(self, name: str) -> Environment:
        """The environment called `name`; raises ConfigError, listing the known ones, when there is none."""
        return named(self.environments, name, "environment")

    def method(self, name: str) -> AgentSettings:
        """The method called `name`; raises ConfigError, listing the known ones, when there is none."""
        return named(self.methods, name, "method")

    def seed_list(self) -> list[int]:
        return list(range(self.first_seed, self.first_seed + self.seeds))

    def steps_for(self, environment: Environment) -> int:
        """Environment steps of a training of Experiment 2 on `environment`."""
        return environment.steps or self.training.steps


class OnSomeEnvironments(Section):
    """The section of a study that trains on some of a profile's environments."""

    environments: tuple[str, ...] = Field(
        (), description="Names of the profile's environments to train on; none given: its first one."
    )

    def check_in(self, profile: Profile) -> None:
        self.chosen(profile)

    def chosen(self, profile: Profile) -> tuple[Environment, ...]:
        """The environments. Raises ConfigError for a name that the profile has not, listing those it has, and for a name
        that is given twice.
        """
        names = self.environments or (profile.environments[0].name,)
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(f"environments: {repeated[0]!r} is given twice; name each environment once")
        return tuple(profile.environment(name) for name in names)


def named(entries: tuple[Named, ...], name: str, kind: str) -> Named:
    """The entry called `name`; raises ConfigError, listing the known ones, when there is none."""
    for entry in entries:
        if entry.name == name:
            return entry
    raise ConfigError(f"{kind} {name!r} is not in the config; known: {', '.join(e.name for e in entries)}")


def unique_names(field: str, entries: Iterable[AgentSettings | Environment]) -> None:
    """Raise ValueError when two entries share a name."""
    names = [entry.name for entry in entries]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{field}: the name {repeated[0]!r} is used twice; give each its own `name`")
