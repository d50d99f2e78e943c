"""Learned feedback: each neuron learns from its own noise how it moves the action, and weighs the error there by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from subcritic.config import ImaginingSettings, LocalSettings
from subcritic.config.local import ActionError, FeedbackRule
from subcritic.nn import compiled
from subcritic.nn.activations import ACTIVATIONS, times_slope
from subcritic.rules.base import Rule, shared
from subcritic.rules.protocol import NO_BROADCAST, Broadcast, Layer, LocalTransition, RuleState


class LearnedFeedbackSettings(ImaginingSettings):
    """How the feedback of a neuron is learned, and how the action's neurons find their error."""

    action_error: ActionError = Field(
        "one_by_one",
        description="How the action's neurons find their error: coins, one toss ±σ for all actions, scored by one scalar; "
        "control_variate, the same, less what linear critics of their own expect; one_by_one, a toss for each action "
        "alone, as many scalars as actions; gradient, the critic's own ∂Q/∂a.",
    )
    feedback_inputs: bool = Field(
        False,
        description="Whether a neuron's feedback depends on its inputs, B + C v, below the last hidden layer.",
    )

    @property
    def learns_feedback(self) -> bool:
        return True

    @classmethod
    def defaults(cls, given: dict[str, Any]) -> dict[str, Any]:
        own = {"replay": "imagined"}
        return own | super().defaults({**own, **given})

    def conflicts(self) -> list[tuple[bool, str]]:
        return [
            *super().conflicts(),
            (
                self.replay != "imagined",
                f"learned_feedback learns from imagined noise: replay must be imagined, not {self.replay}",
            ),
            (
                self.action_error == "gradient" and self.critic in ("local_heads", "learned_feedback"),
                f"action_error gradient needs ∂Q/∂a: critic must be backprop or random_features, not {self.critic}",
            ),
            (
                self.feedback_inputs and len(self.hidden) < 2,
                "feedback_inputs is for hidden layers below the last one: hidden must name two or more, "
                f"not {list(self.hidden)}",
            ),
        ]


@dataclass
class LearnedFeedbackState(RuleState):
    """Of hidden neurons, weight B (S, n_L, n) and context C (S, n_in, n_L · n); of the action's, critic w (S, n_in, n).

    What a layer does not need has width 0.
    """

    weight: Tensor
    context: Tensor
    critic: Tensor

    @property
    def per_neuron(self) -> bool:
        """Not with a context, whose columns are those of n_L actions; nor with critics, which learn from their sum."""
        return not (self.context.shape[-1] or self.critic.shape[-1])

    def learned(self) -> dict[str, Tensor]:
        """None: all follow equations of their own."""
        return {}


@dataclass(frozen=True)
class LearnedFeedbackRule(Rule[LearnedFeedbackState]):
    """K^n += η_A mean((e · B_n) σ'(z) v), with B_n learned from noise.

    e (S, B, n_L) is ∂Q/∂z as the action's neurons find it, see the setting `action_error`. Δz (S, B, n_L) is by how much the
    noise ξ of the hidden neurons moved the z of the action's neurons. B_n, which starts at 0, becomes the mean ∂z_L/∂h_n, by
    one of two rules, for N hidden neurons and M rows:

        residual      B_n += η mean(ρ ξ_n), ρ = Δz − Σ_m B_m ξ_m over all hidden neurons, η = rate / (σ² (1 + (N+1)/M))
        correlation   B_n += rate (mean(Δz ξ_n) − B_n mean(ξ_n²)) / σ²

    The first is Widrow and Hoff's: every neuron says what it expects of its own noise, and all hear by how much the sum was
    wrong. Its steps vanish at the right B, while the noise of the other neurons keeps the second one moving. At rate 1 the
    squared error shrinks as fast as it can (Proposition 7 in docs/theory.md); smaller rates average over the spread of
    ∂z_L/∂h_n. For the last hidden layer this is a weight mirror (Akrout et al. 2019; for deeper layers Lansdell,
    Prakash and Kording 2020). With `feedback_inputs`, B_n(v) = B_n + C_n v below that layer, C_n learned from the same ρ.

    Q^n(v, α) = (α − μ^n(v)) (e · B_n) is a critic whose context is broadcast. Reads v, ξ, and vectors as wide as the action:
    e and Δz or ρ cross layers, no gradient does. One narrow product per layer, or two.
    """

    action_size: int = 1
    feedback_rule: FeedbackRule = "residual"
    feedback_rate: float = 0.3
    feedback_inputs: bool = False
    action_error: ActionError = "one_by_one"
    hidden: tuple[int, ...] = (1,)

    Settings: ClassVar[type[LocalSettings]] = LearnedFeedbackSettings

    @classmethod
    def from_settings(cls, settings: Any, action_size: int) -> Self:
        return cls(
            **shared(settings),
            action_size=action_size,
            feedback_rule=settings.feedback_rule,
            feedback_rate=settings.feedback_rate,
            feedback_inputs=settings.feedback_inputs,
            action_error=settings.action_error,
            hidden=settings.hidden,
        )

    @property
    def scored(self) -> bool:
        """Whether the action's neurons find e from a scalar."""
        return self.action_error in ("coins", "control_variate")

    @property
    def receives(self) -> frozenset[str]:
        scalar = frozenset({"advantage"} if self.scored else ())
        return frozenset({"voltage", "alpha", "noise", "noise_variance", "feedback", "deviation"}) | scalar

    def new_state(self, layer: Layer, rngs: Sequence[np.random.Generator]) -> LearnedFeedbackState:
        seeds, n_in, n = layer.weight.shape
        hidden = not layer.last
        contextual = self.feedback_inputs and hidden and not layer.feeds_action
        varied = self.action_error == "control_variate" and layer.last
        return LearnedFeedbackState(
            layer.weight.new_zeros(seeds, self.action_size, n if hidden else 0),
            layer.weight.new_zeros(seeds, n_in, self.action_size * n if contextual else 0),
            layer.weight.new_zeros(seeds, n_in, n if varied else 0),
        )

    def diagnostics(self, state: LearnedFeedbackState) -> dict[str, Tensor]:
        return {"critic_norm": state.weight.norm(dim=(1, 2))}

    def says(
        self, state: LearnedFeedbackState, layer: Layer, transition: LocalTransition, broadcast: Broadcast
    ) -> dict[str, Tensor]:
        """The action's neurons their error e, if they find it themselves; hidden neurons −B ξ, with the residual rule."""
        xi = transition.noise
        if layer.last:
            return (
                {"feedback": self._action_error(state, layer, transition, broadcast)} if self.scored else {}
            )
        if self.feedback_rule == "correlation":
            return {}
        feedback = compiled.array(state.weight)
        if feedback is not None and not state.context.shape[-1] and compiled.serves(0, xi):
            said = np.empty((*xi.shape[:2], self.action_size), np.float32)
            compiled.kernels("rules.kernels").expected(xi.numpy(), feedback, said)
            return {"deviation": torch.from_numpy(said)}
        expected = torch.bmm(xi, state.weight.mT)
        if state.context.shape[-1]:
            expected = expected + (self._context(state, transition.voltage) * xi.unsqueeze(2)).sum(dim=3)
        return {"deviation": expected.neg_()}

    def local_error(
        self,
        state: LearnedFeedbackState,
        layer: Layer,
        transition: LocalTransition,
        broadcast: Broadcast = NO_BROADCAST,
    ) -> Tensor:
        if layer.last:
            return broadcast.feedback
        h = transition.alpha - transition.noise
        if not state.context.shape[-1]:
            return times_slope(torch.bmm(broadcast.feedback, state.weight), h, layer.activation)
        feedback = state.weight.unsqueeze(1) + self._context(state, transition.voltage)
        return times_slope((broadcast.feedback.unsqueeze(3) * feedback).sum(dim=2), h, layer.activation)

    def update_state(
        self, state: LearnedFeedbackState, layer: Layer, transition: LocalTransition, broadcast: Broadcast
    ) -> tuple[None, Tensor]:
        error = self._compiled(state, layer, transition, broadcast)
        if error is not None:
            return None, error
        error = self.local_error(state, layer, transition, broadcast)
        if not layer.last:
            self._learn_feedback(state, transition, broadcast.deviation)
        elif state.critic.shape[-1]:
            self._learn_critic(state, transition, broadcast)
        return None, error

    def _compiled(
        self, state: LearnedFeedbackState, layer: Layer, transition: LocalTransition, broadcast: Broadcast
    ) -> Tensor | None:
        """The local error of hidden neurons whose B has followed, in one call, if compiled functions are used."""
        xi, feedback = transition.noise, compiled.array(state.weight)
        if layer.last or state.context.shape[-1] or feedback is None or not compiled.serves(0, xi):
            return None
        variance, rows = transition.noise_variance, xi.shape[1]
        assert isinstance(variance, float), "hidden voltages are not clipped"
        forget, rate = rates(self.feedback_rule, self._step, variance, sum(self.hidden), rows)
        seen = (transition.alpha, xi, broadcast.feedback, broadcast.deviation)
        error = np.empty(xi.shape, np.float32)
        compiled.kernels("rules.kernels").learned_feedback(
            *(tensor.numpy() for tensor in seen),
            feedback,
            ACTIVATIONS.index(layer.activation),
            forget,
            rate,
            error,
        )
        return torch.from_numpy(error)

    @property
    def _step(self) -> float:
        # B and the C of each layer that has one learn from the same ρ: each takes its share of the step.
        return self.feedback_rate / (len(self.hidden) if self.feedback_inputs else 1)

    def _learn_feedback(
        self, state: LearnedFeedbackState, transition: LocalTransition, deviation: Tensor
    ) -> None:
        xi, variance = transition.noise, transition.noise_variance
        assert isinstance(variance, float), "hidden voltages are not clipped"
        step = self._step
        follow(state.weight, deviation, xi, variance, self.feedback_rule, step, sum(self.hidden))
        if state.context.shape[-1]:
            v, rows = transition.voltage, xi.shape[1]
            features = (deviation.unsqueeze(3) * xi.unsqueeze(2)).flatten(2)
            rate = step / variance / mean_square(xi.shape[2], rows)
            state.context.add_(torch.bmm(v.mT, features) / _power(v), alpha=rate / rows)

    def _context(self, state: LearnedFeedbackState, voltage: Tensor) -> Tensor:
        """C_n v of every neuron, (S, B, n_L, n)."""
        product = torch.bmm(voltage, state.context)
        return product.view(*voltage.shape[:2], self.action_size, -1)

    def _action_error(
        self, state: LearnedFeedbackState, layer: Layer, transition: LocalTransition, broadcast: Broadcast
    ) -> Tensor:
        """e = σ'(z) (g + (A − Σ_j g_j ξ_j) ξ / ξ²), g = w·v with a control variate and 0 without; unbiased for any g."""
        xi, advantage = transition.noise, broadcast.advantage
        if not state.critic.shape[-1]:
            slope = xi * (advantage / transition.noise_variance)
        else:
            expected = torch.bmm(transition.voltage, state.critic)
            surprise = advantage - (expected * xi).sum(dim=2, keepdim=True)
            slope = expected + xi * surprise / transition.noise_variance
        return times_slope(slope, transition.alpha - xi, layer.activation)

    def _learn_critic(
        self, state: LearnedFeedbackState, transition: LocalTransition, broadcast: Broadcast
    ) -> None:
        """w_i += η mean((A − Σ_j g_j ξ_j) ξ_i v): Widrow and Hoff's rule on the one scalar."""
        v, xi = transition.voltage, transition.noise
        surprise = broadcast.advantage - (torch.bmm(v, state.critic) * xi).sum(dim=2, keepdim=True)
        power = _power(v) * xi.square().mean(dim=(1, 2)).view(-1, 1, 1)
        rate = 1 / mean_square(xi.shape[2], v.shape[1])
        state.critic.add_(torch.bmm(v.mT, surprise * xi) / power, alpha=rate / v.shape[1])


def _power(voltage: Tensor) -> Tensor:
    """E‖v‖² over a minibatch (S, B, n_in), (S, 1, 1). Where all v are 0, the smallest number to divide their products by."""
    power = voltage.square().sum(dim=2).mean(dim=1).view(-1, 1, 1)
    return power.clamp_min(torch.finfo(voltage.dtype).tiny)


def follow(
    feedback: Tensor,
    deviation: Tensor,
    noise: Tensor,
    variance: float,
    rule: FeedbackRule,
    rate: float,
    neurons: int,
) -> None:
    """One step of B (S, n_L, n), in place, by `rule`, see `LearnedFeedbackRule`.

    deviation (S, B, n_L): Δz, or ρ for the residual rule. noise ξ (S, B, n), of `variance`. neurons: N.
    """
    rows = noise.shape[1]
    forget, rate = rates(rule, rate, variance, neurons, rows)
    if forget:
        feedback.sub_(feedback * noise.square().mean(dim=1, keepdim=True), alpha=forget)
    feedback.baddbmm_(deviation.mT, noise, alpha=rate / rows)


def rates(rule: FeedbackRule, rate: float, variance: float, neurons: int, rows: int) -> tuple[float, float]:
    """The factors of mean(ξ²) B and of mean(Δz ξ) in one step of `rule`."""
    if rule == "correlation":
        return rate / variance, rate / variance
    return 0.0, rate / variance / mean_square(neurons, rows)


def mean_square(features: int, rows: int) -> float:
    """1 + (F + 1) / M: steps of Widrow and Hoff's rule on F features of variance 1, M rows each, shrink the squared error
    fastest at the inverse of it, and no more at twice that (Proposition 7)."""
    return 1 + (features + 1) / rows
