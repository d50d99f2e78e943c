"""From replay rows to what each layer sees and what all are told: nothing else reaches a local rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from subcritic.agents.global_critics import GlobalCritic
from subcritic.agents.protocol import perturbed_forward
from subcritic.bellman import bellman_target
from subcritic.config import LocalSettings
from subcritic.exploration import per_layer
from subcritic.nn import MLP, Parameters, Voltages
from subcritic.nn.activations import times_slope
from subcritic.rules import Broadcast, LocalTransition


@dataclass(frozen=True)
class Whole:
    """A minibatch as the agent as a whole saw it: observation s (S, B, n_0), action a (S, B, n_L), s′, r, terminated."""

    observation: Tensor
    action: Tensor
    reward: Tensor
    terminated: Tensor
    next_observation: Tensor


@dataclass(frozen=True)
class Broadcaster:
    """Says what is broadcast, from the values of a global critic. policy and target policy: the actor's parameters."""

    settings: LocalSettings
    actor: MLP
    policy: Parameters
    target_policy: Parameters
    critic: GlobalCritic

    def td_target(self, seen: Whole) -> Tensor:
        """y = r + γ (1 − terminated) Q^μ′(s′, μ′(s′)), (S, B, 1)."""
        next_action = self.actor.forward(self.target_policy, seen.next_observation).output
        next_value = self.critic.values(seen.next_observation, next_action, target=True)
        return bellman_target(seen.reward, self.settings.discount, seen.terminated, next_value)

    def of(self, seen: Whole, receives: frozenset[str]) -> Broadcast:
        """What is told about replayed actions."""
        target = self._target(seen) if "target" in receives else None
        advantage = self._advantage(seen) if "advantage" in receives else None
        feedback = None
        if "feedback" in receives:
            feedback = self.critic.action_gradient(seen.observation, self._own_action(seen))
        return Broadcast(target, advantage, feedback)

    def _target(self, seen: Whole) -> Tensor:
        if self.settings.target == "global_td":
            return self.td_target(seen)
        if self.settings.target == "global_advantage":
            return self._advantage(seen)
        return self.critic.values(seen.observation, seen.action)

    def _advantage(self, seen: Whole) -> Tensor:
        """y − Q^μ(s, μ(s)), with y = Q^μ(s, a), or the TD target."""
        if self.settings.target == "global_td":
            value = self.td_target(seen)
        else:
            value = self.critic.values(seen.observation, seen.action)
        return value - self.critic.values(seen.observation, self._own_action(seen))

    def _own_action(self, seen: Whole) -> Tensor:
        return self.actor.forward(self.policy, seen.observation).output

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
        return _felt(clean, noise), Broadcast(advantage=advantage)

    def imagine_apart(
        self, observation: Tensor, rngs: Sequence[np.random.Generator]
    ) -> tuple[list[LocalTransition], Broadcast]:
        """As `imagine`, but the action's neurons and the hidden ones take turns, so that neither noise blurs the other's.

        The critic scores a ± ξ_L, with ξ_L = ±σ by the toss of a coin; from that scalar, each of the action's neurons finds
        e = σ'(z) A ξ / σ² (`feedback`). The noise ±ξ of the hidden neurons moves z_L by ±Δz (`deviation`) and is not scored.
        """
        clean = self._clean(observation)
        noise = self._noise(clean[0], rngs)
        scale = per_layer(self.settings.perturbation_scale, self.actor.depth)[-1]
        coin = noise[-1].sign().mul_(scale)
        action = torch.cat((clean[-1] + coin, clean[-1] - coin), dim=1).clamp_(-1, 1)
        advantage = self._advantage_of(torch.cat((clean[0], clean[0]), dim=1), action)
        error = times_slope(coin * (advantage / scale**2), clean[-1], self.actor.activation(self.actor.depth))
        plus, minus = self._run_both_ways(clean[0], [*noise[:-1], None]).h[-2].chunk(2, dim=1)
        deviation = torch.bmm((plus - minus) / 2, self.policy.weights[-1])
        return _felt(clean, [*noise[:-1], coin]), Broadcast(feedback=error, deviation=deviation)

    def _clean(self, observation: Tensor) -> list[Tensor]:
        """h_0 … h_L without noise, once per draw."""
        draws = self.settings.draws
        voltages = self.actor.forward(self.policy, observation).h
        return [h.repeat(1, draws, 1) for h in voltages] if draws > 1 else voltages

    def _run_both_ways(self, observation: Tensor, noise: list[Tensor | None]) -> Voltages:
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
        scales = np.repeat(per_layer(self.settings.perturbation_scale, len(widths)), widths)
        shape = (like.shape[1], sum(widths))
        drawn = np.stack([rng.standard_normal(shape, dtype=np.float32) for rng in rngs])
        drawn *= scales.astype(np.float32)
        return list(torch.from_numpy(drawn).to(like.dtype).split(widths, dim=-1))


def _felt(clean: list[Tensor], noise: list[Tensor]) -> list[LocalTransition]:
    """Per layer, what its neurons know of an imagined trial."""
    return [
        LocalTransition(voltage=v, alpha=h + xi, noise=xi)
        for v, h, xi in zip(clean, clean[1:], noise, strict=False)
    ]
