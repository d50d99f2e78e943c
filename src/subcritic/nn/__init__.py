"""Stacked multilayer perceptrons. Error backpropagation is not re-exported: import `subcritic.nn.backprop` explicitly."""

from subcritic.nn.mlp import MLP, Parameters, Voltages

__all__ = ["MLP", "Parameters", "Voltages"]
