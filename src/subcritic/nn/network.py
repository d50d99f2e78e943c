"""A network that learns by gradient: parameters, target copy, gradient buffer and Adam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch

from subcritic.nn import backprop
from subcritic.nn.adam import Adam
from subcritic.nn.devices import CPU
from subcritic.nn.mlp import MLP, Parameters, Voltages


class Shaped(Protocol):
    """What names the parts of a flat vector of parameters."""

    def views(self, flat: torch.Tensor) -> Parameters:
        """As `MLP.views`."""


class Learned:
    """Parameters of S stacked networks, a target copy, a gradient of their shape, and Adam (Kingma and Ba 2015)."""

    def __init__(self, spec: Shaped, online: Parameters, rate: float, weight_decay: float = 0.0) -> None:
        self.online = online
        self.target = spec.views(online.flat.clone())
        self.gradient = spec.views(torch.zeros_like(online.flat))
        self.optimiser = Adam(online.flat, self.gradient.flat, rate, weight_decay)

    def step(self) -> None:
        """One Adam step down the gradient in `gradient`."""
        self.optimiser.step()

    def track(self, polyak: float) -> None:
        """Move the target parameters towards the online ones."""
        self.target.move_towards(self.online, polyak)

    def finite(self) -> torch.Tensor:
        """Whether all parameters of a seed are finite, (S,)."""
        return self.online.flat.isfinite().all(dim=1)

    def state_dict(self) -> dict[str, Any]:
        return {
            "online": self.online.flat,
            "target": self.target.flat,
            "optimiser": self.optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.online.flat.copy_(state["online"])
        self.target.flat.copy_(state["target"])
        self.optimiser.load_state_dict(state["optimiser"])


class Network(Learned):
    """S stacked networks of one spec that learn by gradient.

    An update is a forward pass by `learning`, `backward` from what the loss asks of the output, and `step`. passes_on:
    whether `backward` also says what the loss asks of the input, in `passed` (S, B, n_0).
    """

    passes_on = False
    passed: torch.Tensor | None = None

    def __init__(
        self,
        spec: MLP,
        rngs: Sequence[np.random.Generator],
        rate: float,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
        device: torch.device = CPU,
    ) -> None:
        self.spec = spec
        super().__init__(spec, spec.init(rngs, dtype, device), rate, weight_decay)

    def forward(self, x: torch.Tensor, side: torch.Tensor | None = None, *, target: bool = False) -> Voltages:
        """Voltages of the online (or the target) parameters; shapes as in `MLP.forward`."""
        params = self.target if target else self.online
        return self.spec.forward(params, x, side)

    def learning(self, x: torch.Tensor, side: torch.Tensor | None = None) -> Voltages:
        """The forward pass of an update, of the online parameters."""
        return self.forward(x, side)

    def backward(self, voltages: Voltages, upstream: torch.Tensor) -> None:
        """Write ∂J/∂θ into `gradient`, for upstream = ∂J/∂h_L (S, B, n_L) summed over the batch."""
        backprop.gradients(self.spec, self.online, voltages, upstream, self.gradient)
        if self.passes_on:
            self.passed = backprop.voltage_gradients(self.spec, self.online, voltages, upstream)[0]

    def side_gradient(self, voltages: Voltages, upstream: torch.Tensor) -> torch.Tensor:
        """∂J/∂side (S, B, width), upstream as for `backward`."""
        return backprop.side_gradient(self.spec, self.online, voltages, upstream)

    def fit(self, voltages: Voltages, target: torch.Tensor) -> torch.Tensor:
        """One step on the batch mean of (target − output)², for an output (S, B, 1); returns the residual, (S, B, 1)."""
        residual = target - voltages.output
        self.backward(voltages, residual * (-2 / residual.shape[1]))
        self.step()
        return residual
