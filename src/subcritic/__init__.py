"""Backpropagation-free parallel deep reinforcement learning: the paper's experiments as a tracked pipeline."""
