"""An actor judged by its critic: ∂Q^μ/∂h at every voltage, and the weight gradients that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subcritic.agents.actor_critic import actor_critic_at
from subcritic.agents.ddpg import actor_spec, critic_spec
from subcritic.config import DDPGSettings
from subcritic.measuring.interventions import Networks
from subcritic.nn import MLP, Parameters
from subcritic.nn.activations import slope


@dataclass(frozen=True)
class Judged:
    """An actor and its critic at a batch of states.

    h: h_0 … h_L. voltage_gradients: ∂Q^μ/∂h_l for l = 1 … L, (S, B, n_l).
    """

    observation: Tensor
    actor: MLP
    actor_params: Parameters
    critic: MLP
    critic_params: Parameters
    h: list[Tensor]
    voltage_gradients: list[Tensor]

    @property
    def networks(self) -> Networks:
        return self.actor, self.actor_params, self.critic, self.critic_params

    @property
    def value(self) -> Tensor:
        """Q^μ(s, μ(s)), (S, B, 1)."""
        return self.critic.forward(self.critic_params, self.observation, self.h[-1]).output


def judge(observation: Tensor, actor: MLP, actor_flat: Tensor, critic: MLP, critic_flat: Tensor) -> Judged:
    """Forward through actor and critic, backpropagate ∂Q^μ/∂a to every voltage."""
    actor_params, critic_params = actor.views(actor_flat), critic.views(critic_flat)
    at = actor_critic_at(actor, actor_params, critic, critic_params, observation)
    h = at.voltages.h
    return Judged(observation, actor, actor_params, critic, critic_params, h, at.voltage_gradients())


def weight_gradient(judged: Judged, layer: int, voltage_gradient: Tensor, neurons: list[int]) -> np.ndarray:
    """Mean over states of ∂Q/∂α · σ'(z) v, one row per neuron: (S, M, n_in).

    voltage_gradient (S, B, M): ∂Q/∂α of those neurons, the derivative by their voltages.
    """
    h = judged.h[layer][..., neurons]
    delta = voltage_gradient * slope(h, judged.actor.activation(layer))
    return (torch.bmm(delta.mT, judged.h[layer - 1]) / voltage_gradient.shape[1]).numpy()


def judge_snapshot(settings: DDPGSettings, sizes: tuple[int, ...], snapshot: dict[str, Any]) -> Judged:
    """Actor and critic of a snapshot at its states."""
    actor, critic = (spec(settings, sizes[0], sizes[-1]) for spec in (actor_spec, critic_spec))
    return judge(snapshot["observations"], actor, snapshot["actor"], critic, snapshot["critic"])
