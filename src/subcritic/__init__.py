"""Backpropagation-free parallel deep reinforcement learning: the paper's experiments as a tracked pipeline."""

__version__ = "0.1.0"
