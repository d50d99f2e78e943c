"""The section of a config on robustness, and its jobs: one for each policy of Experiment 2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from subcritic.config import Count, Fraction, MethodTraining, Profile, Section
from subcritic.studies import experiment2
from subcritic.study import Job, Run

# Disturbances.
NONE, NOISE, SILENCED = "none", "observation_noise", "silenced_neurons"


class Robustness(Section):
    """How trained policies are disturbed, and for how many episodes."""

    noise_scales: Annotated[tuple[Annotated[float, Field(ge=0.01)], ...], Field(min_length=1)] = Field(
        (0.1, 0.3, 1.0),
        description="Standard deviations of Gaussian noise on every observation, in units of the standard deviation "
        "of that component along the undisturbed episodes of the same policy.",
    )
    silenced: Fraction = Field(
        0.1, description="Share of each hidden layer's neurons whose output is set to 0."
    )
    draws: Count = Field(5, description="How often other neurons are drawn to be silenced.")
    episodes: Count = Field(20, description="Episodes of each policy under each disturbance.")


class Config(Section):
    """All that the measurement of one method's policies depends on."""

    policy: MethodTraining
    robustness: Robustness


def described(profile: Profile) -> list[str]:
    settings = profile.section(Robustness)
    scales = ", ".join(f"{scale:g}" for scale in settings.noise_scales)
    trained = experiment2.STUDY.described
    return [
        *(trained(profile) if trained else []),
        f"Robustness: {settings.episodes} episodes of each policy, with noise of {scales} standard deviations, and with "
        f"{settings.draws} draws of {100 * settings.silenced:g} % of the neurons silenced.",
    ]


def jobs(profile: Profile) -> Iterator[Job]:
    for trained in experiment2.STUDY.jobs(profile):
        config = Config(policy=trained.config, robustness=profile.section(Robustness))
        yield Job(
            "robustness",
            profile.profile,
            config,
            trained.environment,
            trained.method,
            reads=(trained.path(experiment2.STUDY.records["policy"].path),),
            runs=(Run(trained.environment, trained.method, config),),
            seeds=trained.seeds,
            runtime=profile.runtime,
        )
