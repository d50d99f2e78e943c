"""How parameters take a step uphill: plainly, by Adam, or by leaving the direction for a step that is taken later."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from torch import Tensor

from subcritic.nn import compiled
from subcritic.nn.adam import Adam
from subcritic.nn.compiled import Packed
from subcritic.nn.products import add_outer

Kind = Literal["sgd", "adam"]


class Optimiser(ABC):
    """Moves the parameters of one layer in place, each found by its name, along a mean over the minibatch.

    v (S, B, n_in) and signal (S, B, n) are what a direction is made of. rate: the step size, or one for each name.
    """

    def __init__(self, parameters: Mapping[str, Tensor], rate: float | Mapping[str, float]) -> None:
        self.parameters = dict(parameters)
        self.rates = dict(rate) if isinstance(rate, Mapping) else dict.fromkeys(parameters, rate)

    @abstractmethod
    def outer(self, name: str, v: Tensor, signal: Tensor) -> None:
        """A parameter (S, n_in, n) along mean_B(v ⊗ signal)."""

    @abstractmethod
    def mean(self, name: str, signal: Tensor) -> None:
        """A parameter (S, 1, n) along mean_B(signal)."""

    def neurons(self, v: Tensor, signal: Tensor) -> None:
        """`weight` along mean_B(v ⊗ signal) and `bias` along mean_B(signal)."""
        self.outer("weight", v, signal)
        self.mean("bias", signal)

    @abstractmethod
    def along(self, name: str, direction: Tensor) -> None:
        """A parameter along a direction of its own shape."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave; nothing is kept, unless a subclass says otherwise."""
        assert not state


class Plain(Optimiser):
    """parameter += rate · direction, in one pass."""

    @cached_property
    def packed(self) -> Packed | None:
        """weight and bias for compiled functions, if these can take them."""
        same = self.rates["weight"] == self.rates["bias"]
        return compiled.packed(self.parameters["weight"], self.parameters["bias"]) if same else None

    def neurons(self, v: Tensor, signal: Tensor) -> None:
        if not _compiled(self.packed, v, signal, self.rates["weight"] / v.shape[1]):
            super().neurons(v, signal)

    def outer(self, name: str, v: Tensor, signal: Tensor) -> None:
        add_outer(self.parameters[name], v, signal, self.rates[name] / v.shape[1])

    def mean(self, name: str, signal: Tensor) -> None:
        step = self.rates[name] / signal.shape[1]
        self.parameters[name].add_(signal.sum(dim=1, keepdim=True), alpha=step)

    def along(self, name: str, direction: Tensor) -> None:
        self.parameters[name].add_(direction, alpha=self.rates[name])


class Collecting(Optimiser):
    """Writes −direction into `gradients`, of the parameters' names and shapes; whoever owns these takes the step.

    A parameter that is left out of an update keeps the gradient of the one before.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        rate: float | Mapping[str, float],
    ) -> None:
        super().__init__(parameters, rate)
        self.gradients = dict(gradients)

    @cached_property
    def packed(self) -> Packed | None:
        """The gradients of weight and bias for compiled functions, if these can take them."""
        return compiled.packed(self.gradients["weight"], self.gradients["bias"])

    def neurons(self, v: Tensor, signal: Tensor) -> None:
        if _compiled(self.packed, v, signal, -1 / v.shape[1], fresh=True):
            self.step("weight")
            self.step("bias")
        else:
            super().neurons(v, signal)

    def outer(self, name: str, v: Tensor, signal: Tensor) -> None:
        self.gradients[name].baddbmm_(v.mT, signal, beta=0, alpha=-1 / v.shape[1])
        self.step(name)

    def mean(self, name: str, signal: Tensor) -> None:
        self.along(name, signal.mean(dim=1, keepdim=True))

    def along(self, name: str, direction: Tensor) -> None:
        self.gradients[name].copy_(direction).neg_()
        self.step(name)

    def step(self, name: str) -> None:
        """None here: the step is taken by whoever owns the gradients."""


class Adaptive(Collecting):
    """Adam (Kingma and Ba 2015): each parameter steps as soon as its direction is known."""

    def __init__(self, parameters: Mapping[str, Tensor], rate: float | Mapping[str, float]) -> None:
        gradients = {name: tensor.new_zeros(tensor.shape) for name, tensor in parameters.items()}
        super().__init__(parameters, gradients, rate)
        self.adams = {name: self._adams(name) for name in self.parameters}

    def _adams(self, name: str) -> list[Adam]:
        parameter, gradient, rate = self.parameters[name], self.gradients[name], self.rates[name]
        # The kernel reads memory from end to end: a view with gaps between seeds goes seed by seed.
        if parameter.is_contiguous():
            return [Adam(parameter, gradient, rate)]
        return [Adam(*pair, rate) for pair in zip(parameter, gradient, strict=True)]

    def step(self, name: str) -> None:
        for adam in self.adams[name]:
            adam.step()

    def state_dict(self) -> dict[str, Any]:
        return {name: [adam.state_dict() for adam in adams] for name, adams in self.adams.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, adams in self.adams.items():
            for adam, saved in zip(adams, state[name], strict=True):
                adam.load_state_dict(saved)


def make_optimiser(
    kind: Kind, parameters: Mapping[str, Tensor], rate: float | Mapping[str, float]
) -> Optimiser:
    """The optimiser of a layer's parameters that a setting names."""
    return Plain(parameters, rate) if kind == "sgd" else Adaptive(parameters, rate)


def _compiled(into: Packed | None, v: Tensor, signal: Tensor, scale: float, fresh: bool = False) -> bool:
    """weight += scale Σ_B v ⊗ signal and bias += scale Σ_B signal in one call, if compiled functions are used."""
    largest = v.shape[2] * signal.shape[2]
    if into is None or not compiled.serves(largest, v) or not compiled.serves(largest, signal):
        return False
    step = compiled.kernels("rules.kernels").step
    step(v.numpy(), signal.numpy(), *into.arrays, into.stride, scale, fresh)
    return True
