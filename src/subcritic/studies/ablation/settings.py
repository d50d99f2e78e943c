"""The ablation's section of a config, and its jobs: one for each environment and method, all seeds in one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from subcritic.config import Count, Environment, Method, Profile
from subcritic.config.profile import OnSomeEnvironments, unique_names
from subcritic.study import Job, method_jobs

# Small networks, since there are many methods; correlated noise, as DDPG has in the profile `quick`.
SHARED: dict[str, Any] = {
    "hidden": (32, 32),
    "batch_size": 64,
    "noise": "ornstein_uhlenbeck",
    "noise_scale": 0.3,
}
ADAM: dict[str, Any] = {"optimiser": "adam", "critic_rate": 1e-3, "actor_rate": 1e-3}
# Less noise on hidden neurons than on the action.
NEURONS: dict[str, Any] = {"exploration": "neuron", "noise_scale": (0.1, 0.1, 0.3)}
# Independent noise of some size on every neuron, for rules that learn from it.
COAGENT: dict[str, Any] = {
    "algorithm": "coagent",
    "noise": "gaussian",
    "noise_scale": (0.2, 0.2, 0.3),
    **ADAM,
}

# Some combinations of rule, exploration and target.
METHODS: tuple[dict[str, Any], ...] = (
    {"algorithm": "ddpg"},
    {"algorithm": "ddpg", "name": "ddpg-frozen", "frozen_hidden": True},
    {"algorithm": "random_direction", **ADAM},
    # Nothing crosses layers.
    {"algorithm": "linear"},
    {"algorithm": "linear", "name": "linear-neuron", **NEURONS},
    {"algorithm": "compatible", "name": "compatible-neuron", **ADAM, **NEURONS},
    {"name": "coagent-layer", **COAGENT},
    # One scalar crosses layers.
    {"name": "coagent-global-td", "target": "global_td", **COAGENT},
    {"algorithm": "compatible", "name": "compatible-imagined", "replay": "imagined", **ADAM},
    {"algorithm": "node_perturbation", **ADAM},
    # As many numbers as an action has cross layers, or twice as many.
    {"algorithm": "feedback_alignment", **ADAM},
    {"algorithm": "learned_feedback", **ADAM},
    # And nothing is backpropagated anywhere, in the critic either.
    {
        "algorithm": "learned_feedback",
        "name": "learned-feedback-throughout",
        "critic": "learned_feedback",
        **ADAM,
    },
)


class Ablation(OnSomeEnvironments):
    """Local rules side by side, with DDPG and with controls: frozen hidden layers, and a random direction."""

    methods: Annotated[tuple[Method, ...], Field(min_length=1)] = Field(
        [SHARED | method for method in METHODS],
        validate_default=True,
        description="The methods that are compared.",
    )
    steps: Count | None = Field(
        None, description="Environment steps of a training; none: as in Experiment 2."
    )

    def check_in(self, profile: Profile) -> None:
        super().check_in(profile)
        unique_names("ablation.methods", self.methods)


def environments_of(profile: Profile) -> tuple[Environment, ...]:
    """The environments of the ablation: those it names, or the profile's first one."""
    return profile.section(Ablation).chosen(profile)


def steps_of(profile: Profile, environment: Environment) -> int:
    """Environment steps of a training of the ablation on `environment`."""
    return profile.section(Ablation).steps or profile.steps_for(environment)


def jobs(profile: Profile) -> Iterator[Job]:
    chosen, methods = environments_of(profile), profile.section(Ablation).methods
    return method_jobs("ablation", profile, chosen, methods, partial(steps_of, profile))
