"""Local rules: how the neurons of one layer learn from what that layer alone went through, and what all are told.

The rule `mlp` is not passed on here: each of its neurons' critics is a small network that learns by gradients of its own.
"""

from subcritic.rules.ascent import Adaptive, Plain, ascent
from subcritic.rules.base import Rule
from subcritic.rules.bilinear import BilinearRule
from subcritic.rules.compatible import CompatibleRule
from subcritic.rules.feedback_alignment import FeedbackAlignmentRule
from subcritic.rules.learned_feedback import LearnedFeedbackRule
from subcritic.rules.linear import LinearRule
from subcritic.rules.node_perturbation import NodePerturbationRule
from subcritic.rules.protocol import SILENCE, Broadcast, Critics, Following, Layer, LocalRule, LocalTransition
from subcritic.rules.random_direction import RandomDirectionRule

__all__ = [
    "SILENCE",
    "Adaptive",
    "BilinearRule",
    "Broadcast",
    "CompatibleRule",
    "Critics",
    "FeedbackAlignmentRule",
    "Following",
    "Layer",
    "LearnedFeedbackRule",
    "LinearRule",
    "LocalRule",
    "LocalTransition",
    "NodePerturbationRule",
    "Plain",
    "RandomDirectionRule",
    "Rule",
    "ascent",
]
