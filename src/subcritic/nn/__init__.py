"""Stacked multilayer perceptrons with closed-form gradients."""

from subcritic.nn.mlp import MLP, Parameters, Voltages
from subcritic.nn.network import Network

__all__ = ["MLP", "Network", "Parameters", "Voltages"]
