"""Settings of the ablation: which local rules are compared, on what, and for how long."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from subcritic.config.agents import Method
from subcritic.config.sections import Count, Section

SHARED: dict[str, Any] = {
    "hidden": (64, 64),
    "batch_size": 128,
    "noise": "ornstein_uhlenbeck",
    "noise_scale": 0.3,
}
ATTEMPTS: tuple[dict[str, Any], ...] = (
    {"algorithm": "ddpg"},
    {"algorithm": "random_direction"},
    {"algorithm": "linear"},
)
DEFAULT_METHODS = TypeAdapter(tuple[Method, ...]).validate_python([SHARED | attempt for attempt in ATTEMPTS])


class Ablation(Section):
    """Local rules side by side, with DDPG and a random direction as the two ends of the scale.

    environments: names of the profile's; none given is its first one. steps: None is as in Experiment 2.
    """

    environments: tuple[str, ...] = ()
    methods: Annotated[tuple[Method, ...], Field(min_length=1)] = DEFAULT_METHODS
    steps: Count | None = None
