"""An actor and a critic of its actions: ∂Q/∂a, what it makes of every voltage and weight of the actor, and the TD target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from subcritic.agents.protocol import AgentBatch
from subcritic.bellman import bellman_target
from subcritic.nn import MLP, Parameters, Voltages, backprop
from subcritic.nn.activations import times_slope
from subcritic.nn.network import Network


@dataclass(frozen=True)
class ActorCriticAt:
    """An actor and a critic at a batch of states.

    voltages: the actor's. value (S, B, 1): Q(s, μ(s)). action_gradient (S, B, n_L): w ∂Q/∂a, for the weight w of a state.
    """

    actor: MLP
    policy: Parameters
    voltages: Voltages
    value: Tensor
    action_gradient: Tensor

    def voltage_gradients(self) -> list[Tensor]:
        """w ∂Q/∂h_l for l = 1 … L, (S, B, n_l), by backpropagation."""
        return backprop.voltage_gradients(self.actor, self.policy, self.voltages, self.action_gradient)[1:]

    def local_errors(self) -> list[Tensor]:
        """δ = w ∂Q/∂z_l for l = 1 … L, (S, B, n_l)."""
        return [
            times_slope(gradient, h, self.actor.activation(layer))
            for layer, (gradient, h) in enumerate(
                zip(self.voltage_gradients(), self.voltages.activations, strict=True), start=1
            )
        ]

    def weight_gradients(self, into: Parameters) -> None:
        """Write Σ_B w ∂Q/∂K into `into`."""
        backprop.gradients(self.actor, self.policy, self.voltages, self.action_gradient, into)


def actor_critic_at(
    actor: MLP,
    policy: Parameters,
    critic: MLP,
    critic_parameters: Parameters,
    observation: Tensor,
    *,
    weight: float = 1.0,
    state: Tensor | None = None,
) -> ActorCriticAt:
    """Forward through actor and critic, and back to the action.

    observation (S, B, n_0): what the actor reads. state: what the critic reads; None: the same. weight: w above, 1/B for
    the gradient of the mean.
    """
    voltages = actor.forward(policy, observation)
    value = critic.forward(critic_parameters, observation if state is None else state, voltages.output)
    upstream = torch.full_like(value.output, weight)
    gradient = backprop.side_gradient(critic, critic_parameters, value, upstream)
    return ActorCriticAt(actor, policy, voltages, value.output, gradient)


def policy_gradient(
    actor: MLP, parameters: Parameters, critic: Network, observation: Tensor, state: Tensor | None = None
) -> Parameters:
    """∇_K mean Q^μ(s, μ(s)) at the states (S, B, n_0) of a minibatch, by backpropagation through critic and actor.

    state: what the critic reads of them; None: what the actor does.
    """
    weight = 1 / observation.shape[1]
    at = actor_critic_at(
        actor, parameters, critic.spec, critic.online, observation, weight=weight, state=state
    )
    gradient = actor.views(torch.zeros_like(parameters.flat))
    at.weight_gradients(into=gradient)
    return gradient


def td_target(
    batch: AgentBatch,
    actor: MLP,
    target_policy: Parameters,
    target_value: Callable[[Tensor, Tensor], Tensor],
    discount: float,
) -> Tensor:
    """y = r + γ (1 − terminated) Q′(s′, μ′(s′)), (S, B, 1); target_value: Q′ of (S, B, n_0) and (S, B, n_L)."""
    next_action = actor.forward(target_policy, batch.next_observation).output
    next_value = target_value(batch.next_judged, next_action)
    return bellman_target(batch.reward, discount, batch.terminated, next_value)
