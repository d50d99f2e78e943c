"""Which seeds still learn: one stops when it diverged, by its weights, actions or values, or when its environment failed."""

from __future__ import annotations

from typing import Any

import numpy as np

from subcritic.agents import Agent
from subcritic.nn.devices import to_host


class DivergenceWatch:
    """A seed has diverged when a parameter or an action is not finite or |Q| > factor · max(max|r| / (1 − γ), |Q_0|).

    max|r| / (1 − γ), over the rewards so far, bounds every return; `factor` allows for critics that overshoot and recover.
    |Q_0| is what the critic said at the first look, when it had hardly learned: where rewards are sparse or small, an
    untrained critic says more than any return, and unlearns it.

    `failures`: of each seed, what its environment gave that is not finite, and when. It is no fault of the learner's.
    """

    def __init__(self, seeds: int, discount: float, factor: float) -> None:
        self.factor, self.discount = factor, discount
        self.largest_reward = np.zeros(seeds)
        self.first_value = np.zeros(seeds)
        self.diverged_at: list[int | None] = [None] * seeds
        self.failures: list[str | None] = [None] * seeds

    @property
    def active(self) -> list[int]:
        """Indices of the seeds still learning."""
        states = zip(self.diverged_at, self.failures, strict=True)
        return [s for s, (at, failure) in enumerate(states) if at is None and failure is None]

    def see_rewards(self, rewards: np.ndarray) -> None:
        """The rewards (S,) of one step."""
        self.largest_reward = np.maximum(self.largest_reward, np.abs(rewards))

    def see_actions(self, actions: np.ndarray, step: int) -> list[int]:
        """Mark the active seeds whose actions (S, n_L) are not finite as diverged; returns their indices."""
        if np.isfinite(actions).all():
            return []
        finite = np.isfinite(actions).all(axis=1)
        return self._stop([s for s in self.active if not finite[s]], step)

    def check(self, agent: Agent, step: int) -> list[int]:
        """Mark the seeds that have diverged by this step; returns the indices of the newly diverged ones."""
        finite, magnitude = to_host(agent.finite()), to_host(agent.value_magnitude())
        # 0 until the critic has been asked for the first time.
        self.first_value = np.where(self.first_value > 0, self.first_value, magnitude)
        bound = self.factor * np.fmax(self.largest_reward / (1 - self.discount), self.first_value)
        return self._stop([s for s in self.active if not (finite[s] and magnitude[s] <= bound[s])], step)

    def _stop(self, diverged: list[int], step: int) -> list[int]:
        for s in diverged:
            self.diverged_at[s] = step
        return diverged

    def state_dict(self) -> dict[str, Any]:
        return {
            "largest_reward": self.largest_reward.copy(),
            "first_value": self.first_value.copy(),
            "diverged_at": list(self.diverged_at),
            "failures": list(self.failures),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.largest_reward = state["largest_reward"].copy()
        self.first_value = state["first_value"].copy()
        self.diverged_at, self.failures = list(state["diverged_at"]), list(state["failures"])


def due(step: int, every: int, update_every: int) -> bool:
    """Whether an update at `step` is the first one at or after a multiple of `every`; updates come every `update_every`."""
    return step % update_every == 0 and step // every > (step - update_every) // every
