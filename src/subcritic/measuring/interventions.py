"""The oracle: q_n(s, α) = Q^μ(s, μ(s; do(h_l[n] := α))), evaluated by intervention, differentiated by autograd.

Written with torch's own functions and nothing of `nn.backprop`, so that it is a second opinion on the closed form.
"""

from __future__ import annotations

import torch
from torch import Tensor

from subcritic.nn import MLP, Parameters

# Actor and critic, each with its parameters.
Networks = tuple[MLP, Parameters, MLP, Parameters]

FUNCTIONS = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "identity": lambda z: z}


def value_from(
    layer: int,
    h: Tensor,
    observation: Tensor,
    networks: Networks,
) -> Tensor:
    """Q^μ(s, a) when the voltages of `layer` are h (S, B, n_l) and everything above follows; (S, B)."""
    actor, actor_params, critic, critic_params = networks
    for number in range(layer + 1, actor.depth + 1):
        h = _layer(actor, actor_params, number, h)
    q = observation
    for number in range(1, critic.depth + 1):
        if critic.side[0] == number:
            q = torch.cat((q, h), dim=-1)
        q = _layer(critic, critic_params, number, q)
    return q[..., 0]


def oracle_gradient(
    layer: int,
    h: Tensor,
    observation: Tensor,
    networks: Networks,
) -> Tensor:
    """∂q_n/∂α at α = h_l[n], for every neuron n of the layer: (S, B, n_l)."""
    with torch.enable_grad():
        leaf = h.detach().clone().requires_grad_()
        value_from(layer, leaf, observation, networks).sum().backward()
    return leaf.grad


def oracle_weight_gradient(observation: Tensor, networks: Networks) -> Tensor:
    """∇_K mean Q^μ(s, μ(s)) over the states (S, B, n_0), as a flat tensor (S, P), in float64."""
    actor, policy, critic, critic_params = networks
    with torch.enable_grad():
        leaf = policy.flat.detach().double().requires_grad_()
        judged = (actor, actor.views(leaf), critic, critic.views(critic_params.flat.double()))
        states = observation.double()
        value_from(0, states, states, judged).mean(dim=1).sum().backward()
    assert leaf.grad is not None
    return leaf.grad


def finite_difference(
    layer: int,
    neuron: int,
    h: Tensor,
    observation: Tensor,
    networks: Networks,
    step: float = 1e-6,
) -> Tensor:
    """∂q_n/∂α by central differences, (S, B); in float64, or rounding drowns it."""
    values = []
    for sign in (1, -1):
        moved = h.clone()
        moved[..., neuron] += sign * step
        values.append(value_from(layer, moved, observation, networks))
    return (values[0] - values[1]) / (2 * step)


def _layer(spec: MLP, params: Parameters, number: int, v: Tensor) -> Tensor:
    z = v @ params.weights[number - 1] + params.biases[number - 1]
    return FUNCTIONS[spec.activation(number)](z)
