"""Experiment 1's section of a config, and its jobs: one for each environment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, field_validator

from subcritic.config import Count, DDPGSettings, Evaluations, Profile, Rate, Section, Task
from subcritic.study import Job, Run

PHASES = ("phase1", "phase2")
# Phase 1 again with noise on every neuron, and sub-critics that use it.
NEURON_NOISE = "neuron_noise"


class Experiment1(Section):
    """Both phases, and a run with Gaussian noise on every neuron, with compatible sub-critics."""

    agent: DDPGSettings = Field(
        DDPGSettings(algorithm="ddpg", hidden=(64, 64), batch_size=128),
        description="The DDPG agent beside which sub-critics learn.",
    )
    steps: Count = Field(10_000, description="Environment steps of each phase, per seed.")
    neurons_per_layer: Count = Field(8, description="Neurons of each layer that get a critic of their own.")
    subcritic_hidden: tuple[Count, Count] = Field((32, 32), description="Widths of a sub-critic's layers.")
    subcritic_rate: Rate = Field(1e-3, description="Step size of the sub-critics (Adam).")
    subcritic_batch: Count = Field(64, description="Minibatch of the sub-critics.")
    update_every: Count = Field(1, description="Environment steps between two updates of the sub-critics.")
    phase2_critic: Literal["frozen", "finetune"] = Field(
        "frozen", description="Whether phase 2 keeps the critic of phase 1 as it is, or trains it on."
    )
    held_out_states: Annotated[int, Field(ge=16)] = Field(
        256, description="States from random episodes on which critics are compared."
    )
    record_every: Count = Field(500, description="Environment steps between two comparisons of critics.")
    window: Count = Field(5, description="Records that windowed values are averaged over.")
    snapshots: Count = Field(5, description="How often, evenly along training, everything is saved.")
    snapshot_states: Annotated[int, Field(ge=16)] = Field(
        512, description="Replayed states of each snapshot, at which gradients are compared."
    )
    neuron_noise_scale: Rate = Field(
        0.1, description="Standard deviation of the noise on every neuron in the third run."
    )
    compatible_rate: Rate = Field(1e-2, description="Step size of the compatible sub-critics.")
    regression_states: Annotated[int, Field(ge=16)] = Field(
        4096, description="States at which the true gradient is regressed on a layer's input."
    )
    regression_steps: Count = Field(1_000, description="Steps of that regression (Adam).")

    @property
    def snapshot_every(self) -> int:
        """Steps between two snapshots."""
        return max(self.steps // self.snapshots, 1)

    @field_validator("agent")
    @classmethod
    def _actor_and_critic_read_the_same(cls, agent: DDPGSettings) -> DDPGSettings:
        if agent.encoder is not None and agent.encoder.trained == "separately":
            raise ValueError(
                "encoder.trained must be by_critic or never: sub-critics are held against a critic that reads what the "
                "actor reads"
            )
        return agent


class Config(Section):
    """All that the numbers of Experiment 1 on one environment depend on."""

    environment: Task
    experiment1: Experiment1
    training: Evaluations
    seeds: tuple[int, ...]


def config_of(profile: Profile, task: Task) -> Config:
    """Experiment 1's config on a task; also what everything that starts from its snapshots depends on."""
    return Config(
        environment=task,
        experiment1=profile.section(Experiment1),
        training=profile.training.evaluations(),
        seeds=tuple(profile.seed_list()),
    )


def jobs(profile: Profile) -> Iterator[Job]:
    for environment in profile.environments:
        config = config_of(profile, environment.task())
        yield Job(
            "experiment1",
            profile.profile,
            config,
            environment.name,
            runs=tuple(Run(environment.name, name, config) for name in (*PHASES, NEURON_NOISE)),
            seeds=config.seeds,
            runtime=profile.runtime,
        )


def described(profile: Profile) -> list[str]:
    settings = profile.section(Experiment1)
    layers = " and ".join(map(str, settings.agent.hidden))
    names = ", ".join(environment.name for environment in profile.environments)
    return [
        f"Experiment 1: {settings.steps:,} steps on {names}, an actor with {layers} hidden neurons, critics for every "
        f"layer and for up to {settings.neurons_per_layer} neurons of each."
    ]
