"""The section of a config on learning in threads and in processes, and its one job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, model_validator

from subcritic.config import Count, Environment, LocalMethod, Profile, Rate, Section, Sizes, Task, Training
from subcritic.config.agents import need
from subcritic.config.profile import unique_names
from subcritic.studies.throughput.settings import Throughput
from subcritic.study import Job, Run

SHARED: dict[str, Any] = {
    "layers_in_turn": None,
    "frozen_hidden": False,
    "update_every": 1,
    "newest": None,
    "normalisation": "none",
}
HEARD = {**SHARED, "replay": "imagined", "feedback_inputs": False}
# What threads can learn with, by algorithm.
NEEDED: dict[str, dict[str, Any]] = {
    "linear": {**SHARED, "optimiser": "sgd", "target": "own_td", "replay": "stored"},
    "learned_feedback": HEARD,
    "node_perturbation": HEARD,
}
NOISE: dict[str, Any] = {"noise": "ornstein_uhlenbeck", "noise_scale": 0.3}
ADAM: dict[str, Any] = {"optimiser": "adam", "actor_rate": 1e-3, **NOISE}
WAYS = ("synchronous", "asynchronous")
# Whose layers run in processes, and whether it backpropagates: the rule, and the same actor and critic as DDPG.
IN_PROCESSES = {"learned-feedback": False, "ddpg": True}
# Their observations and actions, those of HalfCheetah and Walker2d.
OBSERVATION, ACTION = 17, 6


class Speed(Throughput):
    """At which sizes updates are timed in threads, and how often."""

    hidden: tuple[Sizes, ...] = Field(
        ((64, 64), (128, 128), (256, 256), (1024, 1024)),
        description="Hidden layers of the networks that are timed.",
    )
    batches: tuple[Count, ...] = Field((128,), description="Minibatch sizes that are timed.")


class Distributed(Section):
    """What crosses between layers that learn in processes, or on machines, of their own."""

    counted: tuple[Sizes, ...] = Field(
        ((64, 64), (256, 256), (256, 256, 256, 256)),
        description="Hidden layers of the actors that run in processes, what crosses being counted.",
    )
    computed: tuple[Sizes, ...] = Field(
        ((1024, 1024), (1024,) * 8, (1024,) * 32),
        description="Hidden layers of the actors for which it is only computed.",
    )
    batch: Count = Field(128, description="Minibatch size.")
    updates: Count = Field(3, description="Updates that are counted.")
    latency: Rate = Field(
        50e-6, description="Assumed seconds that a message takes between machines, however short."
    )
    bandwidth: Rate = Field(10e9, description="Assumed bits per second that a machine sends, and receives.")


class Asynchronous(Section):
    """Learning in threads, compared with the same learners without threads; and layers in processes of their own."""

    environments: Annotated[tuple[Environment, ...], Field(min_length=1)] = Field(
        (
            Environment(id="Pendulum-v1", name="Pendulum-v1"),
            Environment(id="subcritic/CartpoleSwingUp-v0", name="CartpoleSwingUp-v0"),
            Environment(id="subcritic/Cart-v0", name="Cart-v0"),
        ),
        description="Environments to train on.",
    )
    agents: Annotated[tuple[LocalMethod, ...], Field(min_length=1)] = Field(
        (
            {"algorithm": "linear", "critic_rate": 1e-2, "actor_rate": 1e-2, **NOISE},
            {"algorithm": "learned_feedback", **ADAM},
            {"algorithm": "node_perturbation", **ADAM},
        ),
        validate_default=True,
        description="The local learners whose neurons are dealt to threads: of the linear rule, learned feedback or node "
        "perturbation.",
    )
    threads: Count = Field(
        2,
        description="Number of threads to which neurons are dealt; a global critic has one more of its own.",
    )
    lag: Count = Field(64, description="Updates that a thread may be behind before acting waits for it.")
    training: Training = Field(Training(steps=6_000), description="Length and evaluation of its trainings.")
    speed: Speed = Field(Speed(), description="At which sizes updates per second are timed.")
    distributed: Distributed = Field(
        Distributed(), description="Layers in processes of their own, and what crosses between them."
    )

    @model_validator(mode="after")
    def _threads_can_learn_so(self) -> Asynchronous:
        unique_names("agents", self.agents)
        layers = [*self.speed.hidden, *(agent.hidden for agent in self.agents)]
        # Of what was recorded of an agent, layers may be unknown.
        fewest = min((neurons for hidden in layers for neurons in hidden), default=self.threads)
        if self.threads > fewest:
            raise ValueError(f"threads must be at most {fewest}, the neurons of the smallest hidden layer")
        for agent in self.agents:
            if agent.algorithm not in NEEDED:
                known = ", ".join(NEEDED)
                raise ValueError(
                    f"agents: learning in threads needs algorithm {known}, not {agent.algorithm}"
                )
            need("agents: learning in threads", agent, NEEDED[agent.algorithm])
            if getattr(agent, "action_error", "") == "control_variate":
                raise ValueError(
                    "agents: learning in threads needs another action_error than control_variate"
                )
        return self


class Config(Section):
    """All that one training, with or without threads, depends on."""

    environment: Task
    agent: LocalMethod
    threads: int
    lag: int
    training: Training
    seeds: tuple[int, ...]


class JobConfig(Section):
    """All that the study depends on."""

    trainings: tuple[Config, ...]
    speed: Speed
    distributed: Distributed


def jobs(profile: Profile) -> Iterator[Job]:
    settings, seeds = profile.section(Asynchronous), tuple(profile.seed_list())
    trainings = tuple(
        Config(
            environment=environment.task(),
            agent=agent,
            threads=settings.threads,
            lag=settings.lag,
            training=settings.training.model_copy(
                update={"steps": environment.steps or settings.training.steps}
            ),
            seeds=seeds,
        )
        for environment in settings.environments
        for agent in settings.agents
    )
    yield Job(
        "asynchronous",
        profile.profile,
        JobConfig(trainings=trainings, speed=settings.speed, distributed=settings.distributed),
        runs=tuple(
            Run(config.environment.name, f"{config.agent.name}-{way}", config)
            for config in trainings
            for way in WAYS
        ),
        seeds=seeds,
        learners=("ddpg", *NEEDED),
        runtime=profile.runtime,
    )
