"""What is broadcast to all layers, from the values of a global critic; and noise that is imagined for it to score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import cast

import numpy as np
import torch
from torch import Tensor

from subcritic.agents.actor_critic import td_target
from subcritic.agents.global_critics import GlobalCritic
from subcritic.agents.protocol import AgentBatch, perturbed_forward
from subcritic.config import ImaginingSettings, LocalSettings
from subcritic.exploration import per_layer
from subcritic.nn import MLP, Parameters, Voltages, compiled
from subcritic.nn.activations import times_slope
from subcritic.nn.devices import to_device
from subcritic.nn.normal import normals
from subcritic.rules.protocol import ABSENT, Broadcast, LocalTransition

# What noise is imagined with: each seed's own generator, or the numbers that `Broadcaster.draw` gave.
Randomness = Sequence[np.random.Generator] | Tensor


@dataclass(frozen=True)
class Broadcaster:
    """policy and target_policy: the actor's parameters. critic: the critic of the whole agent."""

    settings: LocalSettings
    actor: MLP
    policy: Parameters
    target_policy: Parameters
    critic: GlobalCritic

    def td_target(self, batch: AgentBatch) -> Tensor:
        """y = r + γ (1 − terminated) Q^μ′(s′, μ′(s′)), (S, B, 1)."""
        target_value = partial(self.critic.values, target=True)
        return td_target(batch, self.actor, self.target_policy, target_value, self.settings.discount)

    def about(self, batch: AgentBatch, receives: frozenset[str]) -> Broadcast:
        """What is broadcast about replayed actions: of each field, only what the rule receives."""
        target = self._target(batch) if "target" in receives else ABSENT
        advantage = self._advantage(batch) if "advantage" in receives else ABSENT
        feedback = ABSENT
        if "feedback" in receives:
            feedback = self.critic.action_gradient(batch.observation, self._own_action(batch))
        return Broadcast(target, advantage, feedback)

    def _target(self, batch: AgentBatch) -> Tensor:
        if self.settings.target == "global_td":
            return self.td_target(batch)
        if self.settings.target == "global_advantage":
            return self._advantage(batch)
        return self.critic.values(batch.observation, batch.action)

    def _advantage(self, batch: AgentBatch) -> Tensor:
        """y − Q^μ(s, μ(s)), with y = Q^μ(s, a), or the TD target."""
        if self.settings.target == "global_td":
            value = self.td_target(batch)
        else:
            value = self.critic.values(batch.observation, batch.action)
        return value - self.critic.values(batch.observation, self._own_action(batch))

    @property
    def _imagined(self) -> ImaginingSettings:
        return cast(ImaginingSettings, self.settings)

    def _own_action(self, batch: AgentBatch) -> Tensor:
        return self.actor.forward(self.policy, batch.observation).output

    def imagine(self, observation: Tensor, rngs: Randomness) -> tuple[list[LocalTransition], Broadcast]:
        """Fresh noise ±ξ on every neuron at `observation` (S, B, n_0), `draws` pairs each, stacked along the batch.

        Per layer: v without noise, α = μ^n(v) + ξ, ξ, E[ξ²]. And A = (Q^μ(s, a⁺) − Q^μ(s, a⁻)) / 2, (S, draws · B, 1), for
        the actions, clipped to [-1, 1], of the actor run with +ξ and with −ξ on all its voltages. ξ is normal for hidden
        neurons and ±σ for those of the action, of which ξ and ξ² are what clipping leaves (`_step`).
        """
        clean = self._clean(observation)
        noise = self._noise(clean[0], rngs)
        voltages = self._run_both_ways(clean[0], noise)
        advantage = self._advantage_of(voltages.h[0], voltages.output)
        return self._transitions(clean, noise), Broadcast(advantage=advantage)

    def imagine_separately(
        self, observation: Tensor, rngs: Randomness
    ) -> tuple[list[LocalTransition], Broadcast]:
        """As `imagine`, but output and hidden neurons are perturbed in separate passes, so that their noise does not mix.

        The critic scores a ± ξ_L (`advantage`), or it gives each of the action's neurons its own error (`feedback`), see
        the setting `action_error`. The noise ξ of the hidden neurons moves z_L by Δz (`deviation`) and is not scored.
        """
        clean = self._clean(observation)
        noise = self._noise(clean[0], rngs)
        transitions = self._transitions(clean, noise)
        hidden: list[Tensor | None] = [*noise[:-1], None]
        moved = self.actor.forward(self.policy, clean[0], perturbation=hidden).h[-2]
        deviation = torch.bmm(moved - clean[-2], self.policy.weights[-1])
        if getattr(self.settings, "action_error", "coins") in ("one_by_one", "gradient"):
            error = self.action_error(clean[0], clean[-1])
            return transitions, Broadcast(feedback=error, deviation=deviation)
        both = torch.cat((clean[0], clean[0]), dim=1)
        action = torch.cat((clean[-1] + noise[-1], clean[-1] - noise[-1]), dim=1).clamp_(-1, 1)
        return transitions, Broadcast(advantage=self._advantage_of(both, action), deviation=deviation)

    def action_error(self, state: Tensor, action: Tensor) -> Tensor:
        """∂Q^μ/∂z_L, (S, B, n_L), as the setting `action_error` says: one_by_one, or gradient."""
        how = getattr(self.settings, "action_error", "one_by_one")
        return (self._one_by_one if how == "one_by_one" else self._gradient)(state, action)

    def _one_by_one(self, state: Tensor, action: Tensor) -> Tensor:
        """By a central difference for each action alone: n_L pairs of values per state."""
        slope = self._one_by_one_compiled(state, action)
        if slope is not None:
            return times_slope(slope, action, self.actor.activation(self.actor.depth))
        n = action.shape[-1]
        alone = self._scales()[-1] * torch.eye(n, dtype=action.dtype, device=action.device).repeat_interleave(
            action.shape[1], dim=0
        )
        states, actions = state.repeat(1, 2 * n, 1), action.repeat(1, n, 1)
        both = torch.cat((actions + alone, actions - alone), dim=1).clamp_(-1, 1)
        slope = self._advantage_of(states, both).view(len(state), n, -1).mT / self._step(action)
        return times_slope(slope, action, self.actor.activation(self.actor.depth))

    def _one_by_one_compiled(self, state: Tensor, action: Tensor) -> Tensor | None:
        """∂Q^μ/∂a in one call, if compiled functions are used."""
        network = self.critic.network
        if network is None or not compiled.serves(network.spec.largest, state):
            return None
        flat, side = network.online.array, network.spec.side
        if flat is None or side is None or side[0] != 1 or not compiled.serves(0, action):
            return None
        slope = np.empty(action.shape, np.float32)
        compiled.kernels("agents.kernels").one_by_one(
            flat, network.spec.layout, state.numpy(), action.numpy(), self._scales()[-1], slope
        )
        return torch.from_numpy(slope)

    def _gradient(self, state: Tensor, action: Tensor) -> Tensor:
        """By backpropagation within the critic."""
        gradient = self.critic.action_gradient(state, action)
        return times_slope(gradient, action, self.actor.activation(self.actor.depth))

    def _clean(self, observation: Tensor) -> list[Tensor]:
        """h_0 … h_L without noise, once per draw."""
        draws = self._imagined.draws
        voltages = self.actor.forward(self.policy, observation).h
        return [h.repeat(1, draws, 1) for h in voltages] if draws > 1 else voltages

    def _run_both_ways(self, observation: Tensor, noise: Sequence[Tensor]) -> Voltages:
        """The actor with +ξ, then with −ξ, stacked along the batch."""
        both = torch.cat((observation, observation), dim=1)
        return perturbed_forward(self.actor, self.policy, both, [torch.cat((xi, -xi), dim=1) for xi in noise])

    def _advantage_of(self, both: Tensor, action: Tensor) -> Tensor:
        """A = (Q^μ(s, a⁺) − Q^μ(s, a⁻)) / 2; both arguments hold the one half above the other."""
        plus, minus = self.critic.values(both, action).chunk(2, dim=1)
        return (plus - minus) / 2

    def _scales(self) -> list[float]:
        return per_layer(self._imagined.perturbation_scale, self.actor.depth)

    def draw(self, rows: int, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """The numbers that noise is made of for a minibatch of so many rows, (S, draws · rows, N)."""
        return draw_numbers(self.actor, self._imagined.draws * rows, rngs)

    def _noise(self, like: Tensor, rngs: Randomness) -> list[Tensor]:
        scales = self._scale_of_each.to(like.dtype)
        if isinstance(rngs, Tensor):
            return list((rngs.to(like.dtype) * scales).split(list(self.actor.sizes[1:]), dim=-1))
        return draw_noise(self.actor, scales, like.shape[1], rngs)

    @cached_property
    def _scale_of_each(self) -> Tensor:
        return to_device(scale_of_each(self._imagined, self.actor), self.policy.flat.device)

    def _step(self, action: Tensor) -> Tensor:
        """Half the distance between a + σ and a − σ when both are clipped to [-1, 1]: from σ/2 to σ."""
        sigma = self._scales()[-1]
        return ((action + sigma).clamp_(max=1) - (action - sigma).clamp_(min=-1)) / 2

    def _transitions(self, clean: list[Tensor], noise: list[Tensor]) -> list[LocalTransition]:
        """What the neurons of each layer know of an imagined trial."""
        step = self._step(clean[-1])
        executed = [*noise[:-1], noise[-1].sign() * step]
        variances: list[float | Tensor] = [*(scale**2 for scale in self._scales()[:-1]), step.square()]
        return [
            LocalTransition(voltage=v, alpha=h + xi, noise=xi, noise_variance=variance)
            for v, h, xi, variance in zip(clean, clean[1:], executed, variances, strict=False)
        ]


def draw_noise(actor: MLP, scales: Tensor, rows: int, rngs: Sequence[np.random.Generator]) -> list[Tensor]:
    """Fresh noise for every layer, (S, rows, n_l) each: `draw_numbers` times `scales`, as `scale_of_each` gives them; of
    their type and on their device."""
    drawn = to_device(draw_numbers(actor, rows, rngs), scales.device)
    return list(drawn.to(scales.dtype).mul_(scales).split(list(actor.sizes[1:]), dim=-1))


def draw_numbers(actor: MLP, rows: int, rngs: Sequence[np.random.Generator]) -> np.ndarray:
    """Numbers for all neurons, layer after layer, (S, rows, N): normal, and ±1 for the action's neurons."""
    drawn = normals(rngs, (rows, sum(actor.sizes[1:])))
    drawn[..., -actor.sizes[-1] :] = np.sign(drawn[..., -actor.sizes[-1] :])
    return drawn


def scale_of_each(settings: ImaginingSettings, actor: MLP) -> Tensor:
    """The scale of imagined noise of all neurons, layer after layer, in float64."""
    scales = per_layer(settings.perturbation_scale, actor.depth)
    return torch.from_numpy(np.repeat(scales, actor.sizes[1:]))
