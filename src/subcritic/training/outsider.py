"""What agents have in common that learn in a loop of their own: no minibatches, critics or errors for others to see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from subcritic.agents.protocol import AgentBatch
from subcritic.agents.rows import AgentRows
from subcritic.config import AgentSettings
from subcritic.nn import MLP, Parameters, Voltages
from subcritic.nn.network import Network


class Outsider:
    """An `Agent` with a policy and nothing else that the loop, the probe or diagnostics could ask for.

    online: the parameters of the policies of S seeds, which a subclass keeps up to date, and saves with all else that its
    training goes on from. Nothing is replayed here.
    """

    consecutive = 1
    newest = None

    def __init__(
        self, settings: AgentSettings, observation_size: int, action_size: int, seeds: Sequence[int]
    ) -> None:
        self.settings = settings
        self.actor = MLP((observation_size, *settings.hidden, action_size), settings.activation, "tanh")
        self.rows = AgentRows(self.actor.sizes, noisy=False)
        self.columns = {"reward": 1}
        self.online = self.actor.parameters(len(seeds))

    def policy(self) -> Parameters:
        return self.online

    def target_policy(self) -> Parameters:
        return self.online

    def act(self, observation: Tensor, perturbation: list[Tensor | None] | None = None) -> Voltages:
        return self.actor.forward(self.online, observation)

    def transition(
        self, voltages: Voltages, reward: Tensor, terminated: Tensor, next_observation: Tensor
    ) -> dict[str, Tensor]:
        return {"reward": reward}

    def learn(self, batch: dict[str, Tensor]) -> None:
        """It does not learn from these minibatches."""

    def agent_batch(self, batch: dict[str, Tensor]) -> AgentBatch:
        return self.rows.agent_batch(batch)

    def own_critic(self) -> Network | None:
        return None

    def local_errors(self, batch: dict[str, Tensor]) -> list[Tensor]:
        return []

    def predictions(self, observation: Tensor) -> dict[str, Tensor]:
        return {}

    def directions(
        self, batch: dict[str, Tensor], rngs: Sequence[np.random.Generator] | None = None
    ) -> list[tuple[Tensor, Tensor]]:
        return []

    def value_magnitude(self) -> Tensor:
        return torch.zeros(len(self.online.flat))

    def finite(self) -> Tensor:
        return self.online.flat.isfinite().all(dim=1)

    def metrics(self) -> dict[str, Tensor]:
        return {}
