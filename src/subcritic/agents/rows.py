"""What a replay row holds: what the whole agent saw, or the voltages of all its neurons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from subcritic.agents.protocol import AgentBatch
from subcritic.nn import MLP, Parameters, Voltages


class Rows(Protocol):
    """columns: name → width."""

    columns: dict[str, int]

    def row(
        self, voltages: Voltages, reward: Tensor, terminated: Tensor, next_observation: Tensor
    ) -> dict[str, Tensor]:
        """As `Agent.transition`."""

    def agent_batch(self, batch: dict[str, Tensor]) -> AgentBatch:
        """As `Agent.agent_batch`; of any number of leading axes."""


class AgentRows:
    """What the whole agent saw, and the noise of its hidden neurons, if they had any and it is wanted.

    sizes: n_0 … n_L of the actor. noisy: whether that noise is kept, in the column `perturbation`.
    """

    def __init__(self, sizes: Sequence[int], noisy: bool) -> None:
        self.hidden = list(sizes[1:-1])
        self.columns = {
            "observation": sizes[0],
            "action": sizes[-1],
            "reward": 1,
            "terminated": 1,
            "next_observation": sizes[0],
        }
        if noisy:
            self.columns["perturbation"] = sum(self.hidden)

    def row(
        self, voltages: Voltages, reward: Tensor, terminated: Tensor, next_observation: Tensor
    ) -> dict[str, Tensor]:
        row = {
            "observation": voltages.input[:, 0],
            "action": voltages.output[:, 0],
            "reward": reward,
            "terminated": terminated,
            "next_observation": next_observation,
        }
        if "perturbation" in self.columns:
            hidden = zip(voltages.h[1:-1], voltages.activations[:-1], strict=True)
            row["perturbation"] = torch.cat([h - clean for h, clean in hidden], dim=-1)[:, 0]
        return row

    def agent_batch(self, batch: dict[str, Tensor]) -> AgentBatch:
        return AgentBatch(**{name: batch[name] for name in AgentBatch.__dataclass_fields__ if name in batch})

    def noise(self, batch: dict[str, Tensor]) -> list[Tensor | None] | None:
        """ξ_1 … ξ_L of a minibatch, (S, B, n_l) each, None for the action; None if hidden neurons had none."""
        if "perturbation" not in self.columns:
            return None
        return [*batch["perturbation"].split(self.hidden, dim=-1), None]


class VoltageRows:
    """h_0 … h_L as acted, and h_0 … h_{L-1} at the next observation, without noise, by the weights of that time."""

    def __init__(self, actor: MLP, policy: Parameters) -> None:
        self.actor, self.policy = actor, policy
        self.columns = {
            "voltages": sum(actor.sizes),
            "reward": 1,
            "terminated": 1,
            "next_voltages": sum(actor.sizes[:-1]),
        }

    def row(
        self, voltages: Voltages, reward: Tensor, terminated: Tensor, next_observation: Tensor
    ) -> dict[str, Tensor]:
        after = self.actor.forward(self.policy, next_observation.unsqueeze(1))
        return {
            "voltages": torch.cat(voltages.h, dim=-1)[:, 0],
            "reward": reward,
            "terminated": terminated,
            "next_voltages": torch.cat(after.h[:-1], dim=-1)[:, 0],
        }

    def agent_batch(self, batch: dict[str, Tensor]) -> AgentBatch:
        n_obs, n_act = self.actor.sizes[0], self.actor.sizes[-1]
        return AgentBatch(
            observation=batch["voltages"][..., :n_obs],
            action=batch["voltages"][..., -n_act:],
            reward=batch["reward"],
            terminated=batch["terminated"],
            next_observation=batch["next_voltages"][..., :n_obs],
        )
