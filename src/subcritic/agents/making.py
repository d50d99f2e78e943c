"""From a method's settings to its rule and to its global critic."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from subcritic import seeding
from subcritic.agents.global_critics import GLOBAL_CRITICS, GlobalCritic
from subcritic.config import LocalSettings
from subcritic.rules import (
    BilinearRule,
    CompatibleRule,
    FeedbackAlignmentRule,
    LearnedFeedbackRule,
    LinearRule,
    NodePerturbationRule,
    RandomDirectionRule,
    Rule,
    ascent,
)
from subcritic.rules.mlp import MlpRule

RULES = {
    "linear": LinearRule,
    "bilinear": BilinearRule,
    "compatible": CompatibleRule,
    "mlp": MlpRule,
    "node_perturbation": NodePerturbationRule,
    "feedback_alignment": FeedbackAlignmentRule,
    "learned_feedback": LearnedFeedbackRule,
    "random_direction": RandomDirectionRule,
}


def make_rule(settings: LocalSettings, action_size: int) -> Rule:
    """The rule that `settings.algorithm` names, with its switches set."""
    extra = {}
    if settings.algorithm == "compatible":
        extra = {
            "natural": settings.natural,
            "trace": settings.trace,
            "imagined": settings.replay == "imagined",
            "knows_noise": settings.replay != "stored",
        }
    if settings.algorithm == "feedback_alignment":
        extra = {"action_size": action_size}
    if settings.algorithm == "learned_feedback":
        extra = {"action_size": action_size, "feedback_rate": settings.feedback_rate}
    kind = RULES[settings.algorithm]
    return kind(
        critic=ascent(settings.optimiser, settings.critic_rate),
        actor=ascent(settings.optimiser, settings.actor_rate),
        discount=settings.discount,
        polyak=settings.polyak,
        aim="own" if settings.target == "own_td" else "told",
        **extra,
    )


def make_global_critic(
    settings: LocalSettings,
    observation_size: int,
    action_size: int,
    seeds: Sequence[int],
    dtype: torch.dtype = torch.float32,
) -> GlobalCritic | None:
    """The critic of the whole agent that `settings` ask for; None if they need none."""
    if not settings.needs_global_critic:
        return None
    rngs = seeding.generators(seeds, "training critic")
    return GLOBAL_CRITICS[settings.critic](settings, observation_size, action_size, rngs, dtype)
