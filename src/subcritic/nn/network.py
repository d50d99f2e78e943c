"""A network that learns by gradient: parameters, target copy, gradient buffer and Adam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from subcritic.nn import backprop
from subcritic.nn.adam import Adam
from subcritic.nn.mlp import MLP, Voltages


class Network:
    """S stacked networks of one spec, trained by Adam (Kingma and Ba 2015) on one flat vector.

    Write gradients of a loss into `gradient`, then call `step`.
    """

    def __init__(
        self,
        spec: MLP,
        rngs: Sequence[np.random.Generator],
        rate: float,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.spec = spec
        self.online = spec.init(rngs, dtype)
        self.target = spec.views(self.online.flat.clone())
        self.gradient = spec.views(torch.zeros_like(self.online.flat))
        self.optimiser = Adam(self.online.flat, self.gradient.flat, rate, weight_decay)

    def forward(self, x: torch.Tensor, side: torch.Tensor | None = None, *, target: bool = False) -> Voltages:
        """Voltages of the online (or the target) parameters; shapes as in `MLP.forward`."""
        params = self.target if target else self.online
        return self.spec.forward(params, x, side)

    def step(self) -> None:
        """One Adam step down the gradient in `gradient`."""
        self.optimiser.step()

    def fit(self, voltages: Voltages, target: torch.Tensor) -> torch.Tensor:
        """One step on the batch mean of (target − output)², for an output (S, B, 1); returns the residual, (S, B, 1)."""
        residual = target - voltages.output
        upstream = residual * (-2 / residual.shape[1])
        backprop.gradients(self.spec, self.online, voltages, upstream, self.gradient)
        self.step()
        return residual

    def track(self, polyak: float) -> None:
        """Move the target parameters towards the online ones."""
        self.target.move_towards(self.online, polyak)

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
