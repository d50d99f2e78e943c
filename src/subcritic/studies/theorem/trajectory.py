"""What a noise-free policy goes through, and the values its data determine: for Proposition 3 of docs/theory.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from subcritic.bellman import bellman_target
from subcritic.envs import EpisodeStreams
from subcritic.measuring.judged import Judged


class Trajectory(NamedTuple):
    """Noise-free steps of S policies, in order: observation, next_observation (S, T, n_0); reward, terminated (S, T)."""

    observation: Tensor
    reward: Tensor
    terminated: Tensor
    next_observation: Tensor


def play(agent: Judged, make_environment: Callable[[], gym.Env], seeds: list[int], steps: int) -> Trajectory:
    """`steps` steps of every seed's policy without noise, episode after episode; in the agent's dtype."""
    episodes = EpisodeStreams([make_environment() for _ in seeds], seeds, purpose="theorem")
    kept: list[list[np.ndarray]] = [[], [], [], []]
    for _ in range(steps):
        observation = torch.from_numpy(episodes.observation).to(agent.observation)
        action = agent.actor.forward(agent.actor_params, observation[:, None]).output[:, 0]
        before, met = episodes.observation, episodes.step(action.float().numpy())
        step: tuple[np.ndarray, ...] = (before, met.reward, met.terminated, met.observation)
        for column, value in zip(kept, step, strict=True):
            column.append(value)
    episodes.close()
    return Trajectory(*(torch.from_numpy(np.stack(column, axis=1)).to(agent.observation) for column in kept))


def values_of_data(
    v: Tensor, v_next: Tensor, trajectory: Trajectory, discount: float
) -> tuple[Tensor, Tensor]:
    """V(v) and V(v′), (S, T) each, of the Markov reward process that the data are: V = mean of r + γ (1 − terminated) V(v′).

    Equal voltages share a value. A v′ that the data never leave has the value of standing still at no reward, 0.
    """
    found = np.zeros((2, *trajectory.reward.shape))
    for s in range(len(v)):
        visited, index = np.unique(torch.cat((v[s], v_next[s])).numpy(), axis=0, return_inverse=True)
        start, end = np.split(index.reshape(-1), 2)
        system, right = np.eye(len(visited)), np.zeros(len(visited))
        share = 1 / np.bincount(start, minlength=len(visited))[start]
        np.add.at(system, (start, end), -discount * share * (1 - trajectory.terminated[s].numpy()))
        np.add.at(right, start, share * trajectory.reward[s].numpy())
        found[:, s] = np.linalg.solve(system, right)[[start, end]]
    return torch.from_numpy(found[0]), torch.from_numpy(found[1])


def bellman_loss(q: Tensor, q_next: Tensor, trajectory: Trajectory, discount: float) -> np.ndarray:
    """Mean D² of D = r + γ (1 − terminated) q(v′, α′) − q(v, α) over the mean r², (S,); q, q_next (S, T, n_l)."""
    reward = trajectory.reward[..., None]
    residual = bellman_target(reward, discount, trajectory.terminated[..., None], q_next) - q
    return (residual.square().mean(dim=(1, 2)) / reward.square().mean(dim=(1, 2))).numpy()
