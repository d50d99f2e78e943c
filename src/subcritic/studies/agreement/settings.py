"""The section of a config on the agreement of whole rules, and its jobs: one for each environment and method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from subcritic.config import (
    AgentSettings,
    ConfigError,
    Count,
    LocalSettings,
    Method,
    MethodTraining,
    Profile,
    Rate,
    Section,
)
from subcritic.config.profile import OnSomeEnvironments, unique_names
from subcritic.study import Job, Run

# Whose actor, states and critic: the method's own, or DDPG's, which all local rules of the list follow.
OWN, LED = "own", "ddpg"
# Controls, beside the methods.
ORACLE, RANDOM = "oracle", "random"

# One actor for all; noise that is drawn afresh at every step, and on every neuron for rules that learn from executed noise.
SHARED: dict[str, Any] = {"hidden": (64, 64), "batch_size": 256}
NEURONS: dict[str, Any] = {"exploration": "neuron", "noise_scale": (0.2, 0.2, 0.3)}
ADAM: dict[str, Any] = {"optimiser": "adam", "critic_rate": 1e-3, "actor_rate": 1e-3}
OBSERVED: dict[str, Any] = {"critic_reads": "observation"}
METHODS: tuple[dict[str, Any], ...] = (
    {"algorithm": "ddpg", **NEURONS},
    # Nothing crosses layers.
    {"algorithm": "linear", "noise_scale": 0.3},
    {"algorithm": "compatible", **ADAM, **NEURONS},
    {"algorithm": "coagent", **ADAM, **NEURONS},
    # The observation goes forward to every layer's critic.
    {"algorithm": "coagent", "name": "coagent-observed", **OBSERVED, **ADAM, **NEURONS},
    {
        "algorithm": "coagent",
        "name": "coagent-observed-slope",
        "reads": "slope",
        **OBSERVED,
        **ADAM,
        **NEURONS,
    },
    # One scalar crosses layers: a global error times a neuron's executed noise, or a judgement of imagined noise.
    {"algorithm": "coagent", "name": "coagent-global-td", "target": "global_td", **ADAM, **NEURONS},
    {
        "algorithm": "coagent",
        "name": "coagent-global-advantage",
        "target": "global_advantage",
        **ADAM,
        **NEURONS,
    },
    {"algorithm": "node_perturbation", "noise_scale": 0.3, **ADAM},
    # Numbers for each action cross layers.
    {"algorithm": "feedback_alignment", "noise_scale": 0.3, **ADAM},
    {"algorithm": "learned_feedback", "noise_scale": 0.3, **ADAM},
)


class Returns(Section):
    """How expected updates are compared with the gradient of the return: by central differences in weight space."""

    directions: Annotated[int, Field(ge=0)] = Field(
        48,
        description="Random directions at DDPG's snapshots, which say how long the gradient is; 0 leaves the return out.",
    )
    episodes: Annotated[int, Field(ge=2)] = Field(
        16, description="Episodes of each policy, from the same start states for all."
    )
    radius: Rate = Field(
        0.001,
        description="Length of a step along a direction, as a share of the length of the actor's weights.",
    )


class Measurement(Section):
    """When directions are measured, and on how much data."""

    snapshots: Count = Field(
        4,
        description="Snapshots, evenly spaced along training, the last at its end; none before learning starts.",
    )
    states: Count = Field(
        4096,
        description="Replayed states per seed, as far as there are so many, for rules that draw noise afresh; others read "
        "the whole replay.",
    )
    draws: Count = Field(32, description="Draws of such noise at every state, to average it out.")
    permutations: Count = Field(1000, description="Permutations of the neurons within each layer.")
    returns: Returns = Field(Returns(), description="Settings of the gradient of the return.")


class Agreement(Measurement, OnSomeEnvironments):
    """Rules whose directions are compared with the true policy gradient, along training."""

    methods: Annotated[tuple[Method, ...], Field(min_length=1)] = Field(
        [SHARED | method for method in METHODS],
        validate_default=True,
        description="The methods. At most one is ddpg; local rules are also measured at its actor, and it must explore "
        "with all its neurons, or a subset.",
    )
    steps: Count = Field(10_000, description="Environment steps of a training.")

    def check_in(self, profile: Profile) -> None:
        super().check_in(profile)
        unique_names("agreement.methods", self.methods)
        if len([method for method in self.methods if leads(method)]) > 1:
            raise ValueError("agreement.methods: there can be only one ddpg, which the local rules follow")
        for method in self.methods:
            if method.name in (ORACLE, RANDOM):
                raise ValueError(f"agreement.methods: {method.name!r} is the name of a control")
            if leads(method):
                self._check_followers(method)

    def _check_followers(self, leader: AgentSettings) -> None:
        for follower in self.followers():
            if follower.hidden != leader.hidden:
                raise ValueError(
                    f"agreement.methods: {follower.name} must have the hidden layers of {leader.name}, "
                    f"{list(leader.hidden)}, to be measured at its actor"
                )
        scales = leader.noise_scale if isinstance(leader.noise_scale, tuple) else (leader.noise_scale,)
        if self.followers() and (leader.exploration == "action" or 0 in scales):
            raise ValueError(
                f"agreement.methods: {leader.name} needs exploration neuron or subset, with noise_scale above 0: "
                "local rules learn from its noise"
            )

    def followers(self) -> tuple[AgentSettings, ...]:
        """The methods that are measured at DDPG's actor too."""
        return tuple(method for method in self.methods if not leads(method))


class Config(Section):
    """All that the measurement of one method depends on.

    followers: the rules that are measured at its actor too. at: the steps of the snapshots.
    """

    method: MethodTraining
    followers: tuple[Method, ...]
    measurement: Measurement
    at: tuple[int, ...]

    @property
    def local_followers(self) -> list[LocalSettings]:
        """Of the followers, the local rules: agents of other kinds cannot follow."""
        return [follower for follower in self.followers if isinstance(follower, LocalSettings)]


def leads(method: AgentSettings) -> bool:
    """Whether other methods are measured at this one's actor."""
    return method.algorithm == "ddpg"


def snapshot_steps(steps: int, snapshots: int, method: AgentSettings) -> tuple[int, ...]:
    """The steps of the snapshots, none before the method learns. Raises ConfigError if none is left."""
    first = method.learning_starts
    evenly = (steps * number // snapshots for number in range(1, snapshots + 1))
    found = tuple(step for step in evenly if step >= first)
    if not found:
        raise ConfigError(f"agreement.steps = {steps}: must be at least learning_starts, {first}")
    return found


def described(profile: Profile) -> list[str]:
    settings = profile.section(Agreement)
    names = ", ".join(method.name for method in settings.methods)
    return [
        f"Agreement of rules: {names}; {settings.steps:,} steps on {', '.join(e.name for e in settings.chosen(profile))}, "
        f"{settings.snapshots} snapshots."
    ]


def jobs(profile: Profile) -> Iterator[Job]:
    settings, seeds = profile.section(Agreement), tuple(profile.seed_list())
    measurement = Measurement(**{name: getattr(settings, name) for name in Measurement.model_fields})
    training = profile.training.model_copy(update={"steps": settings.steps})
    for environment in settings.chosen(profile):
        for method in settings.methods:
            config = Config(
                method=MethodTraining(
                    environment=environment.task(), agent=method, training=training, seeds=seeds
                ),
                followers=settings.followers() if leads(method) else (),
                measurement=measurement,
                at=snapshot_steps(settings.steps, settings.snapshots, method),
            )
            yield Job(
                "agreement",
                profile.profile,
                config,
                environment.name,
                method.name,
                runs=(Run(environment.name, method.name, config),),
                seeds=seeds,
                runtime=profile.runtime,
            )
