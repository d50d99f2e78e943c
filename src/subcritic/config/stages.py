"""Settings of the stages: what each experiment of the chain measures, and for how long."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from subcritic.config.agents import AgentSettings
from subcritic.config.ddpg import DDPGSettings
from subcritic.config.environments import Environment
from subcritic.config.methods import LocalMethod
from subcritic.config.sections import Count, Fraction, Rate, Section, Sizes


class Training(Section):
    steps: Count = 10_000
    evaluate_every: Count = 1_000
    evaluation_episodes: Count = 5
    final_episodes: Count = 20
    log_every: Count = 250
    checkpoint_seconds: Rate = 20.0
    divergence_factor: Rate = 10.0


class Experiment1(Section):
    """Both phases, and a run with Gaussian noise of `neuron_noise_scale` on every neuron, with compatible sub-critics.

    At its snapshots the true gradient is regressed on the voltages of `regression_states` states, for `regression_steps`.
    """

    agent: DDPGSettings = DDPGSettings(algorithm="ddpg", hidden=(64, 64), batch_size=128)
    steps: Count = 10_000
    neurons_per_layer: Count = 8
    subcritic_hidden: Annotated[tuple[Count, Count], Field()] = (32, 32)
    subcritic_rate: Rate = 1e-3
    subcritic_batch: Count = 64
    update_every: Count = 1
    phase2_critic: Literal["frozen", "finetune"] = "frozen"
    held_out_states: Annotated[int, Field(ge=16)] = 256
    record_every: Count = 500
    window: Count = 5
    snapshots: Count = 5
    snapshot_states: Annotated[int, Field(ge=16)] = 512
    neuron_noise_scale: Rate = 0.1
    compatible_rate: Rate = 1e-2
    regression_states: Annotated[int, Field(ge=16)] = 4096
    regression_steps: Count = 1_000


class Anchors(Section):
    random_episodes: Annotated[int, Field(ge=10)] = 20


class Statistics(Section):
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    resamples: Annotated[int, Field(ge=100)] = 2_000


class Throughput(Section):
    hidden: tuple[Sizes, ...] = ((64, 64), (256, 256), (400, 300))
    batches: tuple[Count, ...] = (64, 256)
    rounds: Annotated[int, Field(ge=3)] = 11
    seconds: Rate = 0.1


class Theorem(Section):
    """Theorem 2.2.4 on trained agents: steps on the trajectory, states that share one v, draws of them."""

    trajectory_steps: Annotated[int, Field(ge=16)] = 512
    aliases: Annotated[int, Field(ge=2)] = 32
    draws: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 4, 16, 64, 256, 1024)


class Scaling(Section):
    """How agreement depends on width, noise and draws: `widths` at `noise_scale`, and `noise_scales` at `width`.

    `draws` grow by whole factors; `actor_steps`: how long each width's actor climbs the critic of Experiment 1, in turns.
    """

    widths: Annotated[tuple[Count, ...], Field(min_length=1)] = (8, 16, 32, 64, 128, 256)
    noise_scales: Annotated[tuple[Rate, ...], Field(min_length=1)] = (0.01, 0.03, 0.1, 0.3, 1.0)
    width: Count = 64
    noise_scale: Rate = 0.1
    draws: Annotated[tuple[Count, ...], Field(min_length=1)] = (64, 256, 1024, 4096, 16384, 65536)
    actor_steps: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0, 100)
    neurons_per_layer: Count = 2

    @model_validator(mode="after")
    def _draws_are_multiples(self) -> Scaling:
        for less, more in zip(self.draws, self.draws[1:], strict=False):
            if more <= less or more % less:
                raise ValueError(f"draws must grow by whole factors, and {more} is no multiple of {less}")
        return self


class Asynchronous(Section):
    """Learning in threads: trained both ways on `environments`; `speed` says at which sizes updates are counted."""

    environments: Annotated[tuple[Environment, ...], Field(min_length=1)] = (
        Environment(id="Pendulum-v1"),
        Environment(id="subcritic/Cart-v0", name="Cart-v0"),
    )
    agent: LocalMethod = Field(
        {
            "algorithm": "linear",
            "critic_rate": 1e-2,
            "actor_rate": 1e-2,
            "noise": "ornstein_uhlenbeck",
            "noise_scale": 0.3,
        },
        validate_default=True,
    )
    threads: Count = 2
    lag: Count = 64
    training: Training = Training(steps=6_000)
    speed: Throughput = Throughput()

    @model_validator(mode="after")
    def _threads_can_learn_so(self) -> Asynchronous:
        needed = {
            "algorithm": "linear",
            "optimiser": "sgd",
            "target": "own_td",
            "replay": "stored",
            "layers_in_turn": None,
        }
        _need("agent: learning in threads", self.agent, needed)
        return self


class Recurrent(Section):
    """Learning without unrolling: recurrent networks, a feed-forward one of the same size, DDPG as the control."""

    environments: Annotated[tuple[Environment, ...], Field(min_length=1)] = (
        Environment(id="Pendulum-v1"),
        Environment(id="subcritic/HiddenVelocityPendulum-v0", name="HiddenVelocityPendulum-v0"),
        Environment(id="subcritic/Cart-v0", name="Cart-v0"),
    )
    agent: LocalMethod = Field(
        {
            "algorithm": "linear",
            "hidden": (32, 32),
            "critic_rate": 1e-2,
            "actor_rate": 1e-2,
            "exploration": "neuron",
            "noise": "ornstein_uhlenbeck",
            "noise_scale": 0.3,
        },
        validate_default=True,
    )
    control: DDPGSettings = DDPGSettings(
        algorithm="ddpg", hidden=(32, 32), batch_size=128, noise="ornstein_uhlenbeck", noise_scale=0.3
    )
    leak: Fraction = 0.2
    training: Training = Training(steps=10_000)

    @model_validator(mode="after")
    def _steps_can_be_learned_so(self) -> Recurrent:
        _need(
            "agent: learning without unrolling",
            self.agent,
            {"replay": "stored", "target": "own_td", "trace": 0},
        )
        return self


def _need(who: str, agent: AgentSettings, needed: dict[str, Any]) -> None:
    """Raise ValueError unless the fields of `needed` that the agent has are as given there."""
    for field, value in needed.items():
        if (given := getattr(agent, field, value)) != value:
            raise ValueError(f"{who} needs {field} {value}, not {given}")
