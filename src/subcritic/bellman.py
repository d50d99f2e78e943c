"""The one-step target of temporal-difference learning."""

from __future__ import annotations

from torch import Tensor


def bellman_target(reward: Tensor, discount: float, terminated: Tensor, next_value: Tensor) -> Tensor:
    """y = r + γ (1 − terminated) Q′; reward and terminated (S, B, 1) broadcast over next_value (S, B, n).

    An episode cut by a time limit is truncated, not terminated, and still bootstraps.
    """
    return reward + discount * (1 - terminated) * next_value
