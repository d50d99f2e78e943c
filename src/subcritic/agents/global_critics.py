"""Critics Q^μ(s, a) of the whole agent, whose values are broadcast. Four kinds, by how they learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from subcritic import seeding
from subcritic.config import LocalSettings
from subcritic.nn import MLP, Parameters, Voltages, backprop
from subcritic.nn.activations import neurons, times_slope
from subcritic.nn.adam import Adam
from subcritic.nn.devices import CPU, to_device
from subcritic.nn.network import Network
from subcritic.nn.normal import normals
from subcritic.rules.learned_feedback import follow


class GlobalCritic(Protocol):
    """S critics; observation (S, B, n_0), action (S, B, n_L), values and targets (S, B, 1).

    network: the network that learns by backpropagation, if it is one. noise_width: how many numbers `fit` draws for every
    row of a minibatch.
    """

    @property
    def network(self) -> Network | None: ...

    @property
    def noise_width(self) -> int: ...

    def values(self, observation: Tensor, action: Tensor, *, target: bool = False) -> Tensor:
        """Q^μ(s, a), or the target copy's."""

    def fit(
        self, observation: Tensor, action: Tensor, target: Tensor, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """One step towards `target`, and the target copy follows; values before the step, and residuals.

        noise (S, B, noise_width): what `draw` gave; None: drawn now.
        """

    def draw(self, rows: int) -> np.ndarray:
        """Standard normal numbers of the next `fit`, (S, rows, noise_width)."""

    def action_gradient(self, observation: Tensor, action: Tensor) -> Tensor:
        """∂Q^μ/∂a, (S, B, n_L)."""

    def finite(self) -> Tensor:
        """Whether all of a seed's weights are finite, (S,)."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class _Draws:
    """What a critic draws for an update: nothing, unless it says otherwise."""

    noise_width = 0

    def draw(self, rows: int) -> np.ndarray:
        raise ValueError("this critic draws nothing")


class BackpropCritic(_Draws):
    """DDPG's critic: a ReLU network of `critic_hidden`, the action beside the observation, learned by backpropagation.

    It is the same as DDPG's with the preset `modern`; errors cross the critic's layers, none of the actor's.
    """

    def __init__(
        self,
        settings: LocalSettings,
        observation_size: int,
        action_size: int,
        rngs: Sequence[np.random.Generator],
        dtype: torch.dtype = torch.float32,
        device: torch.device = CPU,
    ) -> None:
        hidden = settings.critic_hidden or settings.hidden
        spec = MLP((observation_size, *hidden, 1), "relu", "identity", side=(1, action_size))
        self.network = Network(spec, rngs, settings.global_critic_rate, dtype=dtype, device=device)
        self.polyak = settings.polyak

    def values(self, observation: Tensor, action: Tensor, *, target: bool = False) -> Tensor:
        return self.network.forward(observation, action, target=target).output

    def fit(
        self, observation: Tensor, action: Tensor, target: Tensor, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        judged = self.network.forward(observation, action)
        residual = self.network.fit(judged, target)
        self.network.track(self.polyak)
        return judged.output, residual

    def action_gradient(self, observation: Tensor, action: Tensor) -> Tensor:
        judged = self.network.forward(observation, action)
        upstream = torch.ones_like(judged.output)
        return backprop.side_gradient(self.network.spec, self.network.online, judged, upstream)

    def finite(self) -> Tensor:
        return self.network.online.flat.isfinite().all(dim=1)

    def state_dict(self) -> dict[str, Any]:
        return self.network.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state)


class _WithoutBackprop(_Draws):
    """What the other kinds share: one flat vector of learned weights (S, P), its target copy, its gradient, Adam."""

    network = None

    def __init__(self, flat: Tensor, settings: LocalSettings) -> None:
        self.online, self.target, self.gradient = flat, flat.clone(), torch.zeros_like(flat)
        self.optimiser = Adam(flat, self.gradient, settings.global_critic_rate)
        self.polyak = settings.polyak

    def _step(self) -> None:
        self.optimiser.step()
        self.target.lerp_(self.online, self.polyak)

    def finite(self) -> Tensor:
        return self.online.isfinite().all(dim=1)

    def state_dict(self) -> dict[str, Any]:
        return {"online": self.online, "target": self.target, "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.online.copy_(state["online"])
        self.target.copy_(state["target"])
        self.optimiser.load_state_dict(state["optimiser"])


class LocalHeadsCritic(_WithoutBackprop):
    """A critic whose layers learn one by one: layer l has a head of its own, Q_l = w_l·h_l + b_l, and no error leaves it.

    D_l = y − Q_l;  w_l += Adam(mean(D_l h_l)) and layer l's weights += Adam(mean(D_l w_l σ'(z_l) h_{l-1})): the gradient
    of D_l²/2 with h_{l-1} taken as given (layer-wise greedy learning, Belilovsky et al. 2020). Q^μ is the last head.
    """

    def __init__(
        self,
        settings: LocalSettings,
        observation_size: int,
        action_size: int,
        rngs: Sequence[np.random.Generator],
        dtype: torch.dtype = torch.float32,
        device: torch.device = CPU,
    ) -> None:
        hidden = settings.critic_hidden or settings.hidden
        self.trunk = MLP((observation_size, *hidden), "relu", "relu", side=(1, action_size))
        self.head_shapes = [MLP((width, 1)) for width in hidden]
        parts = [spec.init(rngs, dtype, device).flat for spec in (self.trunk, *self.head_shapes)]
        super().__init__(torch.cat(parts, dim=1), settings)
        self._widths = [part.shape[1] for part in parts]
        self._own, self._copy, self._gradients = map(self._views, (self.online, self.target, self.gradient))

    def _views(self, flat: Tensor) -> tuple[Parameters, list[Parameters]]:
        """The trunk's parameters, and every head's."""
        trunk, *heads = flat.split(self._widths, dim=1)
        named = [spec.views(head) for spec, head in zip(self.head_shapes, heads, strict=True)]
        return self.trunk.views(trunk), named

    def values(self, observation: Tensor, action: Tensor, *, target: bool = False) -> Tensor:
        trunk, heads = self._copy if target else self._own
        h = self.trunk.forward(trunk, observation, action).output
        return _read(heads[-1], h)

    def fit(
        self, observation: Tensor, action: Tensor, target: Tensor, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        trunk, heads = self._own
        voltages = self.trunk.forward(trunk, observation, action)
        judged = [_read(head, h) for head, h in zip(heads, voltages.activations, strict=True)]
        for layer, value in enumerate(judged):
            self._layer_gradient(layer, voltages, (target - value).div_(-target.shape[1]))
        self._step()
        return judged[-1], target - judged[-1]

    def _layer_gradient(self, layer: int, voltages: Voltages, upstream: Tensor) -> None:
        """Gradients of mean D_l²/2, upstream = −D_l / B; the head as before the step."""
        (trunk, heads), head = self._gradients, self._own[1][layer]
        h, v = voltages.activations[layer], voltages.inputs[layer]
        heads[layer].weights[0].copy_(torch.bmm(h.mT, upstream))
        heads[layer].biases[0].copy_(upstream.sum(dim=1, keepdim=True))
        delta = times_slope(upstream * head.weights[0].mT, h, "relu")
        trunk.weights[layer].copy_(torch.bmm(v.mT, delta))
        trunk.biases[layer].copy_(delta.sum(dim=1, keepdim=True))

    def action_gradient(self, observation: Tensor, action: Tensor) -> Tensor:
        raise ValueError("a critic with local heads has no ∂Q/∂a without backpropagation through its layers")


class LearnedFeedbackCritic(_WithoutBackprop):
    """DDPG's critic without backpropagation: its neurons learn by the rule of the same name.

    The TD error D = y − Q is broadcast. A hidden neuron finds out by its own noise ±ξ, ξ ~ N(0, σ²), in two more forward
    passes, how it moves the value, by one of the two rules of `rules.learned_feedback`, with ΔQ for Δz. Its error is
    D B_n σ'(z): K^n += Adam(mean(D B_n σ'(z) v)). B starts at 0; the value's own neuron learns from D itself.
    """

    SCALE = 0.1

    def __init__(
        self,
        settings: LocalSettings,
        observation_size: int,
        action_size: int,
        rngs: Sequence[np.random.Generator],
        dtype: torch.dtype = torch.float32,
        device: torch.device = CPU,
    ) -> None:
        hidden = settings.critic_hidden or settings.hidden
        self.spec = MLP((observation_size, *hidden, 1), "relu", "identity", side=(1, action_size))
        super().__init__(self.spec.init(rngs, dtype, device).flat, settings)
        self._own, self._copy, self._gradients = map(
            self.spec.views, (self.online, self.target, self.gradient)
        )
        self.rngs, self.rule, self.rate = list(rngs), settings.feedback_rule, settings.feedback_rate
        self.feedback = [torch.zeros(len(rngs), 1, width, dtype=dtype, device=device) for width in hidden]
        self.noise_width = sum(hidden)

    def values(self, observation: Tensor, action: Tensor, *, target: bool = False) -> Tensor:
        return self.spec.forward(self._copy if target else self._own, observation, action).output

    def fit(
        self, observation: Tensor, action: Tensor, target: Tensor, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        voltages = self.spec.forward(self._own, observation, action)
        residual = target - voltages.output
        self._learn_feedback(observation, action, noise)
        upstream = residual / -residual.shape[1]
        for layer, v in enumerate(voltages.inputs):
            error = upstream
            if layer < len(self.feedback):
                error = times_slope(upstream * self.feedback[layer], voltages.activations[layer], "relu")
            torch.bmm(v.mT, error, out=self._gradients.weights[layer])
            torch.sum(error, dim=1, keepdim=True, out=self._gradients.biases[layer])
        self._step()
        return voltages.output, residual

    def draw(self, rows: int) -> np.ndarray:
        return normals(self.rngs, (rows, self.noise_width))

    def _learn_feedback(self, observation: Tensor, action: Tensor, drawn: Tensor | None = None) -> None:
        widths = [b.shape[-1] for b in self.feedback]
        if drawn is None:
            drawn = to_device(self.draw(observation.shape[1]), observation.device)
        noise = (self.SCALE * drawn).to(observation.dtype).split(widths, dim=-1)
        states, actions = (torch.cat((x, x), dim=1) for x in (observation, action))
        signed: list[Tensor | None] = [*(torch.cat((xi, -xi), dim=1) for xi in noise), None]
        plus, minus = self.spec.forward(self._own, states, actions, signed).output.chunk(2, dim=1)
        deviation = (plus - minus) / 2
        if self.rule == "residual":
            for b, xi in zip(self.feedback, noise, strict=True):
                deviation = deviation - torch.bmm(xi, b.mT)
        for b, xi in zip(self.feedback, noise, strict=True):
            follow(b, deviation, xi, self.SCALE**2, self.rule, self.rate, sum(widths))

    def action_gradient(self, observation: Tensor, action: Tensor) -> Tensor:
        raise ValueError(
            "a critic with learned feedback has no ∂Q/∂a without backpropagation through its layers"
        )

    def state_dict(self) -> dict[str, Any]:
        kept = {"feedback": self.feedback, "rngs": seeding.states(self.rngs)}
        return super().state_dict() | kept

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        for b, saved in zip(self.feedback, state["feedback"], strict=True):
            b.copy_(saved)
        seeding.restore(self.rngs, state["rngs"])


class RandomFeaturesCritic(_WithoutBackprop):
    """Q^μ(s, a) = w·φ(s, a) + b, φ a wide layer of ReLU neurons with fixed random weights; only w and b learn.

    D = y − Q;  w += Adam(mean(D φ)): linear temporal-difference learning (random features: Rahimi and Recht 2007). The
    random weights are uniform in ±1/√fan-in, the readout starts at 0.
    """

    def __init__(
        self,
        settings: LocalSettings,
        observation_size: int,
        action_size: int,
        rngs: Sequence[np.random.Generator],
        dtype: torch.dtype = torch.float32,
        device: torch.device = CPU,
    ) -> None:
        self.action_size = action_size
        layer = MLP((observation_size + action_size, settings.random_features)).init(rngs, dtype, device)
        self.weight, self.bias = layer.weights[0], layer.biases[0]
        self.readout = MLP((settings.random_features, 1))
        super().__init__(self.readout.parameters(len(rngs), dtype, device).flat, settings)
        self._own, self._copy, self._gradients = map(
            self.readout.views, (self.online, self.target, self.gradient)
        )

    def _features(self, observation: Tensor, action: Tensor) -> Tensor:
        return neurons(torch.cat((observation, action), dim=-1), self.weight, self.bias, "relu")

    def values(self, observation: Tensor, action: Tensor, *, target: bool = False) -> Tensor:
        return _read(self._copy if target else self._own, self._features(observation, action))

    def fit(
        self, observation: Tensor, action: Tensor, target: Tensor, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        features = self._features(observation, action)
        value = _read(self._own, features)
        residual = target - value
        upstream = residual / -residual.shape[1]
        self._gradients.weights[0].copy_(torch.bmm(features.mT, upstream))
        self._gradients.biases[0].copy_(upstream.sum(dim=1, keepdim=True))
        self._step()
        return value, residual

    def action_gradient(self, observation: Tensor, action: Tensor) -> Tensor:
        """Through the one fixed layer: Σ_j w_j σ'(z_j) W_aj."""
        features = self._features(observation, action)
        slope = times_slope(self._own.weights[0].mT.expand_as(features), features, "relu")
        return torch.bmm(slope, self.weight[:, -self.action_size :].mT)


def _read(head: Parameters, h: Tensor) -> Tensor:
    return torch.baddbmm(head.biases[0], h, head.weights[0])


GLOBAL_CRITICS: dict[str, Callable[..., GlobalCritic]] = {
    "backprop": BackpropCritic,
    "local_heads": LocalHeadsCritic,
    "learned_feedback": LearnedFeedbackCritic,
    "random_features": RandomFeaturesCritic,
}
