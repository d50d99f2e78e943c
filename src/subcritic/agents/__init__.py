"""Agents: DDPG, and the decentralised learner whose layers learn by local rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from subcritic.agents.ddpg import DDPG
from subcritic.agents.local import LocalLearner
from subcritic.agents.pictures import PictureAgent, required
from subcritic.agents.protocol import Agent
from subcritic.config import AgentSettings, ConfigError
from subcritic.config.methods import load, refuses
from subcritic.nn.devices import CPU
from subcritic.rules.base import Rule

__all__ = ["DDPG", "Agent", "LocalLearner", "PictureAgent", "make_agent"]


def make_agent(
    settings: AgentSettings,
    observation_size: int,
    action_size: int,
    seeds: Sequence[int],
    picture: tuple[int, int, int] | None = None,
    device: torch.device = CPU,
) -> Agent:
    """The agent that a method's `algorithm` names: its class, or a LocalLearner if that is a local rule.

    picture: (height, width, channels) of the observation, if it is one; with an encoder the agent reads its features.

    Raises TypeError, naming them, for a class of one's own that lacks attributes of an Agent, and ConfigError for an encoder
    without pictures, and for a device that the agent cannot be made on.
    """
    if device != CPU and (reason := refuses(settings, device.type)):
        raise ConfigError(reason)
    if settings.encoder is None:
        return _reader(settings, observation_size, action_size, seeds, device)
    return PictureAgent(
        settings,
        lambda features: _reader(settings, features, action_size, seeds),
        required(settings, picture),
        seeds,
    )


def _reader(
    settings: AgentSettings,
    observation_size: int,
    action_size: int,
    seeds: Sequence[int],
    device: torch.device = CPU,
) -> Agent:
    found = load(settings.algorithm)
    kind: Callable[..., Agent] = LocalLearner if issubclass(found, Rule) else found
    # An agent that is on the CPU alone need not have the argument.
    elsewhere = {} if device == CPU else {"device": device}
    agent = kind(settings, observation_size, action_size, seeds, **elsewhere)
    missing = [name for name in dir(Agent) if not name.startswith("_") and not hasattr(agent, name)]
    if missing:
        raise TypeError(
            f"{settings.algorithm} lacks {', '.join(missing)}: see subcritic.agents.protocol.Agent"
        )
    return agent
