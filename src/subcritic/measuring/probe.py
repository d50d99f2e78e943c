"""The true policy gradient beside a learner: does what an update did to the weights follow it?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from subcritic import seeding
from subcritic.agents import Agent
from subcritic.agents.actor_critic import policy_gradient, td_target
from subcritic.agents.ddpg import critic_spec
from subcritic.agents.protocol import newest_of
from subcritic.config import DDPGSettings, Runtime
from subcritic.measuring.observers import Log
from subcritic.nn import Parameters
from subcritic.nn.network import Network
from subcritic.training import Trainer, due


def probed(agent: Agent) -> bool:
    """Whether the agent's updates are compared with the true policy gradient."""
    # Local rules can do without, since a critic of the probe's own takes longer than they do.
    return agent.own_critic() is not None or getattr(agent.settings, "probe", True)


def one_sided(error: Tensor) -> Tensor:
    """Mean over neurons of |mean over states of the local error's sign|: (S, B, n) → (S,). 1: one sign in every state."""
    return error.sign().mean(dim=1).abs().mean(dim=1)


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
    `diagnostic/one_sided_l` of the neurons' local errors, see `one_sided`.
    """

    every = 1

    def __init__(self, log: Log, settings: Runtime, agent: Agent, seeds: Sequence[int]) -> None:
        self.log, self.log_every, self.agent = log, settings.log_every, agent
        own = agent.own_critic()
        self.probe_critic = None if own else ProbeCritic(agent, seeds)
        self.critic = own or self.probe_critic.critic
        self.before = agent.actor.views(agent.policy().flat.clone())

    def __call__(self, trainer: Trainer) -> None:
        if trainer.batch is not None:
            self._see_update(trainer, trainer.batch)
        if self._due(trainer.step + 1):
            self.before.flat.copy_(self.agent.policy().flat)

    def _due(self, step: int) -> bool:
        return due(step, self.log_every, self.agent.settings.update_every)

    def _see_update(self, trainer: Trainer, batch: dict[str, Tensor]) -> None:
        if self.probe_critic:
            self.probe_critic.learn(batch)
        if self._due(trainer.step):
            # The rows that moved the weights.
            moved_by = newest_of(batch) if self.agent.newest else batch
            found = self.cosines(moved_by)
            for layer, error in enumerate(self.agent.local_errors(moved_by), start=1):
                found[f"diagnostic/one_sided_{layer}"] = one_sided(error)
            self._log_defined(trainer, {name: values.tolist() for name, values in found.items()})

    def _log_defined(self, trainer: Trainer, found: dict[str, list[float]]) -> None:
        for s in trainer.watch.active:
            defined = {name: values[s] for name, values in found.items() if not math.isnan(values[s])}
            self.log(trainer.step, s, defined)

    def cosines(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The last update's cosines, see `cosines`."""
        agent = self.agent
        update = agent.actor.views(agent.policy().flat - self.before.flat)
        whole = agent.agent_batch(batch)
        gradient = policy_gradient(
            agent.actor, self.before, self.critic, whole.observation, whole.critic_observation
        )
        return cosines(update, gradient)

    def state_dict(self) -> dict[str, Any]:
        critic = {"critic": self.probe_critic.critic.state_dict()} if self.probe_critic else {}
        return {"before": self.before.flat, **critic}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.before.flat.copy_(state["before"])
        if self.probe_critic:
            self.probe_critic.critic.load_state_dict(state["critic"])


class ProbeCritic:
    """A critic Q^μ of DDPG's shape that learns from the minibatches of an agent without one."""

    def __init__(self, agent: Agent, seeds: Sequence[int]) -> None:
        self.agent = agent
        # Written out, since defaults of DDPG are no part of what the numbers of other methods depend on.
        shape = DDPGSettings(
            algorithm="ddpg",
            hidden=agent.settings.hidden,
            critic_activation="relu",
            critic_rate=1e-3,
            action_layer=1,
            last_layer_init=None,
        )
        spec = critic_spec(shape, agent.actor.sizes[0], agent.actor.sizes[-1])
        device = agent.policy().flat.device
        self.critic = Network(
            spec, seeding.generators(seeds, "probe critic"), shape.critic_rate, device=device
        )

    def learn(self, batch: dict[str, Tensor]) -> None:
        """One TD update towards r + γ (1 − terminated) Q^μ′(s′, μ′(s′)), and of the target."""
        agent, settings = self.agent, self.agent.settings
        whole = agent.agent_batch(batch)
        target = td_target(whole, agent.actor, agent.target_policy(), self._target_value, settings.discount)
        self.critic.fit(self.critic.forward(whole.observation, whole.action), target)
        self.critic.track(settings.polyak)

    def _target_value(self, observation: Tensor, action: Tensor) -> Tensor:
        return self.critic.forward(observation, action, target=True).output
