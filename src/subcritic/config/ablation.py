"""Settings of the ablation: which local rules are compared, on what, and for how long."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from subcritic.config.methods import Method
from subcritic.config.sections import Count, Section

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
SUBSET: dict[str, Any] = {"exploration": "subset", "noise_scale": (0.3, 0.3, 0.3), "noisy_fraction": 0.1}

# A fraction of rules × exploration × target: each line changes one thing of a line before it.
ATTEMPTS: tuple[dict[str, Any], ...] = (
    {"algorithm": "ddpg"},
    {"algorithm": "random_direction", **ADAM},
    # Nothing crosses layers.
    {"algorithm": "linear"},
    {"algorithm": "linear", "name": "linear-neuron", **NEURONS},
    {"algorithm": "compatible", "name": "compatible-neuron", **ADAM, **NEURONS},
    {"algorithm": "compatible", "name": "compatible-subset", **ADAM, **SUBSET},
    # One scalar crosses layers.
    {
        "algorithm": "compatible",
        "name": "compatible-global-advantage",
        "target": "global_advantage",
        **ADAM,
        **NEURONS,
    },
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
# Not yet settings, so that no rule is imported with the schema.
DEFAULT_METHODS = tuple(SHARED | attempt for attempt in ATTEMPTS)


class Ablation(Section):
    """Local rules side by side, with DDPG and a random direction as the two ends of the scale.

    environments: names of the profile's; none given is its first one. steps: None is as in Experiment 2.
    """

    environments: tuple[str, ...] = ()
    methods: Annotated[tuple[Method, ...], Field(min_length=1)] = Field(
        DEFAULT_METHODS, validate_default=True
    )
    steps: Count | None = None
