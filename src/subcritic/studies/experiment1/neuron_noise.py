"""Experiment 1 under better conditions: noise on every neuron, and sub-critics that isolate what a neuron's voltage does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from subcritic import seeding
from subcritic.agents import DDPG
from subcritic.config import DDPGSettings
from subcritic.measuring.observers import Log, log_each
from subcritic.studies.experiment1.learning import seen
from subcritic.studies.experiment1.settings import NEURON_NOISE, Experiment1
from subcritic.subcritics import CompatibleSubCritics
from subcritic.training import Trainer


def noisy(settings: Experiment1) -> DDPGSettings:
    """Experiment 1's agent with independent Gaussian noise on the voltage of every neuron."""
    changes = {"exploration": "neuron", "noise": "gaussian", "noise_scale": settings.neuron_noise_scale}
    return settings.agent.model_copy(update=changes)


class InformedLearning:
    """Compatible sub-critics of every neuron, learned beside DDPG from minibatches of their own.

    `compatible`: from replayed noise and each neuron's own TD target. `global_baseline`: told Q^μ(s, a) − Q^μ(s, μ(s)), for
    which the agent's critic judges fresh noise on every neuron at the replayed states.
    """

    def __init__(
        self, log: Log, agent: DDPG, settings: Experiment1, log_every: int, seeds: Sequence[int]
    ) -> None:
        self.every, self.log, self.agent, self.settings = settings.update_every, log, agent, settings
        self.log_every = log_every
        aims = {"compatible": "own", "global_baseline": "told"}
        self.critics = {name: compatible(agent, settings, aim, seeds) for name, aim in aims.items()}
        self.rngs = seeding.generators(seeds, f"{NEURON_NOISE} informed minibatch")

    def __call__(self, trainer: Trainer) -> None:
        if trainer.step == 0 or not trainer.learning:
            return
        batch = seen(trainer, trainer.replay.sample(self.settings.subcritic_batch, self.rngs))
        h_next = self.agent.act(batch["next_observation"]).h
        followed = (h_next, batch["reward"], batch["terminated"])
        losses = self._named(
            "compatible", self.critics["compatible"].learn(self.agent.voltages(batch), *followed)
        )
        h, advantage = self.imagined(batch["observation"])
        losses |= self._named(
            "global_baseline", self.critics["global_baseline"].learn(h, *followed, told=advantage)
        )
        if trainer.step % self.log_every == 0:
            log_each(self.log, trainer.step, trainer.watch.active, losses)

    def imagined(self, observation: Tensor) -> tuple[list[Tensor], Tensor]:
        """h_0 … h_L with fresh noise on every neuron, and the advantage of the action it leads to, (S, B, 1)."""
        noise = [
            torch.stack([self._normal(rng, observation.shape[1], width) for rng in self.rngs])
            for width in self.agent.actor.sizes[1:]
        ]
        h, clean = self.agent.act(observation, noise).h, self.agent.act(observation).output
        values = [self.agent.critic.forward(observation, action).output for action in (h[-1], clean)]
        return h, values[0] - values[1]

    def snapshot(self, trainer: Trainer) -> dict[str, Any]:
        """The critics, and replayed states to regress the true gradient on."""
        rngs = seeding.generators(trainer.seeds, "regression states", trainer.step)
        states = seen(trainer, trainer.replay.sample(self.settings.regression_states, rngs))["observation"]
        critics = {
            name: [
                {key: tensor.clone() for key, tensor in layer.tensors().items()} for layer in members.critics
            ]
            for name, members in self.critics.items()
        }
        return {**critics, "regression_states": states.clone()}

    def _normal(self, rng, count: int, width: int) -> Tensor:
        scale = self.settings.neuron_noise_scale
        return scale * torch.from_numpy(rng.standard_normal((count, width), dtype="float32"))

    @staticmethod
    def _named(name: str, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        return {f"loss/{name}_{key}": value for key, value in losses.items()}

    def state_dict(self) -> dict[str, Any]:
        critics = {name: members.state_dict() for name, members in self.critics.items()}
        return {"critics": critics, "rngs": seeding.states(self.rngs)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, members in self.critics.items():
            members.load_state_dict(state["critics"][name])
        seeding.restore(self.rngs, state["rngs"])


def compatible(agent: DDPG, settings: Experiment1, aim: str, seeds: Sequence[int]) -> CompatibleSubCritics:
    """Compatible sub-critics of an agent's actor as it learns."""
    network = agent.policy_network
    rngs = seeding.generators(seeds, f"{NEURON_NOISE} compatible critic")
    return CompatibleSubCritics(
        agent.actor,
        network.online,
        network.target,
        aim,
        settings.compatible_rate,
        settings.agent.discount,
        settings.agent.polyak,
        rngs,
    )
