"""Deep deterministic policy gradient (Lillicrap et al. 2016, Algorithm 1), gradients in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from subcritic import seeding
from subcritic.agents.actor_critic import actor_critic_at, policy_gradient, td_target
from subcritic.agents.protocol import AgentBatch, perturbed_forward
from subcritic.agents.rows import AgentRows
from subcritic.config import AgentSettings, DDPGSettings
from subcritic.nn import MLP, Parameters, Voltages
from subcritic.nn.batch_norm import NormalisedNetwork
from subcritic.nn.devices import CPU
from subcritic.nn.network import Network


class DDPG:
    """S independent DDPG agents, one per seed. Terminal states do not bootstrap, truncated ones do."""

    Settings: ClassVar[type[AgentSettings]] = DDPGSettings
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    consecutive = 1
    newest = None
    receives = frozenset({"error"})

    def __init__(
        self,
        settings: DDPGSettings,
        observation_size: int,
        action_size: int,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        purpose: str = "training",
        device: torch.device = CPU,
    ) -> None:
        self.settings = settings
        self.actor = actor_spec(settings, observation_size, action_size)
        critic = critic_spec(settings, observation_size, action_size)
        actor_layers, critic_layers = normalised_layers(settings)
        self.policy_network = _network(
            actor_layers,
            self.actor,
            seeding.generators(seeds, f"{purpose} actor"),
            settings.actor_rate,
            0.0,
            dtype,
            device,
        )
        self.critic = _network(
            critic_layers,
            critic,
            seeding.generators(seeds, f"{purpose} critic"),
            settings.critic_rate,
            settings.critic_weight_decay,
            dtype,
            device,
        )
        self.rows = AgentRows(self.actor.sizes, noisy=settings.exploration != "action")
        self.columns = self.rows.columns
        self.values: Tensor | None = None
        self.residual: Tensor | None = None
        self.learns_critic = True

    def policy(self) -> Parameters:
        return self.policy_network.online

    def target_policy(self) -> Parameters:
        return self.policy_network.target

    def act(self, observation: Tensor, perturbation: list[Tensor | None] | None = None) -> Voltages:
        return perturbed_forward(self.actor, self.policy(), observation, perturbation)

    def transition(
        self, voltages: Voltages, reward: Tensor, terminated: Tensor, next_observation: Tensor
    ) -> dict[str, Tensor]:
        return self.rows.row(voltages, reward, terminated, next_observation)

    def agent_batch(self, batch: dict[str, Tensor]) -> AgentBatch:
        return self.rows.agent_batch(batch)

    def own_critic(self) -> Network:
        return self.critic

    def local_errors(self, batch: dict[str, Tensor]) -> list[Tensor]:
        """The backpropagated ones."""
        whole, critic = self.agent_batch(batch), self.critic
        at = actor_critic_at(
            self.actor, self.policy(), critic.spec, critic.online, whole.observation, state=whole.judged
        )
        return at.local_errors()

    def directions(
        self, batch: dict[str, Tensor], rngs: Sequence[np.random.Generator] | None = None
    ) -> list[tuple[Tensor, Tensor]]:
        """The gradient of the mean of Q^μ(s, μ(s)); no noise is imagined."""
        whole = self.agent_batch(batch)
        gradient = policy_gradient(self.actor, self.policy(), self.critic, whole.observation, whole.judged)
        return list(zip(gradient.weights, gradient.biases, strict=True))

    def voltages(self, batch: dict[str, Tensor]) -> list[Tensor]:
        """h_0 … h_L at the states of a minibatch, by today's weights: α = μ^n(v) + ξ with the noise of that time.

        The output voltages are the actions as executed.
        """
        noise = self.rows.noise(batch)
        h = self.actor.forward(self.policy(), batch["observation"], perturbation=noise).h
        return [*h[:-1], batch["action"]]

    def not_captured(self) -> str:
        return ""

    def drawn_shapes(self) -> dict[str, tuple[int, int]]:
        return {}

    def draw(self) -> dict[str, np.ndarray]:
        """None: an update draws nothing."""
        return {}

    def learn(self, batch: dict[str, Tensor]) -> None:
        """Critic first, then the actor with the new critic, then the targets (Algorithm 1)."""
        if self.learns_critic:
            self._learn_critic(batch)
        self._learn_actor(batch)
        self.policy_network.track(self.settings.polyak)
        if self.learns_critic:
            self.critic.track(self.settings.polyak)

    def _learn_critic(self, batch: dict[str, Tensor]) -> None:
        whole, discount = self.agent_batch(batch), self.settings.discount
        target = td_target(whole, self.actor, self.target_policy(), self._target_value, discount)
        value = self.critic.learning(whole.judged, whole.action)
        self.values = value.output
        self.residual = self.critic.fit(value, target)

    def _target_value(self, observation: Tensor, action: Tensor) -> Tensor:
        return self.critic.forward(observation, action, target=True).output

    def _learn_actor(self, batch: dict[str, Tensor]) -> None:
        """Ascend the mean of Q^μ(s, μ(s))."""
        whole = self.agent_batch(batch)
        voltages = self.policy_network.learning(whole.observation)
        value = self.critic.learning(whole.judged, voltages.output)
        if not self.learns_critic:
            self.values = value.output
        upstream = torch.full_like(value.output, -1 / value.output.shape[1])
        self.policy_network.backward(voltages, self.critic.side_gradient(value, upstream))
        if self.settings.frozen_hidden:
            gradient = self.policy_network.gradient
            for part in (*gradient.weights[:-1], *gradient.biases[:-1]):
                part.zero_()
        self.policy_network.step()

    def predictions(self, observation: Tensor) -> dict[str, Tensor]:
        return {"critic": self.critic.forward(observation, self.act(observation).output).output[..., 0]}

    def value_magnitude(self) -> Tensor:
        assert self.values is not None, "before the first update"
        return self.values.abs().amax(dim=(1, 2))

    def finite(self) -> Tensor:
        flats = (self.policy().flat, self.critic.online.flat)
        return torch.stack([flat.isfinite().all(dim=1) for flat in flats]).all(dim=0)

    def metrics(self) -> dict[str, Tensor]:
        assert self.values is not None, "before the first update"
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
    return MLP(sizes, settings.critic_activation, "identity", side=side, output_init=settings.last_layer_init)


def normalised_layers(settings: DDPGSettings) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Which layers of the actor and of the critic batch normalisation concerns, 0 for the input.

    All of the actor, of the critic those before the action (Lillicrap et al. 2016, section 3). Hidden layers that are frozen
    stay as they are, and so does what reaches them: only the action's neurons are normalised.
    """
    if not settings.batch_normalisation:
        return (), ()
    last = len(settings.hidden) + 1
    first = last if settings.frozen_hidden else 0
    return tuple(range(first, last + 1)), tuple(range(settings.action_layer))


def _network(
    normalised: tuple[int, ...],
    spec: MLP,
    rngs: Sequence[np.random.Generator],
    rate: float,
    weight_decay: float,
    dtype: torch.dtype,
    device: torch.device,
) -> Network:
    if normalised:
        return NormalisedNetwork(spec, rngs, rate, weight_decay, dtype, device, normalised=normalised)
    return Network(spec, rngs, rate, weight_decay, dtype, device)
