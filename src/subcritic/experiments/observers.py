"""What is watched and recorded while an agent trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subcritic import seeding
from subcritic.agents import LocalLearner
from subcritic.agents.ddpg import critic_spec
from subcritic.bellman import bellman_target
from subcritic.config import DDPGSettings, LocalSettings, Training
from subcritic.nn import backprop
from subcritic.nn.network import Network
from subcritic.training import Evaluator, Trainer

# |h| beyond which a tanh or sigmoid-like neuron counts as saturated.
SATURATED = 0.99


# Where observers write: (step, index of the seed, metrics).
Log = Callable[[int, int, dict[str, float]], None]


def log_each(log: Log, step: int, active: Sequence[int], metrics: dict[str, Tensor]) -> None:
    """Log metrics of shape (S,) for the active seeds."""
    arrays = {name: values.tolist() for name, values in metrics.items()}
    for s in active:
        log(step, s, {name: values[s] for name, values in arrays.items()})


class Evaluation:
    """Noise-free return, `return/evaluation`: the mean over the episodes of one evaluation.

    The last evaluation, with `final_episodes` episodes, is a seed's score. A seed that diverged keeps the score of its
    last evaluation before.
    """

    def __init__(self, log: Log, settings: Training, make_environment, seeds: Sequence[int]) -> None:
        self.every, self.log = settings.evaluate_every, log
        self.episodes, self.final_episodes = settings.evaluation_episodes, settings.final_episodes
        self.evaluator = Evaluator(make_environment, seeds, max(self.episodes, self.final_episodes))
        self.scores = [float("nan")] * len(seeds)

    def __call__(self, trainer: Trainer) -> None:
        episodes = self.final_episodes if trainer.step == trainer.steps else self.episodes
        returns = self.evaluator(trainer.policy(), trainer.step, episodes, trainer.watch.active)
        for s in trainer.watch.active:
            self.scores[s] = float(returns[s].mean())
            self.log(trainer.step, s, {"return/evaluation": self.scores[s]})

    def state_dict(self) -> dict[str, Any]:
        return {"scores": list(self.scores)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.scores = list(state["scores"])


class LearningMetrics:
    """Losses, training returns and the share of saturated neurons per layer."""

    def __init__(self, log: Log, settings: Training) -> None:
        self.every, self.log = settings.log_every, log

    def __call__(self, trainer: Trainer) -> None:
        for s in trainer.watch.active:
            returns = trainer.take_returns(s)
            if returns:
                self.log(trainer.step, s, {"return/training": float(np.mean(returns))})
        if trainer.batch is None:
            return
        metrics = trainer.agent.metrics() | _saturation(trainer)
        log_each(self.log, trainer.step, trainer.watch.active, metrics)


def _saturation(trainer: Trainer) -> dict[str, Tensor]:
    """Per layer, the share of (state, neuron) pairs that are saturated (|tanh| > 0.99) or dead (ReLU at 0)."""
    agent, batch = trainer.agent, trainer.batch
    observation = batch.get("observation")
    if observation is None:
        observation = batch["voltages"][..., : agent.actor.sizes[0]]
    found = {}
    for number, h in enumerate(agent.actor.forward(agent.policy(), observation).h[1:], start=1):
        stuck = h == 0 if agent.actor.activation(number) == "relu" else h.abs() > SATURATED
        found[f"diagnostic/saturated_{number}"] = stuck.to(h.dtype).mean(dim=(1, 2))
    return found


class PolicyGradientProbe:
    """Compares a local learner's update with the true policy gradient, without touching the learner.

    A critic Q^μ of DDPG's shape learns beside it from the same minibatches; the true gradient is ∇_K mean Q^μ(s, μ(s)) by
    backpropagation, at the states of the minibatch.
    """

    every = 1

    def __init__(
        self, log: Log, settings: Training, agent: LocalLearner, action_size: int, seeds: Sequence[int]
    ) -> None:
        self.log, self.log_every, self.agent = log, settings.log_every, agent
        method: LocalSettings = agent.settings
        shape = DDPGSettings(algorithm="ddpg", hidden=method.hidden)
        spec = critic_spec(shape, agent.actor.sizes[0], action_size)
        self.critic = Network(spec, seeding.generators(seeds, "probe critic"), shape.critic_rate)

    def __call__(self, trainer: Trainer) -> None:
        if trainer.batch is None:
            return
        self._learn(trainer.batch)
        if trainer.step % self.log_every == 0:
            log_each(self.log, trainer.step, trainer.watch.active, self.cosines(trainer.batch))

    def _learn(self, batch: dict[str, Tensor]) -> None:
        agent, settings = self.agent, self.agent.settings
        n_obs, n_act = agent.actor.sizes[0], agent.actor.sizes[-1]
        observation, action = batch["voltages"][..., :n_obs], batch["voltages"][..., -n_act:]
        next_observation = batch["next_voltages"][..., :n_obs]
        next_action = agent.actor.forward(agent.target, next_observation).output
        next_value = self.critic.forward(next_observation, next_action, target=True).output
        target = bellman_target(batch["reward"], settings.discount, batch["terminated"], next_value)
        self.critic.fit(self.critic.forward(observation, action), target)
        self.critic.track(settings.polyak)

    def cosines(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """`cosine/layer_l` and `cosine/actor`, (S,): the rule's direction against the true policy gradient."""
        agent = self.agent
        observation = batch["voltages"][..., : agent.actor.sizes[0]]
        voltages = agent.act(observation)
        judged = self.critic.forward(observation, voltages.output)
        upstream = torch.full_like(judged.output, 1 / observation.shape[1])
        upstream = backprop.side_gradient(self.critic.spec, self.critic.online, judged, upstream)
        true = agent.actor.views(torch.zeros_like(agent.online.flat))
        backprop.gradients(agent.actor, agent.online, voltages, upstream, true)
        local = agent.actor.views(torch.zeros_like(agent.online.flat))
        found = {}
        for number, (weight, bias) in enumerate(agent.directions(batch), start=1):
            local.weights[number - 1].copy_(weight)
            local.biases[number - 1].copy_(bias)
            pair = (weight.flatten(1), true.weights[number - 1].flatten(1))
            found[f"cosine/layer_{number}"] = torch.cosine_similarity(*pair, dim=1)
        found["cosine/actor"] = torch.cosine_similarity(local.flat, true.flat, dim=1)
        return found

    def state_dict(self) -> dict[str, Any]:
        return self.critic.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.critic.load_state_dict(state)
