"""Local rules: how the neurons of one layer learn from what that layer alone went through."""

from subcritic.rules.linear import LinearRule
from subcritic.rules.protocol import Layer, LocalRule, LocalTransition

__all__ = ["Layer", "LinearRule", "LocalRule", "LocalTransition"]
