"""Adam, in one call: compiled, or torch's fused kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from subcritic.nn import compiled


class Adam:
    """Adam (Kingma and Ba 2015, Algorithm 1) on one tensor, in place; weight decay is an L2 term in the gradient.

    Where it is not compiled, it is the kernel of `torch.optim.Adam(fused=True)`, with the same bits; the bookkeeping of that
    class costs as much as the kernel itself for networks of a few hundred units.
    """

    def __init__(self, parameters: Tensor, gradient: Tensor, rate: float, weight_decay: float = 0.0) -> None:
        self.rate, self.weight_decay = rate, weight_decay
        self.first_moment, self.second_moment = torch.zeros_like(parameters), torch.zeros_like(parameters)
        self.steps = torch.zeros((), dtype=torch.float32, device=parameters.device)
        # The kernel takes lists of tensors.
        self._tensors: tuple[list[Tensor], ...] = (
            [parameters],
            [gradient],
            [self.first_moment],
            [self.second_moment],
            [],
            [self.steps],
        )
        flat = (parameters, gradient, self.first_moment, self.second_moment)
        self._arrays = [found.ravel() for tensor in flat if (found := compiled.array(tensor)) is not None]
        self._count = compiled.array(self.steps.view(1))

    def step(self) -> None:
        """One step down the gradient."""
        if len(self._arrays) == 4 and compiled.allowed():
            step = compiled.kernels("nn.kernels").adam
            step(*self._arrays, self._count, self.rate, self.weight_decay)
            return
        self.steps += 1
        torch._fused_adam_(
            *self._tensors,
            lr=self.rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=self.weight_decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )

    def state_dict(self) -> dict[str, Tensor]:
        return {
            "first_moment": self.first_moment,
            "second_moment": self.second_moment,
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        for name, mine in self.state_dict().items():
            mine.copy_(state[name])
