"""A critic of agents that remember: it reads decaying sums of the past beside the observation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from subcritic import seeding
from subcritic.agents.memory_traces import MemoryTraces
from subcritic.agents.sequences import Sequences
from subcritic.bellman import bellman_target
from subcritic.config.graph import GraphSettings
from subcritic.nn import MLP, backprop
from subcritic.nn.network import Network


class HistoryCritic:
    """Q(s, φ, a) of S seeds, with φ of `MemoryTraces`; it learns by one-step targets at every row of replayed sequences."""

    def __init__(
        self,
        settings: GraphSettings,
        observation_size: int,
        action_size: int,
        seeds: Sequence[int],
        dtype: torch.dtype,
    ) -> None:
        self.settings, self.dtype = settings, dtype
        self.memory = MemoryTraces(settings.trace_steps, observation_size, action_size)
        sizes = (observation_size + self.memory.size, *settings.critic_hidden, 1)
        spec = MLP(sizes, "relu", "identity", side=(1, action_size))
        rngs = seeding.generators(seeds, "training critic")
        self.network = Network(spec, rngs, settings.critic_rate, dtype=dtype)

    def states(self, replayed: Sequences) -> Tensor:
        """What it reads of the states before and after every row, [s, φ], (2, S, B · T, n_0 + size)."""
        now = np.concatenate([replayed.observation[:, :, :-1], replayed.traces], axis=-1)
        later = self.memory.after(replayed.traces, replayed.action, replayed.observation[:, :, 1:])
        after = np.concatenate([replayed.observation[:, :, 1:], later], axis=-1)
        return self.flat(np.stack([now, after]))

    def flat(self, values: np.ndarray) -> Tensor:
        """(…, S, B, T, n) → (…, S, B · T, n)."""
        joined = values.reshape(*values.shape[:-3], values.shape[-3] * values.shape[-2], values.shape[-1])
        return torch.from_numpy(joined).to(self.dtype)

    def fit(self, replayed: Sequences, states: Tensor, action: np.ndarray) -> tuple[Tensor, Tensor]:
        """One step towards y = r + γ (1 − terminated) Q′(s′, φ′, μ); rows after an episode's end have no residual."""
        now, after = states
        next_value = self.network.forward(after, self.flat(action[:, :, 1:]), target=True).output
        reward, terminated, valid = map(self.flat, (replayed.reward, replayed.terminated, replayed.valid))
        target = bellman_target(reward, self.settings.discount, terminated, next_value)
        judged = self.network.forward(now, self.flat(replayed.action))
        value = judged.output.clone()
        residual = self.network.fit(judged, torch.where(valid > 0, target, value))
        self.network.track(self.settings.polyak)
        return value, residual

    def gradient(self, state: Tensor, action: Tensor) -> Tensor:
        """∂Q/∂a, by backpropagation within it; state (S, B, n_0 + size), action (S, B, n_L)."""
        judged = self.network.forward(state, action)
        upstream = torch.ones_like(judged.output)
        return backprop.side_gradient(self.network.spec, self.network.online, judged, upstream)

    def differences(self, state: Tensor, action: Tensor) -> Tensor:
        """∂Q/∂a by a central difference for each action alone, as the rule `learned_feedback` finds it."""
        found, sigma = torch.empty_like(action), self.settings.perturbation_scale
        for n in range(action.shape[-1]):
            plus, minus = action.clone(), action.clone()
            plus[..., n] = (plus[..., n] + sigma).clamp_(max=1)
            minus[..., n] = (minus[..., n] - sigma).clamp_(min=-1)
            apart = plus[..., n] - minus[..., n]
            above, below = (self.network.forward(state, side).output[..., 0] for side in (plus, minus))
            found[..., n] = (above - below) / apart
        return found
