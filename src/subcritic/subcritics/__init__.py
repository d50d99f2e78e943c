"""Sub-critics of Experiment 1: one per layer, one per neuron on a chosen subset, and compatible ones for every neuron."""

from subcritic.subcritics.compatible import CompatibleSubCritics
from subcritic.subcritics.family import SubCriticFamily, chosen_neurons, trained_family
from subcritic.subcritics.subcritic import SubCritic

__all__ = ["CompatibleSubCritics", "SubCritic", "SubCriticFamily", "chosen_neurons", "trained_family"]
