"""Stacked multilayer perceptrons. Error backpropagation is not imported here: who wants it says `nn.backprop`."""

from subcritic.nn.mlp import MLP, Parameters, Voltages

__all__ = ["MLP", "Parameters", "Voltages"]
