"""Deep deterministic policy gradient (Lillicrap et al. 2016, Algorithm 1), gradients in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from subcritic import seeding
from subcritic.agents.protocol import perturbed_forward
from subcritic.bellman import bellman_target
from subcritic.config import DDPGSettings
from subcritic.nn import MLP, Parameters, Voltages, backprop
from subcritic.nn.network import Network


class DDPG:
    """S independent DDPG agents, one per seed. Terminal states do not bootstrap, truncated ones do."""

    consecutive = 1

    def __init__(
        self,
        settings: DDPGSettings,
        observation_size: int,
        action_size: int,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        purpose: str = "training",
    ) -> None:
        self.settings = settings
        self.actor = actor_spec(settings, observation_size, action_size)
        self.policy_network = Network(
            self.actor, seeding.generators(seeds, f"{purpose} actor"), settings.actor_rate, dtype=dtype
        )
        self.critic = Network(
            critic_spec(settings, observation_size, action_size),
            seeding.generators(seeds, f"{purpose} critic"),
            settings.critic_rate,
            settings.critic_weight_decay,
            dtype=dtype,
        )
        self.columns = {
            "observation": observation_size,
            "action": action_size,
            "reward": 1,
            "terminated": 1,
            "next_observation": observation_size,
        }
        if settings.exploration != "action":
            self.columns["perturbation"] = sum(settings.hidden)
        self.values: Tensor | None = None
        self.residual: Tensor | None = None
        self.learns_critic = True

    def policy(self) -> Parameters:
        return self.policy_network.online

    def act(self, observation: Tensor, perturbation: list[Tensor | None] | None = None) -> Voltages:
        return perturbed_forward(self.actor, self.policy(), observation, perturbation)

    def transition(
        self, voltages: Voltages, reward: Tensor, terminated: Tensor, next_observation: Tensor
    ) -> dict[str, Tensor]:
        row = {
            "observation": voltages.h[0][:, 0],
            "action": voltages.output[:, 0],
            "reward": reward,
            "terminated": terminated,
            "next_observation": next_observation,
        }
        if "perturbation" in self.columns:
            hidden = zip(voltages.h[1:-1], voltages.activations[:-1], strict=True)
            row["perturbation"] = torch.cat([h - clean for h, clean in hidden], dim=-1)[:, 0]
        return row

    def voltages(self, batch: dict[str, Tensor]) -> list[Tensor]:
        """h_0 … h_L at the states of a minibatch, by today's weights: α = μ^n(v) + ξ with the noise of that time.

        The output voltages are the actions as executed.
        """
        noise = None
        if "perturbation" in batch:
            noise = [*batch["perturbation"].split(list(self.settings.hidden), dim=-1), None]
        h = self.actor.forward(self.policy(), batch["observation"], perturbation=noise).h
        return [*h[:-1], batch["action"]]

    def learn(self, batch: dict[str, Tensor]) -> None:
        """Critic first, then the actor with the new critic, then the targets (Algorithm 1)."""
        if self.learns_critic:
            self._learn_critic(batch)
        self._learn_actor(batch)
        self.policy_network.track(self.settings.polyak)
        if self.learns_critic:
            self.critic.track(self.settings.polyak)

    def _learn_critic(self, batch: dict[str, Tensor]) -> None:
        observation, next_observation = batch["observation"], batch["next_observation"]
        next_action = self.policy_network.forward(next_observation, target=True).output
        next_value = self.critic.forward(next_observation, next_action, target=True).output
        target = bellman_target(batch["reward"], self.settings.discount, batch["terminated"], next_value)
        judged = self.critic.forward(observation, batch["action"])
        self.values = judged.output
        self.residual = self.critic.fit(judged, target)

    def _learn_actor(self, batch: dict[str, Tensor]) -> None:
        observation = batch["observation"]
        voltages = self.policy_network.forward(observation)
        judged = self.critic.forward(observation, voltages.output)
        if not self.learns_critic:
            self.values = judged.output
        # Ascend the mean of Q^μ(s, μ(s)).
        upstream = torch.full_like(judged.output, -1 / observation.shape[1])
        upstream = backprop.side_gradient(self.critic.spec, self.critic.online, judged, upstream)
        backprop.gradients(self.actor, self.policy(), voltages, upstream, self.policy_network.gradient)
        self.policy_network.step()

    def value_magnitude(self) -> Tensor:
        return self.values.abs().amax(dim=(1, 2))

    def finite(self) -> Tensor:
        flats = (self.policy().flat, self.critic.online.flat)
        return torch.stack([flat.isfinite().all(dim=1) for flat in flats]).all(dim=0)

    def metrics(self) -> dict[str, Tensor]:
        found = {"value/minibatch": self.values.mean(dim=(1, 2))}
        if self.residual is not None:
            found["loss/critic"] = self.residual.square().mean(dim=(1, 2))
        return found

    def state_dict(self) -> dict[str, Any]:
        return {"policy": self.policy_network.state_dict(), "critic": self.critic.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.policy_network.load_state_dict(state["policy"])
        self.critic.load_state_dict(state["critic"])


def actor_spec(settings: DDPGSettings, observation_size: int, action_size: int) -> MLP:
    """The actor μ: tanh output, so that actions lie in [-1, 1]."""
    sizes = (observation_size, *settings.hidden, action_size)
    return MLP(sizes, settings.activation, "tanh", output_init=settings.last_layer_init)


def critic_spec(settings: DDPGSettings, observation_size: int, action_size: int) -> MLP:
    """The critic Q^μ(s, a); the action joins at `settings.action_layer`."""
    sizes = (observation_size, *settings.hidden, 1)
    side = (settings.action_layer, action_size)
    return MLP(sizes, settings.activation, "identity", side=side, output_init=settings.last_layer_init)
