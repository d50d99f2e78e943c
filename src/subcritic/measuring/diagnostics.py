"""What can be seen of a learning network besides its return: where its neurons stand, and how it acts."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from subcritic.agents import Agent

# Share of its range, from the middle, beyond which a tanh or a sigmoid counts as saturated.
SATURATED = 0.99
# Bins of an action's histogram over [-1, 1].
BINS = 16


def diagnostics(agent: Agent, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of the noise-free policy at the states of a minibatch, (S,) each; layers count from 1.

    `diagnostic/saturated_l`: see `saturated`.
    `diagnostic/weight_norm_l`: Frobenius norm of K_l. `diagnostic/action_entropy`: see `action_entropy`;
    of a network whose hidden neurons are in one layer with those of the action, over all of them.
    """
    found = {}
    h = agent.actor.forward(agent.policy(), agent.agent_batch(batch).observation).h
    for number, weight in enumerate(agent.policy().weights, start=1):
        found[f"diagnostic/saturated_{number}"] = saturated(h[number], agent.actor.activation(number))
        found[f"diagnostic/weight_norm_{number}"] = weight.norm(dim=(1, 2))
    found["diagnostic/action_entropy"] = action_entropy(h[-1])
    return found


def saturated(h: Tensor, activation: str) -> Tensor:
    """Share of neurons that no longer answer to their inputs: voltages h (S, B, n) → (S,).

    A tanh counts in the states where |h| > 0.99, a sigmoid where |2h − 1| is, a ReLU when it is dead: 0 in all B states.
    """
    if activation == "relu":
        stuck = (h == 0).all(dim=1, keepdim=True)
    else:
        stuck = (2 * h - 1 if activation == "sigmoid" else h).abs() > SATURATED
    return stuck.to(h.dtype).mean(dim=(1, 2))


def action_entropy(action: Tensor) -> Tensor:
    """How much of its range a policy uses over states: (S, B, n) in [-1, 1] → (S,) in [0, 1].

    Plug-in entropy of the histogram over B states in 16 equal bins, as a share of log 16, mean over action dimensions.
    0: the same action in every state; 1: all actions equally often. With few states it is a little too low.
    """
    bins = ((action + 1) * (BINS / 2)).long().clamp(0, BINS - 1)
    shares = torch.nn.functional.one_hot(bins, BINS).to(action.dtype).mean(dim=1)
    return torch.special.entr(shares).sum(dim=-1).mean(dim=-1) / math.log(BINS)
