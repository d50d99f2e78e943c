"""The section of a config on neurons with clocks, and its jobs: one for each task and method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, model_validator

from subcritic.config import Count, Environment, Profile, Section, Task, Training
from subcritic.config.agents import need
from subcritic.config.graph import GraphSettings
from subcritic.config.profile import unique_names
from subcritic.studies.recurrent.settings import OF_FEEDBACK
from subcritic.study import Job, Run

# How neurons learn, by the last part of a method's name; at once only with a common clock.
AT_ONCE = "at-once"
LEARNERS: dict[str, dict[str, Any]] = {
    "learned-feedback": {},
    AT_ONCE: {"lags": 0},
    "backpropagation": {"learns": "backpropagation"},
}
CLOCKS = ("common", "own")


class Clocks(Section):
    """Leaky integrators with a common clock, or each with a clock of its own: what a slow network costs."""

    environments: Annotated[tuple[Environment, ...], Field(min_length=1)] = Field(
        (
            Environment(id="Pendulum-v1", name="Pendulum-v1"),
            Environment(id="subcritic/HiddenVelocityPendulum-v0", name="HiddenVelocityPendulum-v0"),
        ),
        description="Environments to train on.",
    )
    agent: GraphSettings = Field(
        {
            "hidden": (16, 16),
            "time_constants": (0.1, 1.0),
            "batch_size": 8,
            "update_every": 2,
            "noise": "ornstein_uhlenbeck",
            "noise_scale": 0.3,
        },
        validate_default=True,
        description="The actor; its clocks, ticks and way to learn are what is compared.",
    )
    ticks: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        (1, 2, 4, 8, 16),
        description="ℓ, ticks of a neuron in an environment step: on average, with own clocks.",
    )
    training: Training = Field(Training(steps=10_000), description="Length and evaluation of its trainings.")

    @model_validator(mode="after")
    def _compares_what_the_agent_leaves_open(self) -> Clocks:
        needed = {"learns": "learned_feedback", "lags": None, "clocks": "common", "ticks": 2}
        need("agent: what is compared", self.agent, needed)
        if self.agent.connections == "random":
            raise ValueError("agent: connections must be recurrent or feedforward: layers are compared")
        if len(set(self.ticks)) < len(self.ticks):
            raise ValueError(f"ticks name a number twice: {', '.join(map(str, self.ticks))}")
        unique_names("environments", self.environments)
        return self


class Config(Section):
    """All that one training depends on."""

    environment: Task
    agent: GraphSettings
    training: Training
    seeds: tuple[int, ...]


def method_of(clock: str, ticks: int, learner: str) -> str:
    """Such as `own-4-learned-feedback`."""
    return f"{clock}-{ticks}-{learner}"


def agents(settings: Clocks) -> dict[str, GraphSettings]:
    """The learner of every method."""
    base, found = settings.agent.model_dump(exclude_unset=True), {}
    for clock in CLOCKS:
        for ticks in settings.ticks:
            for learner, changes in LEARNERS.items():
                if (clock, learner) == ("own", AT_ONCE):
                    continue
                given = {**base, "clocks": clock, "ticks": ticks, **changes}
                if learner == "backpropagation":
                    given = {name: value for name, value in given.items() if name not in OF_FEEDBACK}
                name = method_of(clock, ticks, learner)
                found[name] = GraphSettings.model_validate({**given, "name": name})
    return found


def described(profile: Profile) -> list[str]:
    settings = profile.section(Clocks)
    tasks = ", ".join(
        f"{task.name} ({task.steps or settings.training.steps:,} steps)" for task in settings.environments
    )
    neurons = " and ".join(map(str, settings.agent.hidden))
    ticks = ", ".join(map(str, settings.ticks))
    return [
        f"Neurons with clocks: {neurons} hidden neurons, {ticks} ticks in an environment step, on {tasks}."
    ]


def jobs(profile: Profile) -> Iterator[Job]:
    settings, seeds = profile.section(Clocks), tuple(profile.seed_list())
    for environment in settings.environments:
        steps = environment.steps or settings.training.steps
        training = settings.training.model_copy(update={"steps": steps})
        for method, agent in agents(settings).items():
            config = Config(environment=environment.task(), agent=agent, training=training, seeds=seeds)
            yield Job(
                "clocks",
                profile.profile,
                config,
                environment.name,
                method,
                runs=(Run(environment.name, method, config),),
                seeds=seeds,
                runtime=profile.runtime,
            )
