"""A random layer and what its neurons saw, for tests that hold rules against autograd and plain loops."""

import numpy as np
import torch

from subcritic import seeding
from subcritic.rules.protocol import Broadcast, Layer, LocalTransition

SEEDS, BATCH, N_IN, N_OUT, N_OBS = 2, 6, 5, 4, 3
SIGMA = {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "relu": torch.relu}


def rngs(seeds=range(SEEDS)):
    return seeding.generators(seeds, "test")


def draw(rng, *shape):
    return torch.from_numpy(rng.normal(size=shape))


def make_layer(activation, rng, seeds=SEEDS, **extra):
    weight, bias = 0.5 * draw(rng, seeds, N_IN, N_OUT), 0.5 * draw(rng, seeds, 1, N_OUT)
    return Layer(weight, bias, weight.clone(), bias.clone(), activation, observation_size=N_OBS, **extra)


def mean_voltage(layer, voltage):
    """μ^n(v), (S, B, n), by torch's own activations."""
    return SIGMA[layer.activation](voltage @ layer.weight + layer.bias)


def make_transition(rng, layer, seeds=SEEDS, noise_variance=0.09):
    """With α = μ^n(v) + ξ."""
    voltage, noise = draw(rng, seeds, BATCH, N_IN), 0.3 * draw(rng, seeds, BATCH, N_OUT)
    return LocalTransition(
        voltage=voltage,
        alpha=mean_voltage(layer, voltage) + noise,
        reward=draw(rng, seeds, BATCH, 1),
        terminated=torch.from_numpy((rng.random((seeds, BATCH, 1)) < 0.3).astype(float)),
        next_voltage=draw(rng, seeds, BATCH, N_IN),
        noise=noise,
        noise_variance=noise_variance,
        observation=draw(rng, seeds, BATCH, N_OBS),
        next_observation=draw(rng, seeds, BATCH, N_OBS),
    )


def make_broadcast(rng, seeds=SEEDS, actions=3):
    scalars = (draw(rng, seeds, BATCH, 1) for _ in range(2))
    vectors = (draw(rng, seeds, BATCH, actions) for _ in range(2))
    return Broadcast(*scalars, *vectors)


def close(ours, expected):
    ours, expected = (np.asarray(x.detach() if isinstance(x, torch.Tensor) else x) for x in (ours, expected))
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-10)
