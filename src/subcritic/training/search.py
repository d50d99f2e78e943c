"""Augmented random search (Mania, Guy and Recht 2018, arXiv 1803.07055): no critic, no gradient, whole episodes.

A baseline for rules without backpropagation: all weights of the actor are searched by their returns alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from subcritic import seeding
from subcritic.config import AgentSettings
from subcritic.config.sections import Count, Rate
from subcritic.nn import Voltages
from subcritic.training.outsider import Outsider
from subcritic.training.trainer import WATCH_EVERY, Trainer

# Standard deviation of an observation below which it says nothing and is left out.
CONSTANT = 1e-7
# What agents have that learn from minibatches and explore with noise on their voltages.
OF_OTHERS = (
    "last_layer_init", "frozen_hidden", "discount", "polyak", "batch_size", "replay_size", "update_every", "learning_starts",
    "exploration", "noise", "noise_scale", "noisy_fraction",
)  # fmt: skip
# Arrays of a search that a checkpoint holds.
KEPT = ("tried", "returns", "played", "length", "seen", "mean", "squares", "shift", "scale")


class SearchSettings(AgentSettings):
    """Settings of augmented random search; the defaults are those of the authors' code."""

    # No update from a minibatch could be compared with the policy gradient.
    probe: ClassVar[bool] = False

    hidden: tuple[Count, ...] = Field(
        (), description="Neurons of each hidden layer of the actor; none: a linear policy, as in the paper."
    )
    directions: Count = Field(
        8, description="N, the directions of an iteration, each played forwards and backwards."
    )
    best: Count = Field(
        8, description="b, how many of them count: those with the highest return on either side."
    )
    step_size: Rate = Field(0.02, description="α, the step size.")
    perturbation: Rate = Field(
        0.03, description="ν, the standard deviation of what is added to every weight."
    )
    normalise: bool = Field(
        True,
        description="Whether observations are normalised by their mean and variance so far (version V2).",
    )
    # Left out of the data of searches without one, so that these keep their digests.
    survival_bonus: Annotated[float, Field(ge=0, exclude_if=lambda bonus: bonus == 0)] = Field(
        0.0,
        description="Taken off the reward of every step in the search, not off the returns that are reported; in the paper "
        "1, what Hopper and Walker2d pay for not falling.",
    )

    def conflicts(self) -> list[tuple[bool, str]]:
        return [
            (
                self.best > self.directions,
                f"best = {self.best}: must be at most directions, {self.directions}",
            )
        ]

    def unused(self) -> dict[str, tuple[bool, str]]:
        return dict.fromkeys(OF_OTHERS, (False, "agents that learn from minibatches"))


class SearchTrainer(Trainer):
    """Plays episodes with perturbed weights, and lets the agent step when all of an iteration have been played."""

    agent: AugmentedRandomSearch

    @property
    def learning(self) -> bool:
        return True

    def advance(self) -> None:
        """One environment step for every seed, and an update for those whose iteration it ends."""
        observation = torch.from_numpy(self.episodes.observation).unsqueeze(1)
        action = self.agent.explore(observation).output[:, 0]
        played = self._play(action.numpy())
        self.agent.see(played.observation[self.watch.active], self.watch.active)
        for s, episode_return in played.finished.items():
            self._end_episode(s, episode_return)
            self.agent.end_episode(s, episode_return)
        self.step += 1
        if self.step % WATCH_EVERY == 0:
            self._stop_diverged()


class AugmentedRandomSearch(Outsider):
    """S searches, one per seed: θ += α / (b σ_R) Σ (r₊ − r₋) δ over the best b of N directions δ ~ N(0, I).

    r₊ and r₋ are returns of episodes with θ ± ν δ, less `survival_bonus` for each step; σ_R is the standard deviation of the
    2b returns that count. Observations are normalised by mean and variance over all states reached so far, as they stood
    when the iteration began. The action is the tanh of the last layer, as of all actors here; that of the paper is clipped.
    Layers have biases.
    """

    Settings: ClassVar[type[AgentSettings]] = SearchSettings
    Trainer: ClassVar[type[Trainer]] = SearchTrainer
    receives = frozenset({"return"})
    settings: SearchSettings

    def __init__(
        self, settings: SearchSettings, observation_size: int, action_size: int, seeds: Sequence[int]
    ) -> None:
        super().__init__(settings, observation_size, action_size, seeds)
        # θ, for normalised observations; a linear policy starts at 0, as in the paper.
        self.searched = self.actor.init(seeding.generators(seeds, "training actor"))
        if not settings.hidden:
            self.searched.flat.zero_()
        self.rngs = seeding.generators(seeds, "search directions")
        count, size = self.searched.flat.shape
        # δ of the running iteration, (S, N, P).
        self.tried = np.zeros((count, settings.directions, size), np.float32)
        # Returns of an iteration, (S, N, 2): forwards, backwards; and how many of its episodes have been played.
        self.returns = np.zeros((count, settings.directions, 2))
        self.played = np.zeros(count, dtype=int)
        # Steps so far of the episode that is played now.
        self.length = np.zeros(count, dtype=int)
        # Of all observations so far: their number, mean, sum of squared deviations.
        self.seen = np.zeros(count)
        self.mean = np.zeros((count, observation_size))
        self.squares = np.zeros((count, observation_size))
        # The weights that play now. As those of the policy, they are for observations as they come.
        self.exploring = self.actor.parameters(len(seeds))
        # What normalises them in this iteration.
        self.shift, self.scale = np.zeros((count, observation_size)), np.ones((count, observation_size))
        for s in range(count):
            self._begin_iteration(s)
            self._perturb(s)

    def explore(self, observation: Tensor) -> Voltages:
        """Voltages of the perturbed policies that play now, for observation (S, 1, n_0)."""
        return self.actor.forward(self.exploring, observation)

    def see(self, observation: np.ndarray, which: Sequence[int]) -> None:
        """Count observations (P, n_0), one step of the seeds `which`, in their mean and variance (Welford 1962)."""
        self.length[which] += 1
        self.seen[which] += 1
        away = observation - self.mean[which]
        self.mean[which] += away / self.seen[which][:, None]
        self.squares[which] += away * (observation - self.mean[which])

    def end_episode(self, s: int, episode_return: float) -> None:
        """Note the return of the episode that seed s has played, and choose who plays the next one."""
        survived = self.settings.survival_bonus * self.length[s]
        self.returns[s].flat[self.played[s]] = episode_return - survived
        self.played[s] += 1
        self.length[s] = 0
        if self.played[s] == self.returns[s].size:
            self._step(s)
            self._begin_iteration(s)
        self._perturb(s)

    def _step(self, s: int) -> None:
        settings, returns = self.settings, self.returns[s]
        best = np.argsort(-returns.max(axis=1), kind="stable")[: settings.best]
        spread = returns[best].std()
        if spread > 0:
            gain = returns[best, 0] - returns[best, 1]
            step = settings.step_size / (settings.best * spread) * gain @ self.tried[s, best]
            self.searched.flat[s] += torch.from_numpy(step.astype(np.float32))

    def _begin_iteration(self, s: int) -> None:
        self.played[s] = 0
        self.tried[s] = self.rngs[s].standard_normal(self.tried[s].shape)
        if self.settings.normalise and self.seen[s] > 1:
            deviation = np.sqrt(self.squares[s] / (self.seen[s] - 1))
            self.shift[s] = self.mean[s]
            self.scale[s] = np.divide(
                1.0, deviation, out=np.zeros_like(deviation), where=deviation > CONSTANT
            )
        self.online.flat[s] = self._for_raw_observations(s, self.searched.flat[s])

    def _perturb(self, s: int) -> None:
        direction, backwards = divmod(int(self.played[s]), 2)
        sign = -1.0 if backwards else 1.0
        perturbed = self.searched.flat[s] + sign * self.settings.perturbation * torch.from_numpy(
            self.tried[s, direction]
        )
        self.exploring.flat[s] = self._for_raw_observations(s, perturbed)

    def _for_raw_observations(self, s: int, flat: Tensor) -> Tensor:
        """Weights that do with an observation what `flat` does with a normalised one: only the first layer differs."""
        found = self.actor.views(flat.clone().unsqueeze(0))
        shift, scale = (torch.from_numpy(part[s]).float() for part in (self.shift, self.scale))
        found.weights[0].mul_(scale[:, None])
        found.biases[0].sub_(shift @ found.weights[0][0])
        return found.flat[0]

    def state_dict(self) -> dict[str, Any]:
        kept = {name: getattr(self, name).copy() for name in KEPT}
        flat = {name: getattr(self, name).flat.clone() for name in ("searched", "online", "exploring")}
        return kept | flat | {"rngs": seeding.states(self.rngs)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in KEPT:
            getattr(self, name)[...] = state[name]
        for name in ("searched", "online", "exploring"):
            getattr(self, name).flat.copy_(state[name])
        seeding.restore(self.rngs, state["rngs"])
