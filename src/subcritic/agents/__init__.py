"""Agents: DDPG, and the decentralised learner whose layers learn by local rules."""

from __future__ import annotations

from collections.abc import Sequence

from subcritic.agents.ddpg import DDPG
from subcritic.agents.local import LocalLearner
from subcritic.agents.protocol import Agent
from subcritic.config import DDPGSettings, LocalSettings

__all__ = ["DDPG", "Agent", "LocalLearner", "make_agent"]


def make_agent(
    settings: DDPGSettings | LocalSettings, observation_size: int, action_size: int, seeds: Sequence[int]
) -> Agent:
    """The agent a method's settings describe, one per seed."""
    kind = DDPG if isinstance(settings, DDPGSettings) else LocalLearner
    return kind(settings, observation_size, action_size, seeds)
