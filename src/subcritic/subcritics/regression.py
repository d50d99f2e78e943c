"""Regression of the true gradient on a layer's presynaptic voltages: an upper bound for critics that read only these."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from subcritic.nn import MLP
from subcritic.nn.network import Network

HIDDEN = (64, 64)
RATE = 3e-3
BATCH = 128


def regression(
    v: Tensor,
    voltage_gradient: Tensor,
    steps: int,
    rngs: Sequence[np.random.Generator],
    hidden: tuple[int, ...] = HIDDEN,
) -> Network:
    """A ReLU network v → ∂Q^μ/∂h of a layer's neurons after `steps` of Adam; v (S, N, n_in), voltage_gradient (S, N, n).

    The learning rate falls linearly to zero, so that the noise of minibatches vanishes. Each seed has its own generator.
    """
    network = Network(MLP((v.shape[-1], *hidden, voltage_gradient.shape[-1])), rngs, RATE, dtype=v.dtype)
    seeds = torch.arange(len(v)).unsqueeze(1)
    for step in range(steps):
        network.optimiser.rate = RATE * (1 - step / steps)
        slots = torch.from_numpy(np.stack([rng.integers(v.shape[1], size=BATCH) for rng in rngs]))
        network.fit(network.forward(v[seeds, slots]), voltage_gradient[seeds, slots])
    return network
