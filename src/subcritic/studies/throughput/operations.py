"""The matrix products that one update of each learner needs: what it costs at least, on paper and on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from subcritic.agents.ddpg import actor_spec, critic_spec
from subcritic.config import DDPGSettings, LocalSettings
from subcritic.nn import MLP, compiled


@dataclass(frozen=True)
class Product:
    """out = left @ right, of shape (rows, inner) @ (inner, columns); `turned` is the operand that is read transposed.

    Operands go by name, so that products which share one in the algorithm share its memory here.
    """

    out: str
    left: str
    right: str
    rows: int
    inner: int
    columns: int
    turned: Literal["left", "right"] | None = None

    @property
    def multiply_adds(self) -> int:
        return self.rows * self.inner * self.columns


def multiply_adds(products: Sequence[Product]) -> int:
    """Multiplications with addition in all products; a count of floating-point operations is twice as high."""
    return sum(product.multiply_adds for product in products)


# torch's counter does not know the product that is added in place; left and right are shapes.
_ADDED_IN_PLACE = {
    torch.ops.aten.baddbmm_: lambda _, left, right, **rest: 2 * left[0] * left[1] * left[2] * right[2]
}


def counted(updates: Callable[[int], None]) -> int:
    """Multiply-adds in the matrix products of one update, as torch counts them; the first warms up."""
    with compiled.off():
        updates(1)
        with FlopCounterMode(display=False, custom_mapping=_ADDED_IN_PLACE) as counter:
            updates(1)
    return counter.get_total_flops() // 2


def ddpg_products(settings: DDPGSettings, observation_size: int, action_size: int) -> list[Product]:
    """One update of DDPG: critic, then actor through the critic's gradient by the action only."""
    actor = actor_spec(settings, observation_size, action_size)
    critic = critic_spec(settings, observation_size, action_size)
    batch = settings.batch_size
    return [
        *_critic_update(actor, critic, batch),
        *_forward("actor", "own", actor, batch),
        *_forward("critic", "judged", critic, batch),
        *_towards_action("critic", "judged", critic, batch),
        *_weight_gradients("actor", "own", actor, batch),
        *_towards_input("actor", "own", actor, batch),
    ]


def autograd_ddpg_products(settings: DDPGSettings, observation_size: int, action_size: int) -> list[Product]:
    """The same update by a plain backward pass, which also computes critic gradients that nothing uses.

    This is what Stable-Baselines3 does. Requires action_layer 1, its only choice.
    """
    actor = actor_spec(settings, observation_size, action_size)
    critic = critic_spec(settings, observation_size, action_size)
    batch = settings.batch_size
    n_in, n_out = critic.shapes()[0]
    return [
        *_critic_update(actor, critic, batch),
        *_forward("actor", "own", actor, batch),
        *_forward("critic", "judged", critic, batch),
        *_weight_gradients("critic", "judged", critic, batch),
        *_towards_input("critic", "judged", critic, batch),
        Product("judged d0", "judged d1", "critic K1", batch, n_out, n_in, "right"),
        *_weight_gradients("actor", "own", actor, batch),
        *_towards_input("actor", "own", actor, batch),
    ]


def linear_products(settings: LocalSettings, observation_size: int, action_size: int) -> list[Product]:
    """One update of the linear local rule: six products per layer, none between layers."""
    batch = settings.batch_size
    sizes = (observation_size, *settings.hidden, action_size)
    products = []
    for layer, (n_in, n_out) in enumerate(pairwise(sizes), start=1):
        through, back = (batch, n_in, n_out), (n_in, batch, n_out)
        v, v_next = f"v{layer}", f"v'{layer}"
        products += [
            Product(f"z'{layer}", v_next, f"target K{layer}", *through),
            Product(f"Q'{layer}", v_next, f"target theta{layer}", *through),
            Product(f"Q{layer}", v, f"theta{layer}", *through),
            Product(f"dtheta{layer}", v, f"Q{layer}", *back, "left"),
            Product(f"z{layer}", v, f"K{layer}", *through),
            Product(f"dK{layer}", v, f"z{layer}", *back, "left"),
        ]
    return products


class BareProducts:
    """Nothing but the products, into memory that is there already: an update cannot be faster with these matrices."""

    def __init__(self, products: Sequence[Product]) -> None:
        self._memory: dict[str, Tensor] = {}
        self.calls = [self._call(product) for product in products]

    def update(self) -> None:
        for left, right, out in self.calls:
            torch.mm(left, right, out=out)

    def _call(self, p: Product) -> tuple[Tensor, Tensor, Tensor]:
        left = self._operand(p.left, p.rows, p.inner, p.turned == "left")
        right = self._operand(p.right, p.inner, p.columns, p.turned == "right")
        return left, right, self._operand(p.out, p.rows, p.columns, turned=False)

    def _operand(self, name: str, rows: int, columns: int, turned: bool) -> Tensor:
        shape = (columns, rows) if turned else (rows, columns)
        if name not in self._memory:
            self._memory[name] = torch.rand(shape).sub_(0.5).div_(shape[0] ** 0.5)
        found = self._memory[name]
        assert found.shape == shape, f"{name} is {tuple(found.shape)}, asked for as {shape}"
        return found.T if turned else found


def _critic_update(actor: MLP, critic: MLP, batch: int) -> list[Product]:
    return [
        *_forward("target actor", "next own", actor, batch),
        *_forward("target critic", "next judged", critic, batch),
        *_forward("critic", "stored", critic, batch),
        *_weight_gradients("critic", "stored", critic, batch),
        *_towards_input("critic", "stored", critic, batch),
    ]


def _input(run: str, spec: MLP, layer: int) -> str:
    joined = spec.side is not None and spec.side[0] == layer
    return f"{run} h{layer - 1}" + (" with action" if joined else "")


def _forward(network: str, run: str, spec: MLP, batch: int) -> list[Product]:
    return [
        Product(f"{run} h{layer}", _input(run, spec, layer), f"{network} K{layer}", batch, n_in, n_out)
        for layer, (n_in, n_out) in enumerate(spec.shapes(), start=1)
    ]


def _weight_gradients(network: str, run: str, spec: MLP, batch: int) -> list[Product]:
    return [
        Product(
            f"{network} dK{layer}", _input(run, spec, layer), f"{run} d{layer}", n_in, batch, n_out, "left"
        )
        for layer, (n_in, n_out) in enumerate(spec.shapes(), start=1)
    ]


def _towards_input(network: str, run: str, spec: MLP, batch: int, stop: int = 1) -> list[Product]:
    """The error's way from the output back to the voltages of layer `stop`; a second input's share is left out."""
    products = []
    for layer in range(spec.depth, stop, -1):
        (n_in, n_out), n_below = spec.shapes()[layer - 1], spec.sizes[layer - 1]
        weight = f"{network} K{layer}" + ("" if n_in == n_below else " below")
        products.append(
            Product(f"{run} d{layer - 1}", f"{run} d{layer}", weight, batch, n_out, n_below, "right")
        )
    return products


def _towards_action(network: str, run: str, spec: MLP, batch: int) -> list[Product]:
    joins, width = spec.side
    last = Product(
        f"{run} da", f"{run} d{joins}", f"{network} K{joins} action", batch, spec.sizes[joins], width, "right"
    )
    return [*_towards_input(network, run, spec, batch, stop=joins), last]
