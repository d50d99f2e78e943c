"""Decaying sums of what was observed and done: a memory of fixed weights, for a critic of agents that remember."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class MemoryTraces:
    """φ_t = λ φ_{t−1} + √(1 − λ²) [s_t, a_{t−1}] for each λ = exp(−1 / τ), τ in environment steps; 0 before an episode.

    Nothing here is learned, so that what is stored in a replay stays right (memory traces: Eberhard, Muehlebach and Vernade
    2025). The factor gives every trace of white noise the same variance.
    """

    def __init__(self, steps: Sequence[float], observation_size: int, action_size: int) -> None:
        self.decay = np.repeat(np.exp(-1 / np.array(steps, float)), observation_size + action_size)
        self.size, self.copies = len(self.decay), len(steps)

    def after(self, traces: np.ndarray, action: np.ndarray, observation: np.ndarray) -> np.ndarray:
        """φ_{t+1} (…, size) from φ_t, a_t and s_{t+1}."""
        seen = np.concatenate([observation, action], axis=-1)
        fresh = np.concatenate([seen] * self.copies, axis=-1) if self.copies else seen[..., :0]
        found: np.ndarray = self.decay * traces + np.sqrt(1 - self.decay**2) * fresh
        return found
