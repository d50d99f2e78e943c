"""Topologies: the graphs K of feed-forward, recurrent, leaky-integrator and random agents.

Neurons are numbered: input neurons first, then the constant neuron (its row of K holds the biases), then the others
layer by layer, output neurons last.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from subcritic.neuro.agent import Function, NeurocomputationalAgent, NotAnAgent, unchanged
from subcritic.nn import MLP, Parameters


def feedforward(spec: MLP, parameters: Parameters, seed_index: int = 0) -> NeurocomputationalAgent:
    """The actor of one seed embedded in K; its actions after ℓ = L applications of D are exactly the actor's (Appendix A).

    spec: an actor, without second input. Raises NotAnAgent for a spec with one, IndexError for an unknown seed.
    """
    if spec.side is not None:
        raise NotAnAgent("a network with a second input (a critic) is not a policy; give an actor")
    seeds = parameters.flat.shape[0]
    if not 0 <= seed_index < seeds:
        raise IndexError(f"seed_index {seed_index} of parameters for {seeds} seeds; allowed: 0 … {seeds - 1}")
    weights = [weight[seed_index].double().numpy() for weight in parameters.weights]
    biases = [bias[seed_index, 0].double().numpy() for bias in parameters.biases]
    activations = [spec.activation(layer) for layer in range(1, spec.depth + 1)]
    return from_layers(weights, biases, activations)


def from_artifact(policy: dict[str, Any]) -> NeurocomputationalAgent:
    """The actor of a run's `policy.pt`, a dict that `torch.load` reads: sizes, hidden, output, parameters."""
    spec = MLP(tuple(policy["sizes"]), policy["hidden"], policy["output"])
    return feedforward(spec, spec.views(policy["parameters"].reshape(1, -1)))


def from_stable_baselines3(model: Any) -> NeurocomputationalAgent:
    """The actor of a Stable-Baselines3 DDPG or TD3 model with MlpPolicy.

    Its actions are those of `model.predict(…, deterministic=True)`, in the bounds of the model's environment. Raises
    NotAnAgent for another kind of policy or a layer that has no counterpart here.
    """
    from stable_baselines3.common.torch_layers import FlattenExtractor
    from stable_baselines3.td3.policies import TD3Policy

    policy = getattr(model, "policy", model)
    if not isinstance(policy, TD3Policy) or not isinstance(policy.actor.features_extractor, FlattenExtractor):
        raise NotAnAgent(f"{type(policy).__name__} is not a DDPG or TD3 policy on vectors (MlpPolicy)")
    names = {
        torch.nn.ReLU: "relu",
        torch.nn.Tanh: "tanh",
        torch.nn.Sigmoid: "sigmoid",
        torch.nn.Identity: "identity",
    }
    weights, biases, activations = [], [], []
    for module in policy.actor.mu:
        if isinstance(module, torch.nn.Linear):
            weights.append(module.weight.detach().cpu().double().numpy().T)
            biases.append(module.bias.detach().cpu().double().numpy())
            activations.append("identity")
        elif type(module) in names:
            activations[-1] = names[type(module)]
        else:
            raise NotAnAgent(f"a layer {module} of the actor; known: Linear, ReLU, Tanh, Sigmoid, Identity")
    low, high = policy.action_space.low.astype(float), policy.action_space.high.astype(float)
    return from_layers(weights, biases, activations, scale_to(low, high))


def scale_to(low: np.ndarray, high: np.ndarray) -> Function:
    """δ's last part: output voltages in [-1, 1] → actions in [low, high], both (act,)."""
    if (low == -1).all() and (high == 1).all():
        return unchanged
    return lambda h: low + 0.5 * (h + 1) * (high - low)


def from_layers(
    weights: Sequence[np.ndarray],
    biases: Sequence[np.ndarray],
    activations: Sequence[str],
    express: Function = unchanged,
) -> NeurocomputationalAgent:
    """A feed-forward agent of L layers: weights (n_{l-1}, n_l), biases (n_l,), a name of σ for each; ℓ = L.

    The neuron i of layer l ≥ 1 has index n_0 + 1 + n_1 + … + n_{l-1} + i.
    """
    sizes = [weights[0].shape[0], *(weight.shape[1] for weight in weights)]
    layers = _layers(sizes)
    constant = sizes[0]
    graph = Graph(sum(sizes) + 1)
    for before, after, weight, bias in zip(layers[:-1], layers[1:], weights, biases, strict=True):
        graph.connect(before, after, weight)
        graph.connect([constant], after, bias[None])
    names = ["identity"] * (sizes[0] + 1)
    for size, name in zip(sizes[1:], activations, strict=True):
        names += [name] * size
    return graph.agent(layers[0], layers[-1], constant, names, len(weights), express)


def recurrent(
    inputs: int,
    hidden: int,
    outputs: int,
    rng: np.random.Generator,
    activation: str = "tanh",
    gain: float = 1.0,
    delay: int = 2,
) -> NeurocomputationalAgent:
    """`layered` with one hidden layer, whose neurons are connected to each other.

    delay: with ℓ = 2 the observation reaches the action in the same environment step, with ℓ = 1 in the next.
    """
    return layered(inputs, (hidden,), outputs, rng, activation, gain, delay)


def layered(
    inputs: int,
    hidden: Sequence[int],
    outputs: int,
    rng: np.random.Generator,
    activation: str = "tanh",
    gain: float | None = 1.0,
    delay: int | None = None,
) -> NeurocomputationalAgent:
    """Random weights from layer to layer and, unless `gain` is None, from all to all within each hidden layer.

    gain: about the spectral radius of a hidden layer's connections to itself, entries N(0, gain² / its size); from the layer
    below N(0, 1 / its size), the constant neuron counted to the inputs. Outputs are tanh, with biases that start at 0.
    delay: ℓ; None: the number of layers, so that the observation reaches the action in the same environment step.
    """
    into, *between, out = _layers([inputs, *hidden, outputs])
    graph = Graph(inputs + 1 + sum(hidden) + outputs)
    below = into
    for layer in between:
        scale = 1 / np.sqrt(inputs + 1 if below is into else len(below))
        graph.connect(below, layer, rng.normal(0, scale, (len(below), len(layer))))
        graph.connect([inputs], layer, rng.normal(0, scale, (1, len(layer))))
        if gain is not None:
            spread = gain / np.sqrt(len(layer))
            graph.connect(layer, layer, rng.normal(0, spread, (len(layer), len(layer))))
        below = layer
    graph.connect(below, out, rng.normal(0, 1 / np.sqrt(len(below)), (len(below), outputs)))
    graph.connect([inputs], out, np.zeros((1, outputs)))
    names = ["identity"] * (inputs + 1) + [activation] * sum(hidden) + ["tanh"] * outputs
    return graph.agent(into, out, inputs, names, len(hidden) + 1 if delay is None else delay)


def leaky_integrator(
    inputs: int,
    hidden: int,
    outputs: int,
    rng: np.random.Generator,
    decay: float = 1.0,
    time_step: float = 0.1,
    activation: str = "tanh",
    gain: float = 1.0,
    delay: int = 1,
) -> NeurocomputationalAgent:
    """Leaky integrators: membranes x with dx/dt = −decay · x + Wᵀy + U ᵀs + b and firing rates y = σ(x), Euler steps.

    Each unit is two neurons, so that the form σ(ΘK[v]) holds as it stands: a membrane (σ identity, connected to itself by
    1 − decay · time_step) and an axon (σ = `activation`) that fires by the membrane of one application before. Output
    neurons are tanh of the membranes of `outputs` further units. Indices: inputs, constant, hidden + outputs membranes,
    hidden axons, outputs axons. decay in 1/time, time_step in time; decay · time_step must lie in (0, 1].
    """
    if not 0 < decay * time_step <= 1:
        raise NotAnAgent(f"decay · time_step = {decay * time_step:g}; it must lie in (0, 1]")
    units = hidden + outputs
    into, membranes, axons, out = _layers([inputs, units, hidden, outputs])
    graph = Graph(inputs + 1 + 2 * units)
    graph.connect(into, membranes, time_step * rng.normal(0, 1 / np.sqrt(inputs + 1), (inputs, units)))
    graph.connect([inputs], membranes, time_step * rng.normal(0, 1 / np.sqrt(inputs + 1), (1, units)))
    graph.connect(axons, membranes, time_step * rng.normal(0, gain / np.sqrt(hidden), (hidden, units)))
    graph.set(membranes, membranes, 1 - decay * time_step)
    graph.set(membranes, np.concatenate([axons, out]), 1.0)
    names = ["identity"] * (inputs + 1 + units) + [activation] * hidden + ["tanh"] * outputs
    return graph.agent(into, out, inputs, names, delay)


def random_graph(
    inputs: int,
    hidden: int,
    outputs: int,
    sparsity: float,
    rng: np.random.Generator,
    activation: str = "tanh",
    gain: float = 1.0,
    delay: int = 3,
) -> NeurocomputationalAgent:
    """Connections drawn at random: of all those into hidden and output neurons, the fraction `sparsity` does not exist.

    The number of connections is exact (rounded); weights are N(0, gain² / mean fan-in); biases always exist and start at 0.
    Raises NotAnAgent unless 0 ≤ sparsity < 1.
    """
    if not 0 <= sparsity < 1:
        raise NotAnAgent(f"sparsity = {sparsity}; it must lie in [0, 1)")
    into, between, out = _layers([inputs, hidden, outputs])
    sources, targets = np.concatenate([into, between, out]), np.concatenate([between, out])
    possible = len(sources) * len(targets)
    exists = np.zeros(possible, bool)
    exists[rng.choice(possible, round((1 - sparsity) * possible), replace=False)] = True
    exists = exists.reshape(len(sources), len(targets))
    fan_in = max(exists.sum() / len(targets), 1.0)
    graph = Graph(inputs + 1 + hidden + outputs)
    graph.connect(sources, targets, exists * rng.normal(0, gain / np.sqrt(fan_in), exists.shape), exists)
    graph.connect([inputs], targets, np.zeros((1, len(targets))))
    names = ["identity"] * (inputs + 1) + [activation] * hidden + ["tanh"] * outputs
    return graph.agent(into, out, inputs, names, delay)


class Graph:
    """K and its mask while they are being put together."""

    def __init__(self, neurons: int) -> None:
        self.K = np.zeros((neurons, neurons))
        self.mask = np.zeros((neurons, neurons), bool)

    def connect(self, sources: Any, targets: Any, weights: np.ndarray, exists: Any = True) -> None:
        """Connections from all `sources` to all `targets`, weights (sources, targets), where `exists`."""
        self.K[np.ix_(sources, targets)] = weights
        self.mask[np.ix_(sources, targets)] = exists

    def set(self, sources: np.ndarray, targets: np.ndarray, weight: float) -> None:
        """Connections from each source to its own target, both (n,)."""
        self.K[sources, targets] = weight
        self.mask[sources, targets] = True

    def agent(
        self, inputs: Any, outputs: Any, constant: int, names: Any, delay: int, express: Function = unchanged
    ) -> NeurocomputationalAgent:
        return NeurocomputationalAgent(
            self.K, inputs, outputs, tuple(names), [constant], delay, self.mask, express=express
        )


def _layers(sizes: Sequence[int]) -> list[np.ndarray]:
    """Indices of each layer; the constant neuron stands after the first."""
    starts = np.cumsum([0, *sizes])
    return [np.arange(start, stop) + (layer > 0) for layer, (start, stop) in enumerate(pairwise(starts))]
