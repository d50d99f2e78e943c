"""What is broadcast to all layers, from the values of a global critic; and noise that is imagined for it to score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor

from subcritic.agents.actor_critic import td_target
from subcritic.agents.global_critics import GlobalCritic
from subcritic.agents.protocol import AgentBatch, perturbed_forward
from subcritic.config import ImaginingSettings, LocalSettings
from subcritic.exploration import per_layer
from subcritic.nn import MLP, Parameters, Voltages
from subcritic.nn.activations import times_slope
from subcritic.rules.protocol import ABSENT, Broadcast, LocalTransition


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

    def imagine(
        self, observation: Tensor, rngs: Sequence[np.random.Generator]
    ) -> tuple[list[LocalTransition], Broadcast]:
        """Fresh noise ±ξ on every neuron at `observation` (S, B, n_0), `draws` pairs each, stacked along the batch.

        Per layer: v without noise, α = μ^n(v) + ξ, ξ. And A = (Q^μ(s, a⁺) − Q^μ(s, a⁻)) / 2, (S, draws · B, 1), for the
        actions, clipped to [-1, 1], of the actor run with +ξ and with −ξ on all its voltages.
        """
        clean = self._clean(observation)
        noise = self._noise(clean[0], rngs)
        voltages = self._run_both_ways(clean[0], noise)
        advantage = self._advantage_of(voltages.h[0], voltages.output)
        return _transitions(clean, noise), Broadcast(advantage=advantage)

    def imagine_separately(
        self, observation: Tensor, rngs: Sequence[np.random.Generator]
    ) -> tuple[list[LocalTransition], Broadcast]:
        """As `imagine`, but output and hidden neurons are perturbed in separate passes, so that their noise does not mix.

        The critic scores a ± ξ_L, with ξ_L = ±σ with equal probability; from that scalar, each of the action's neurons finds
        e = σ'(z) A ξ / σ² (`feedback`). The noise ±ξ of the hidden neurons moves z_L by ±Δz (`deviation`) and is not scored.
        """
        clean = self._clean(observation)
        noise = self._noise(clean[0], rngs)
        scale = per_layer(self._imagined.perturbation_scale, self.actor.depth)[-1]
        step = noise[-1].sign().mul_(scale)
        action = torch.cat((clean[-1] + step, clean[-1] - step), dim=1).clamp_(-1, 1)
        advantage = self._advantage_of(torch.cat((clean[0], clean[0]), dim=1), action)
        error = times_slope(step * (advantage / scale**2), clean[-1], self.actor.activation(self.actor.depth))
        plus, minus = self._run_both_ways(clean[0], [*noise[:-1], None]).h[-2].chunk(2, dim=1)
        deviation = torch.bmm((plus - minus) / 2, self.policy.weights[-1])
        return _transitions(clean, [*noise[:-1], step]), Broadcast(feedback=error, deviation=deviation)

    def _clean(self, observation: Tensor) -> list[Tensor]:
        """h_0 … h_L without noise, once per draw."""
        draws = self._imagined.draws
        voltages = self.actor.forward(self.policy, observation).h
        return [h.repeat(1, draws, 1) for h in voltages] if draws > 1 else voltages

    def _run_both_ways(self, observation: Tensor, noise: Sequence[Tensor | None]) -> Voltages:
        """The actor with +ξ, then with −ξ, stacked along the batch."""
        both = torch.cat((observation, observation), dim=1)
        signed = [None if xi is None else torch.cat((xi, -xi), dim=1) for xi in noise]
        return perturbed_forward(self.actor, self.policy, both, signed)

    def _advantage_of(self, both: Tensor, action: Tensor) -> Tensor:
        """A = (Q^μ(s, a⁺) − Q^μ(s, a⁻)) / 2; both arguments hold the one half above the other."""
        plus, minus = self.critic.values(both, action).chunk(2, dim=1)
        return (plus - minus) / 2

    def _noise(self, like: Tensor, rngs: Sequence[np.random.Generator]) -> list[Tensor]:
        widths = list(self.actor.sizes[1:])
        scales = np.repeat(per_layer(self._imagined.perturbation_scale, len(widths)), widths)
        shape = (like.shape[1], sum(widths))
        drawn = np.stack([rng.standard_normal(shape, dtype=np.float32) for rng in rngs])
        drawn *= scales.astype(np.float32)
        return list(torch.from_numpy(drawn).to(like.dtype).split(widths, dim=-1))


def _transitions(clean: list[Tensor], noise: list[Tensor]) -> list[LocalTransition]:
    """What the neurons of each layer know of an imagined trial."""
    return [
        LocalTransition(voltage=v, alpha=h + xi, noise=xi)
        for v, h, xi in zip(clean, clean[1:], noise, strict=False)
    ]
