"""The divergence watch stops a seed whose weights are not finite or whose values exceed any possible return."""

from __future__ import annotations

from typing import Any

import numpy as np

from subcritic.agents import Agent


class DivergenceWatch:
    """A seed has diverged when a parameter is not finite or |Q| > factor · max|r| / (1 − γ), over the rewards so far.

    max|r| / (1 − γ) bounds every return; `factor` allows for critics that overshoot and recover.
    """

    def __init__(self, seeds: int, discount: float, factor: float) -> None:
        self.factor, self.discount = factor, discount
        self.largest_reward = np.zeros(seeds)
        self.diverged_at: list[int | None] = [None] * seeds

    @property
    def active(self) -> list[int]:
        """Indices of the seeds still learning."""
        return [s for s, at in enumerate(self.diverged_at) if at is None]

    def see_rewards(self, rewards: np.ndarray) -> None:
        """The rewards (S,) of one step; a NaN is passed over."""
        self.largest_reward = np.fmax(self.largest_reward, np.abs(rewards))

    def check(self, agent: Agent, step: int) -> list[int]:
        """Mark the seeds that have diverged by this step; returns the indices of the newly diverged ones."""
        bound = self.factor * self.largest_reward / (1 - self.discount)
        finite, magnitude = agent.finite().numpy(), agent.value_magnitude().numpy()
        found = [s for s in self.active if not (finite[s] and magnitude[s] <= bound[s])]
        for s in found:
            self.diverged_at[s] = step
        return found

    def state_dict(self) -> dict[str, Any]:
        return {"largest_reward": self.largest_reward.copy(), "diverged_at": list(self.diverged_at)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.largest_reward = state["largest_reward"].copy()
        self.diverged_at = list(state["diverged_at"])
