"""Local rules that follow DDPG: measured at one actor, on one replay, with one critic, they can be compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subcritic.agents import DDPG, LocalLearner
from subcritic.agents.global_critics import BackpropCritic
from subcritic.agents.memory import RuleInputs
from subcritic.config import DDPGSettings, LocalSettings
from subcritic.nn import Voltages
from subcritic.nn.network import Network

# What a follower has in common with its leader, whatever its own settings say.
LED_BY = (
    "hidden", "activation", "discount", "batch_size", "exploration", "noise", "noise_scale", "noisy_fraction",
)  # fmt: skip


class Leader(DDPG):
    """DDPG, and local rules that learn beside it from its minibatches; it learns as if it were alone.

    Its replay stores what each of them needs.
    """

    def __init__(
        self,
        settings: DDPGSettings,
        followers: Sequence[LocalSettings],
        observation_size: int,
        action_size: int,
        seeds: Sequence[int],
    ) -> None:
        super().__init__(settings, observation_size, action_size, seeds)
        self.followers = {follower.name: Follower(follower, self, seeds) for follower in followers}
        for follower in self.followers.values():
            self.columns = self.columns | follower.columns
        self.consecutive = max([1, *(follower.consecutive for follower in self.followers.values())])

    def transition(
        self, voltages: Voltages, reward: Tensor, terminated: Tensor, next_observation: Tensor
    ) -> dict[str, Tensor]:
        row = super().transition(voltages, reward, terminated, next_observation)
        for follower in self.followers.values():
            if not follower.columns.keys() <= row.keys():
                row |= follower.transition(voltages, reward, terminated, next_observation)
        return row

    def learn(self, batch: dict[str, Tensor]) -> None:
        """Its own update, then its followers'."""
        super().learn(batch)
        for follower in self.followers.values():
            follower.learn(batch)

    def rows_of(self, follower: Follower, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A minibatch as the follower's own replay would give it."""
        if "following" not in batch:
            return batch
        later = batch["following"].split(list(self.columns.values()), dim=-1)
        named = dict(zip(self.columns, later, strict=True))
        packed = torch.cat([named[name] for name in follower.columns], dim=-1)
        return batch | {"following": packed[:, :, : follower.consecutive - 1]}

    def state_dict(self) -> dict[str, Any]:
        kept = {name: follower.state_dict() for name, follower in self.followers.items()}
        return super().state_dict() | {"followers": kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        for name, follower in self.followers.items():
            follower.load_state_dict(state["followers"][name])


class Follower(LocalLearner):
    """A local rule at the actor of another agent: it learns all that it keeps besides weights, and moves no weight.

    What is broadcast to it comes from the leader's critic.
    """

    def __init__(self, settings: LocalSettings, leader: Leader, seeds: Sequence[int]) -> None:
        # Its weights are the leader's, and none is divided by what it would measure itself.
        led = settings.model_copy(
            update={name: getattr(leader.settings, name) for name in LED_BY} | {"normalisation": "none"}
        )
        sizes = leader.actor.sizes
        super().__init__(led, sizes[0], sizes[-1], seeds)
        self.leader, self.adam = leader, None
        # No weight moves, so nothing is learned from the newest rows alone.
        self.newest = None
        if self.broadcaster is not None:
            self.global_critic = LeadersCritic(leader.critic)
            self.broadcaster = dataclasses.replace(self.broadcaster, critic=self.global_critic)
        self.follow()

    def follow(self) -> None:
        """Take over the leader's weights, and their target copies."""
        self.online.flat.copy_(self.leader.policy().flat)
        self.target.flat.copy_(self.leader.target_policy().flat)

    def learn(self, batch: dict[str, Tensor]) -> None:
        self.follow()
        super().learn(batch)
        self.follow()

    def rule_inputs(self, batch: dict[str, Tensor], rngs: Sequence[np.random.Generator]) -> RuleInputs:
        return super().rule_inputs(self.leader.rows_of(self, batch), rngs)

    def _has_turn(self, number: int) -> bool:
        return False


class LeadersCritic(BackpropCritic):
    """The leader's critic, which learns elsewhere."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def fit(self, observation: Tensor, action: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        value = self.values(observation, action)
        return value, target - value

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing of its own is kept."""
