"""The true policy gradient beside a learner: does what an update did to the weights follow it?"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from subcritic import seeding
from subcritic.agents import DDPG, Agent, LocalLearner
from subcritic.agents.ddpg import critic_spec
from subcritic.agents.global_critics import BackpropCritic
from subcritic.bellman import bellman_target
from subcritic.config import DDPGSettings, Training
from subcritic.measuring.diagnostics import observations
from subcritic.measuring.observers import Log
from subcritic.nn import MLP, Parameters, backprop
from subcritic.nn.activations import times_slope
from subcritic.nn.network import Network
from subcritic.training import Trainer


def probed(agent: Agent) -> bool:
    """Whether the agent's updates are compared with the true policy gradient."""
    return own_critic(agent) is not None or getattr(agent.settings, "probe", False)


def own_critic(agent: Agent) -> Network | None:
    """The critic Q^μ that a learner trains by backpropagation for itself, if it has one."""
    if isinstance(agent, DDPG):
        return agent.critic
    return agent.global_critic.network if isinstance(agent.global_critic, BackpropCritic) else None


def policy_gradient(actor: MLP, parameters: Parameters, critic: Network, observation: Tensor) -> Parameters:
    """∇_K mean Q^μ(s, μ(s)) at the states (S, B, n_0) of a minibatch, by backpropagation through critic and actor."""
    voltages = actor.forward(parameters, observation)
    judged = critic.forward(observation, voltages.output)
    upstream = torch.full_like(judged.output, 1 / observation.shape[1])
    upstream = backprop.side_gradient(critic.spec, critic.online, judged, upstream)
    gradient = actor.views(torch.zeros_like(parameters.flat))
    backprop.gradients(actor, parameters, voltages, upstream, gradient)
    return gradient


def pushes(agent: Agent, batch: dict[str, Tensor]) -> list[Tensor]:
    """What pushes every neuron's z up or down in the states of a minibatch, (S, B, n) per layer.

    DDPG: the backpropagated error. A local learner: its rule's push, from a minibatch's lesson; none of a rule that reads
    nothing.
    """
    if isinstance(agent, DDPG):
        return _errors(agent, batch["observation"])
    if not agent.rule.receives:
        return []
    # With copies of the generators, so that looking does not change what is imagined next.
    lesson, heard = agent.lesson(batch, copy.deepcopy(agent.noise_rngs))
    parts = zip(agent.critics, agent.layers, lesson, strict=True)
    return [agent.rule.push(critics, layer, seen, heard) for critics, layer, seen in parts]


def _errors(agent: DDPG, observation: Tensor) -> list[Tensor]:
    voltages = agent.act(observation)
    judged = agent.critic.forward(observation, voltages.output)
    upstream = torch.ones_like(judged.output)
    upstream = backprop.side_gradient(agent.critic.spec, agent.critic.online, judged, upstream)
    errors = backprop.voltage_gradients(agent.actor, agent.policy(), voltages, upstream)[1:]
    return [
        times_slope(error, h, agent.actor.activation(layer))
        for layer, (error, h) in enumerate(zip(errors, voltages.activations, strict=True), start=1)
    ]


def one_sided(push: Tensor) -> Tensor:
    """Mean over neurons of |mean over states of the push's sign|: (S, B, n) → (S,). 1: the same way in every state."""
    return push.sign().mean(dim=1).abs().mean(dim=1)


def cosines(update: Parameters, gradient: Parameters) -> dict[str, Tensor]:
    """`cosine/layer_l` of K_l and `cosine/actor` of all weights and biases, (S,); NaN where either is zero."""
    pairs = {
        f"cosine/layer_{number}": (mine.flatten(1), true.flatten(1))
        for number, (mine, true) in enumerate(zip(update.weights, gradient.weights, strict=True), start=1)
    }
    pairs["cosine/actor"] = (update.flat, gradient.flat)
    return {name: _cosine(*pair) for name, pair in pairs.items()}


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    # In float64, since the squares of small updates leave the range of float32.
    a, b = a.double(), b.double()
    return ((a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1))).to(torch.float32)


class PolicyGradientProbe:
    """Compares what one update did to the weights, K after − K before, with the true policy gradient at its states.

    The true gradient is judged by the learner's own backpropagated critic. For a learner that has none, a critic Q^μ of
    DDPG's shape learns beside it from the same minibatches; the learner does not notice. At every log step, `cosine/layer_l`
    and `cosine/actor` of that step's update: 1 is gradient ascent, 0 unrelated; none is logged where nothing moved. And
    `diagnostic/one_sided_l` of what pushes the neurons, see `one_sided`.
    """

    every = 1

    def __init__(self, log: Log, settings: Training, agent: Agent, seeds: Sequence[int]) -> None:
        self.log, self.log_every, self.agent = log, settings.log_every, agent
        own = own_critic(agent)
        self.apprentice = None if own else Apprentice(agent, seeds)
        self.critic = own or self.apprentice.critic
        self.before = agent.actor.views(agent.policy().flat.clone())

    def __call__(self, trainer: Trainer) -> None:
        if trainer.batch is None:
            return
        if self.apprentice:
            self.apprentice.learn(trainer.batch)
        if trainer.step % self.log_every == 0:
            found = self.cosines(trainer.batch)
            for layer, push in enumerate(pushes(self.agent, trainer.batch), start=1):
                found[f"diagnostic/one_sided_{layer}"] = one_sided(push)
            self._log_defined(trainer, {name: values.tolist() for name, values in found.items()})
        if (trainer.step + 1) % self.log_every == 0:
            self.before.flat.copy_(self.agent.policy().flat)

    def _log_defined(self, trainer: Trainer, found: dict[str, list[float]]) -> None:
        for s in trainer.watch.active:
            defined = {name: values[s] for name, values in found.items() if not math.isnan(values[s])}
            self.log(trainer.step, s, defined)

    def cosines(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The last update's cosines, see `cosines`."""
        agent = self.agent
        update = agent.actor.views(agent.policy().flat - self.before.flat)
        gradient = policy_gradient(agent.actor, self.before, self.critic, observations(agent, batch))
        return cosines(update, gradient)

    def state_dict(self) -> dict[str, Any]:
        critic = {"critic": self.apprentice.critic.state_dict()} if self.apprentice else {}
        return {"before": self.before.flat, **critic}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.before.flat.copy_(state["before"])
        if self.apprentice:
            self.apprentice.critic.load_state_dict(state["critic"])


class Apprentice:
    """A critic Q^μ of DDPG's shape that learns from the minibatches of a learner without one."""

    def __init__(self, agent: LocalLearner, seeds: Sequence[int]) -> None:
        self.agent = agent
        shape = DDPGSettings(algorithm="ddpg", hidden=agent.settings.hidden)
        spec = critic_spec(shape, agent.actor.sizes[0], agent.actor.sizes[-1])
        self.critic = Network(spec, seeding.generators(seeds, "probe critic"), shape.critic_rate)

    def learn(self, batch: dict[str, Tensor]) -> None:
        """One TD update towards r + γ (1 − terminated) Q^μ′(s′, μ′(s′)), and of the target."""
        agent, settings = self.agent, self.agent.settings
        seen = agent.whole(batch)
        next_action = agent.actor.forward(agent.target, seen.next_observation).output
        next_value = self.critic.forward(seen.next_observation, next_action, target=True).output
        target = bellman_target(seen.reward, settings.discount, seen.terminated, next_value)
        self.critic.fit(self.critic.forward(seen.observation, seen.action), target)
        self.critic.track(settings.polyak)
