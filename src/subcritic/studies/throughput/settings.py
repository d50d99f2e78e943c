"""The section of a config on throughput, and its one job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from subcritic.config import Count, Profile, Rate, Section, Sizes
from subcritic.rules import RULES
from subcritic.study import Job


class Throughput(Section):
    """At which sizes updates are timed, and how often."""

    hidden: tuple[Sizes, ...] = Field(
        ((64, 64), (256, 256), (400, 300)), description="Hidden layers of the networks that are timed."
    )
    batches: tuple[Count, ...] = Field((64, 256), description="Minibatch sizes that are timed.")
    rounds: Annotated[int, Field(ge=3)] = Field(
        11, description="Rounds in which all learners take turns, in an order drawn anew."
    )
    seconds: Rate = Field(0.1, description="Seconds that one learner is timed in a round.")
    training_steps: Count = Field(
        200, description="Environment steps of whole training that one learner is timed for in a round."
    )
    training_rounds: Annotated[int, Field(ge=3)] = Field(5, description="Rounds of whole training.")


# Rules whose critics take plain steps here, as the drafts' linear rule does; the others step by Adam.
PLAIN = ("linear", "bilinear", "compatible", "mlp")


class Config(Section):
    """All that the measurement depends on. rules: the settings in which each rule differs from its defaults."""

    sizes: Throughput
    rules: tuple[dict[str, Any], ...]


def local_rules() -> tuple[dict[str, Any], ...]:
    """Every local rule but the linear one; one with four draws, and one with the critic's own gradient."""
    others = [
        {"algorithm": name} if name in PLAIN else {"algorithm": name, "optimiser": "adam"}
        for name in RULES
        if name != "linear"
    ]
    four = {"algorithm": "node_perturbation", "name": "node-perturbation-4", "optimiser": "adam", "draws": 4}
    gradient = {
        "algorithm": "learned_feedback",
        "name": "learned-feedback-gradient",
        "optimiser": "adam",
        "action_error": "gradient",
    }
    return (*others, four, gradient)


def jobs(profile: Profile) -> Iterator[Job]:
    config = Config(sizes=profile.section(Throughput), rules=local_rules())
    yield Job("throughput", profile.profile, config, learners=("ddpg", *RULES))
