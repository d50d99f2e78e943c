"""Critics Q^μ(s, a) of the whole agent: what a broadcast is made of. Three kinds, by how they learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from subcritic.config import LocalSettings
from subcritic.nn import MLP, backprop
from subcritic.nn.network import Network


class GlobalCritic(Protocol):
    """S critics; observation (S, B, n_0), action (S, B, n_L), values and targets (S, B, 1)."""

    def values(self, observation: Tensor, action: Tensor, *, target: bool = False) -> Tensor:
        """Q^μ(s, a), or the target copy's."""

    def fit(self, observation: Tensor, action: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """One step towards `target`, and the target copy follows; values before the step, and residuals."""

    def action_gradient(self, observation: Tensor, action: Tensor) -> Tensor:
        """∂Q^μ/∂a, (S, B, n_L)."""

    def finite(self) -> Tensor:
        """Whether all of a seed's weights are finite, (S,)."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class BackpropCritic:
    """DDPG's critic: a ReLU network of `critic_hidden`, the action beside the observation, learned by backpropagation.

    It is the same as DDPG's with the preset `modern`; errors cross the critic's layers, none of the actor's.
    """

    def __init__(
        self,
        settings: LocalSettings,
        observation_size: int,
        action_size: int,
        rngs: Sequence[np.random.Generator],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        hidden = settings.critic_hidden or settings.hidden
        spec = MLP((observation_size, *hidden, 1), "relu", "identity", side=(1, action_size))
        self.network = Network(spec, rngs, settings.global_critic_rate, dtype=dtype)
        self.polyak = settings.polyak

    def values(self, observation: Tensor, action: Tensor, *, target: bool = False) -> Tensor:
        return self.network.forward(observation, action, target=target).output

    def fit(self, observation: Tensor, action: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        judged = self.network.forward(observation, action)
        residual = self.network.fit(judged, target)
        self.network.track(self.polyak)
        return judged.output, residual

    def action_gradient(self, observation: Tensor, action: Tensor) -> Tensor:
        judged = self.network.forward(observation, action)
        upstream = torch.ones_like(judged.output)
        return backprop.side_gradient(self.network.spec, self.network.online, judged, upstream)

    def finite(self) -> Tensor:
        return self.network.online.flat.isfinite().all(dim=1)

    def state_dict(self) -> dict[str, Any]:
        return self.network.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state)
