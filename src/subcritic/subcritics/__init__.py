"""Sub-critics of Experiment 1: one per layer, and one per neuron on a chosen subset."""

from subcritic.subcritics.family import SubCriticFamily, chosen_neurons
from subcritic.subcritics.subcritic import SubCritic

__all__ = ["SubCritic", "SubCriticFamily", "chosen_neurons"]
