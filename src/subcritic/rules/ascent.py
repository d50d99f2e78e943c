"""How a rule's steps are taken: plain, or by Adam. A step is always uphill, along a mean over the minibatch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Protocol

from torch import Tensor

from subcritic.nn.adam import Adam
from subcritic.nn.products import add_outer


class Ascent(Protocol):
    """Moves parameters in place; v (S, B, n_in) and signal (S, B, n) are what a step is made of."""

    def outer(self, parameter: Tensor, v: Tensor, signal: Tensor) -> None:
        """parameter (S, n_in, n) along mean_B(v ⊗ signal)."""

    def mean(self, parameter: Tensor, signal: Tensor) -> None:
        """parameter (S, 1, n) along mean_B(signal)."""

    def along(self, parameter: Tensor, direction: Tensor) -> None:
        """parameter along direction, of one shape."""


class Plain:
    """parameter += rate · direction, in one pass."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def outer(self, parameter: Tensor, v: Tensor, signal: Tensor) -> None:
        add_outer(parameter, v, signal, self.rate / v.shape[1])

    def mean(self, parameter: Tensor, signal: Tensor) -> None:
        parameter.add_(signal.sum(dim=1, keepdim=True), alpha=self.rate / signal.shape[1])

    def along(self, parameter: Tensor, direction: Tensor) -> None:
        parameter.add_(direction, alpha=self.rate)

    def own(self, tensors: Iterable[Tensor]) -> None:
        """Nothing is kept of a plain step."""

    def own_parts(
        self, flat: Tensor, parts: Iterable[Tensor], gradient: Tensor, views: Iterable[Tensor]
    ) -> None:
        """Nothing is kept of a plain step."""

    def finish(self) -> None:
        """Nothing is left to do."""

    def state_dict(self) -> list[Any]:
        return []

    def load_state_dict(self, state: list[Any]) -> None:
        """Nothing was kept."""


class Adaptive:
    """Adam (Kingma and Ba 2015): each tensor it owns steps at once; parts of a flat vector step together in `finish`."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        # By identity: a tensor has no other name here. Each: its gradient, and its own Adams, none if it is a part.
        self._owned: dict[int, tuple[Tensor, list[Adam]]] = {}
        self._adams: list[Adam] = []
        self._waiting: list[Adam] = []

    def own(self, tensors: Iterable[Tensor]) -> None:
        """Take on tensors that step one by one."""
        for tensor in tensors:
            gradient = tensor.new_zeros(tensor.shape)
            # The kernel reads memory from end to end: a view with gaps between seeds goes seed by seed.
            pairs = [(tensor, gradient)] if tensor.is_contiguous() else zip(tensor, gradient, strict=True)
            adams = [Adam(*pair, self.rate) for pair in pairs]
            self._adams += adams
            self._owned[id(tensor)] = (gradient, adams)

    def own_parts(
        self, flat: Tensor, parts: Iterable[Tensor], gradient: Tensor, views: Iterable[Tensor]
    ) -> None:
        """Take on the views `parts` of `flat`, whose gradients are the views `views` of `gradient`."""
        self._adams.append(Adam(flat, gradient, self.rate))
        self._waiting.append(self._adams[-1])
        for part, view in zip(parts, views, strict=True):
            self._owned[id(part)] = (view, [])

    def outer(self, parameter: Tensor, v: Tensor, signal: Tensor) -> None:
        gradient, _ = self._owned[id(parameter)]
        gradient.baddbmm_(v.mT, signal, beta=0, alpha=-1 / v.shape[1])
        self._step(parameter)

    def mean(self, parameter: Tensor, signal: Tensor) -> None:
        self.along(parameter, signal.mean(dim=1, keepdim=True))

    def along(self, parameter: Tensor, direction: Tensor) -> None:
        self._owned[id(parameter)][0].copy_(direction).neg_()
        self._step(parameter)

    def finish(self) -> None:
        """One step of every flat vector."""
        for adam in self._waiting:
            adam.step()

    def _step(self, parameter: Tensor) -> None:
        for adam in self._owned[id(parameter)][1]:
            adam.step()

    def state_dict(self) -> list[Any]:
        return [adam.state_dict() for adam in self._adams]

    def load_state_dict(self, state: list[Any]) -> None:
        for adam, saved in zip(self._adams, state, strict=True):
            adam.load_state_dict(saved)


def ascent(optimiser: Literal["sgd", "adam"], rate: float) -> Plain | Adaptive:
    return Plain(rate) if optimiser == "sgd" else Adaptive(rate)
