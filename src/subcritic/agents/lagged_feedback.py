"""Learned feedback over time: a neuron learns from its own noise how it moves the action now and some steps later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from subcritic import seeding
from subcritic.neuro.clocks import Clocks, Trace
from subcritic.nn.normal import normals
from subcritic.rules.learned_feedback import mean_square


class LaggedFeedback:
    """B of every tick of every neuron over lags 0 … `lags`, in environment steps; S seeds. B starts at 0.

    A neuron's noise ξ at a tick of step t moves z of the action's neurons at their last tick of step t + k by Δz. B_k, (n_L)
    numbers for each neuron and tick, follows the mean of ∂z_{t+k}/∂v by Widrow and Hoff's rule on all noise together,

        ρ_t = Δz_t − Σ_k Σ_n B_k,n ξ_{t−k,n},    B_k,n += η mean(ρ_t ξ_{t−k,n}),

    the mean over all T steps of a sequence, with noise before it counted as 0: B of long lags, with T − k terms, follow more
    slowly. It is the rule of `subcritic.rules.learned_feedback`, whose B is B_0 of one layer. A neuron learns with the error
    δ_t = (Σ_k B_k · e_{t+k}) κ σ'(z_t): for every e that it hears it needs its own inputs and noise of the last `lags`
    steps, and nothing of another neuron. Noise of the action's neurons at their last tick does not act on z of that step.
    Sequences are followed past the end of an episode: there B learns, though no connection does.
    """

    def __init__(
        self,
        clocks: Clocks,
        exists: np.ndarray,
        seeds: Sequence[int],
        lags: int,
        scale: float,
        rate: float,
    ) -> None:
        self.clocks, self.lags, self.scale, self.rate = clocks, lags, scale, rate
        self.rngs = seeding.generators(seeds, "training imagination")
        actions = len(clocks.agent.outputs)
        self.feedback = np.zeros((len(seeds), lags + 1, actions, len(clocks.order)))
        # Whether noise of a neuron at a tick can have an effect, (S, 1, 1, F): it needs an outgoing connection, or a leak.
        heard = exists.any(axis=2) | (clocks.relax < 1)
        self.noisy: np.ndarray = heard[:, None, None, clocks.order]

    def noise(self, rows: int, steps: int) -> np.ndarray:
        """ξ ~ N(0, scale²) for every tick of T steps, (S, B, T, F); 0 of neurons without an effect."""
        drawn: np.ndarray = normals(self.rngs, (rows, steps, len(self.clocks.order))).astype(np.float64)
        return drawn * (self.scale * self.noisy)

    def learn(self, deviation: np.ndarray, noise: np.ndarray) -> None:
        """One step of B, from Δz (S, B, T, n_L) and ξ (S, B, T, F)."""
        left = deviation - self.expected(noise)
        seeds, rows, steps, width = noise.shape
        features = self.noisy.sum(axis=(1, 2, 3)) * (self.lags + 1)
        shares = [mean_square(int(count), rows * steps) * rows * steps for count in features]
        step = self.rate / self.scale**2 / np.array(shares).reshape(-1, 1, 1)
        for k in range(min(self.lags + 1, steps)):
            early = noise[:, :, : steps - k].reshape(seeds, -1, width)
            late = left[:, :, k:].reshape(seeds, -1, left.shape[-1])
            self.feedback[:, k] += step * (late.swapaxes(1, 2) @ early)

    def expected(self, noise: np.ndarray) -> np.ndarray:
        """Σ_k B_k ξ_{t−k}, (S, B, T, n_L)."""
        seeds, rows, steps, width = noise.shape
        found = np.zeros((seeds, rows, steps, self.feedback.shape[2]))
        for k in range(min(self.lags + 1, steps)):
            early = noise[:, :, : steps - k].reshape(seeds, -1, width)
            found[:, :, k:] += (early @ self.feedback[:, k].swapaxes(1, 2)).reshape(
                seeds, rows, steps - k, -1
            )
        return found

    def errors(self, traces: Sequence[Trace], error: np.ndarray, lags: int | None = None) -> np.ndarray:
        """δ of every neuron at every tick, (S, B, T, F), from e (S, B, T, n_L) as in `through_time.backpropagated`.

        lags: of B only up to so many; None: all.
        """
        lags = self.lags if lags is None else lags
        seeds, rows, steps, actions = error.shape
        found = np.zeros((seeds, rows, steps, len(self.clocks.order)))
        for k in range(min(lags + 1, steps)):
            later = error[:, :, k:].reshape(seeds, -1, actions)
            found[:, :, : steps - k] += (later @ self.feedback[:, k]).reshape(seeds, rows, steps - k, -1)
        found *= np.stack([trace.slopes for trace in traces], axis=2)
        found[..., self.clocks.last] += error
        return found

    def state_dict(self) -> dict[str, Any]:
        return {"feedback": self.feedback.copy(), "rngs": seeding.states(self.rngs)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.feedback[:] = state["feedback"]
        seeding.restore(self.rngs, state["rngs"])
