"""The section of a config on recurrent networks, and its jobs: one for each task and method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from subcritic.config import AgentSettings, Count, Environment, LocalMethod, Profile, Section, Task, Training
from subcritic.config.agents import need
from subcritic.config.graph import GraphSettings, Length, Time
from subcritic.config.profile import unique_names
from subcritic.study import Job, Run

# What is compared: changes of the learner of the config. `observed` trains where nothing is hidden; random does not train.
LEARNED, THROUGH_TIME, RANDOM = "learned-feedback", "backpropagation", "random"
OBSERVED = "observed"
CHANGES: dict[str, dict[str, Any]] = {
    LEARNED: {},
    THROUGH_TIME: {"learns": "backpropagation"},
    "no-lags": {"lags": 0},
    "action-only": {"learns": "action_only"},
    "random-graph": {"connections": "random"},
    # A leak would be a memory, too.
    "feedforward": {"connections": "feedforward", "time_constants": None},
    OBSERVED: {"connections": "feedforward", "time_constants": None},
}
LINEAR = "linear"
# Settings that only learned feedback has.
OF_FEEDBACK = ("feedback_rate", "perturbation_scale")
# What a task says of its learners.
OWN = ("sequence", "batch_size", "update_every", "time_constants", "trace_steps")
METHODS = (*CHANGES, LINEAR, RANDOM)
# What the report compares with.
NEEDED = (LEARNED, THROUGH_TIME, "feedforward", RANDOM)


class MemoryTask(Environment):
    """A task whose observations hide something, and how it is replayed."""

    observed: Environment | None = Field(None, description="The same task with nothing hidden.")
    sequence: Length | None = Field(
        None, description="Environment steps of a replayed sequence; None: as the agent has it."
    )
    batch_size: Count | None = Field(
        None, description="Sequences in a minibatch, per seed; None: as the agent has it."
    )
    update_every: Count | None = Field(
        None, description="Environment steps between two updates; None: as the agent has it."
    )
    time_constants: tuple[Time, Time] | None = Field(
        None, description="Of the hidden neurons, in environment steps; None: as the agent has them."
    )
    trace_steps: tuple[Time, ...] | None = Field(
        None, description="What the critic remembers, in environment steps; None: as the agent has it."
    )


def _hidden_velocity(name: str, observed: str, steps: int | None = None) -> dict[str, Any]:
    name = f"HiddenVelocity{name}-v0"
    return {"id": f"subcritic/{name}", "name": name, "observed": observed, "steps": steps}


def _maze(length: int, steps: int, batch_size: int) -> dict[str, Any]:
    shared = {"id": "subcritic/TMaze-v0", "name": f"TMaze-{length}"}
    return {
        **shared,
        "kwargs": {"length": length},
        "observed": {**shared, "kwargs": {"length": length, "reminds": True}},
        "steps": steps,
        "sequence": length + 2,
        "batch_size": batch_size,
        "update_every": 2,
        "time_constants": (0.5, 50.0),
        "trace_steps": (2.0, 8.0, 32.0, 128.0),
    }


class Recurrent(Section):
    """Learning without unrolling: recurrent networks on tasks that take memory, and what tells whether they have it."""

    environments: Annotated[tuple[MemoryTask, ...], Field(min_length=1)] = Field(
        (
            _hidden_velocity("Pendulum", "Pendulum-v1", 24_000),
            _hidden_velocity("CartpoleBalance", "subcritic/CartpoleBalance-v0"),
            _hidden_velocity("CartpoleSwingUp", "subcritic/CartpoleSwingUp-v0"),
            _maze(5, 6_000, 16),
            _maze(20, 12_000, 8),
            _maze(50, 20_000, 4),
        ),
        validate_default=True,
        description="Tasks to train on.",
    )
    agent: GraphSettings = Field(
        {"noise": "ornstein_uhlenbeck", "noise_scale": 0.3},
        validate_default=True,
        description="The actor on a graph that learns by learned feedback; the other methods differ from it by what their "
        "names say.",
    )
    linear: LocalMethod = Field(
        {
            "algorithm": "linear",
            "hidden": (64,),
            "critic_rate": 1e-2,
            "actor_rate": 1e-2,
            "exploration": "neuron",
            "noise": "ornstein_uhlenbeck",
            "noise_scale": 0.3,
        },
        validate_default=True,
        description="The drafts' rule, in a recurrent network of as many neurons.",
    )
    methods: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        METHODS,
        description="What is compared: learned-feedback, backpropagation, feedforward and random, and of the others any.",
    )
    training: Training = Field(Training(steps=15_000), description="Length and evaluation of its trainings.")

    @field_validator("methods")
    @classmethod
    def _known_and_enough(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in methods if name not in METHODS]:
            raise ValueError(f"{unknown[0]!r} is none; known: {', '.join(METHODS)}")
        if missing := [name for name in NEEDED if name not in methods]:
            raise ValueError(f"{missing[0]} is missing, with which the others are compared")
        return methods

    @model_validator(mode="after")
    def _steps_can_be_learned_so(self) -> Recurrent:
        need(
            "linear: learning from single steps",
            self.linear,
            {
                "replay": "stored",
                "target": "own_td",
                "trace": 0,
                "frozen_hidden": False,
                "layers_in_turn": None,
                "last_layer_init": None,
            },
        )
        if isinstance(self.linear.noise_scale, tuple):
            raise ValueError("linear: noise_scale must be one number, since all its neurons are in one layer")
        needed = {"learns": "learned_feedback", "lags": None, "connections": "recurrent", "clocks": "common"}
        need("agent: the method learned-feedback", self.agent, needed)
        if self.agent.ticks <= len(self.agent.hidden):
            raise ValueError(
                f"agent: ticks must be above the number of hidden layers, {len(self.agent.hidden)}: with fewer, "
                "voltages that are on their way would be a memory of the method feedforward"
            )
        if sum(self.linear.hidden) != sum(self.agent.hidden):
            raise ValueError(
                f"linear: hidden must have {sum(self.agent.hidden)} neurons in all, as the agent has, not "
                f"{sum(self.linear.hidden)}"
            )
        unique_names("environments", self.environments)
        return self

    def maze(self, environment: MemoryTask) -> int | None:
        """How many steps a task of the maze must be remembered for; None for other tasks."""
        return int(environment.kwargs.get("length", 5)) if environment.id == "subcritic/TMaze-v0" else None


class Config(Section):
    """All that one training depends on, or, without an agent, the returns of random actions."""

    environment: Task
    agent: SerializeAsAny[AgentSettings] | None
    training: Training
    seeds: tuple[int, ...]


def agents(settings: Recurrent, task: MemoryTask) -> dict[str, AgentSettings | None]:
    """The learner of every method on a task."""
    base = settings.agent.model_dump(exclude_unset=True)
    own = {name: getattr(task, name) for name in OWN if getattr(task, name) is not None}
    found: dict[str, AgentSettings | None] = {}
    for method, changes in CHANGES.items():
        if task.observed is None and method == OBSERVED:
            continue
        given = {**base, **own, **changes}
        if given.get("learns", "learned_feedback") != "learned_feedback":
            given = {name: value for name, value in given.items() if name not in OF_FEEDBACK}
        found[method] = GraphSettings.model_validate({**given, "name": method})
    found |= {LINEAR: settings.linear, RANDOM: None}
    return {method: found[method] for method in settings.methods if method in found}


def described(profile: Profile) -> list[str]:
    settings = profile.section(Recurrent)
    tasks = ", ".join(
        f"{task.name} ({task.steps or settings.training.steps:,} steps)" for task in settings.environments
    )
    neurons = " and ".join(map(str, settings.agent.hidden))
    return [
        f"Recurrent networks of {neurons} hidden neurons, {settings.agent.ticks} ticks in an environment step, on {tasks}."
    ]


def jobs(profile: Profile) -> Iterator[Job]:
    settings, seeds = profile.section(Recurrent), tuple(profile.seed_list())
    for task in settings.environments:
        training = settings.training.model_copy(update={"steps": task.steps or settings.training.steps})
        for method, agent in agents(settings, task).items():
            trained_on = task.observed if method == OBSERVED and task.observed is not None else task
            config = Config(environment=trained_on.task(), agent=agent, training=training, seeds=seeds)
            yield Job(
                "recurrent",
                profile.profile,
                config,
                task.name,
                method,
                runs=(Run(task.name, method, config),) if agent is not None else (),
                seeds=seeds,
                runtime=profile.runtime,
            )
