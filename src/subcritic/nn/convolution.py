"""Convolutions that make features of pictures: S networks of one shape along a leading seed axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subcritic.nn import backprop
from subcritic.nn.mlp import Parameters
from subcritic.nn.network import Learned


@dataclass(frozen=True)
class Features:
    """What a forward pass leaves behind.

    output (S, B, n): the features. maps: of every seed, what each layer read and, last, what the last gave, (B, channels,
    height, width) each.
    """

    output: Tensor
    maps: list[list[Tensor]]


@dataclass(frozen=True)
class Convolutions:
    """Layers of ReLU filters without padding or pooling; the last map, flat, is what fully connected layers read.

    picture: (height, width, channels) of what is read, whose numbers lie in this order, channels last. kernels, strides: of
    every layer, in pixels; Lillicrap et al. 2016 (section 7), who have three layers of 32 filters, give none.
    Pictures of 8 bits are divided by 255; 1/2 is subtracted from all, so that they lie in ±1/2. Weights and biases start
    uniform in ±1/√fan-in, as those of an `MLP`.

    Raises ValueError where a kernel is larger than what it reads.
    """

    picture: tuple[int, int, int]
    filters: int
    kernels: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        for layer, (kernel, (height, width, _)) in enumerate(zip(self.kernels, self.shapes, strict=False), 1):
            if kernel > min(height, width):
                raise ValueError(
                    f"kernel {kernel} of the encoder's layer {layer} is larger than the {height} × {width} pixels it reads"
                )

    @cached_property
    def shapes(self) -> list[tuple[int, int, int]]:
        """(height, width, channels) of the picture and of what every layer gives."""
        found = [self.picture]
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            height, width, _ = found[-1]
            found.append(((height - kernel) // stride + 1, (width - kernel) // stride + 1, self.filters))
        return found

    @property
    def pixels(self) -> int:
        """Numbers in a picture."""
        return math.prod(self.picture)

    @property
    def features(self) -> int:
        """Numbers that it gives."""
        return math.prod(self.shapes[-1])

    @cached_property
    def fan_ins(self) -> list[int]:
        """Connections into a filter of every layer."""
        return [k * k * shape[2] for k, shape in zip(self.kernels, self.shapes, strict=False)]

    def views(self, flat: Tensor) -> Parameters:
        """Name the parts of a flat (S, P) tensor: weights (S, fan-in, filters), biases (S, 1, filters)."""
        weights, biases, start = [], [], 0
        for fan_in in self.fan_ins:
            end = start + fan_in * self.filters
            # A filter's connections lie together, in the order of the picture, as convolutions want them.
            weights.append(flat[:, start:end].view(-1, self.filters, fan_in).mT)
            biases.append(flat[:, end : end + self.filters].view(-1, 1, self.filters))
            start = end + self.filters
        return Parameters(flat, weights, biases)

    def init(self, rngs: Sequence[np.random.Generator], dtype: torch.dtype = torch.float32) -> Parameters:
        """Random parameters for S = len(rngs) networks, each drawn from its own generator."""
        count = sum((fan_in + 1) * self.filters for fan_in in self.fan_ins)
        params = self.views(torch.zeros(len(rngs), count, dtype=dtype))
        for s, rng in enumerate(rngs):
            for weight, bias, fan_in in zip(params.weights, params.biases, self.fan_ins, strict=True):
                bound = 1 / math.sqrt(fan_in)
                weight[s] = torch.from_numpy(rng.uniform(-bound, bound, (fan_in, self.filters)))
                bias[s] = torch.from_numpy(rng.uniform(-bound, bound, (1, self.filters)))
        return params

    def filter_bank(self, weight: Tensor, layer: int) -> Tensor:
        """One seed's weights (fan-in, filters) of a layer, from 0, as (filters, channels, kernel, kernel): a view."""
        kernel, channels = self.kernels[layer], self.shapes[layer][2]
        return weight.T.view(self.filters, kernel, kernel, channels).permute(0, 3, 1, 2)

    def forward(self, params: Parameters, pictures: Tensor) -> Features:
        """Features of pictures (S, B, height · width · channels), of 8 bits or in [0, 1]."""
        dtype = params.flat.dtype
        unit = 1 / 255 if pictures.dtype is torch.uint8 else 1.0
        height, width, channels = self.picture
        maps = []
        for s, seen in enumerate(pictures):
            x = seen.to(dtype).mul(unit).sub_(0.5).view(-1, height, width, channels).permute(0, 3, 1, 2)
            found = [x]
            for layer, stride in enumerate(self.strides):
                bank = self.filter_bank(params.weights[layer][s], layer)
                bias = params.biases[layer][s, 0]
                found.append(torch.conv2d(found[-1], bank, bias, stride).relu_())
            maps.append(found)
        output = torch.stack([self.flat(found[-1]) for found in maps])
        return Features(output, maps)

    def flat(self, last: Tensor) -> Tensor:
        """The last map (B, filters, height, width) as features (B, n)."""
        return last.permute(0, 2, 3, 1).reshape(len(last), -1)


class RunningStatistics:
    """Mean and variance of each of n numbers, of S seeds, over what was lately seen: (S, n) each.

    The k-th minibatch counts with 1/k, from the hundredth on with 1/100, so that the first one is all there is at first.
    """

    SHARE = 0.01
    # Numbers that hardly change are not blown up.
    EPSILON = 1e-4

    def __init__(self, seeds: int, size: int, dtype: torch.dtype) -> None:
        self.mean, self.variance = torch.zeros(seeds, size, dtype=dtype), torch.ones(seeds, size, dtype=dtype)
        self.seen = 0

    def see(self, values: Tensor) -> None:
        """A minibatch (S, B, n)."""
        self.seen += 1
        share = max(1 / self.seen, self.SHARE)
        variance, mean = torch.var_mean(values, dim=1, correction=0)
        apart = mean - self.mean
        self.mean.add_(apart, alpha=share)
        # The variance of a mixture of what was seen before and what is seen now.
        self.variance.lerp_(variance, share).addcmul_(apart, apart, value=share * (1 - share))

    @property
    def scale(self) -> Tensor:
        """1 / √(variance + ε), (S, 1, n)."""
        return (self.variance + self.EPSILON).rsqrt().unsqueeze(1)

    def standardised(self, values: Tensor) -> Tensor:
        """(values − mean) / √(variance + ε), (S, B, n)."""
        return (values - self.mean.unsqueeze(1)) * self.scale

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean, "variance": self.variance, "seen": self.seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.mean.copy_(state["mean"])
        self.variance.copy_(state["variance"])
        self.seen = state["seen"]


class Encoder(Learned):
    """S stacked convolutions that learn by gradient, and whose features are standardised by running statistics.

    What moves is a small part of a picture, so that features are nearly constant: each is taken by its distance from its
    own running mean, in units of its own running standard deviation, of what this copy of the convolutions sees in updates.
    Gradients take these statistics as given. Lillicrap et al. 2016 normalise what enters by batches.

    An update is a forward pass by `learning`, `backward` from what is asked of the features, and `step`.
    """

    def __init__(
        self,
        spec: Convolutions,
        rngs: Sequence[np.random.Generator],
        rate: float,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.spec = spec
        super().__init__(spec, spec.init(rngs, dtype), rate, weight_decay)
        self.statistics, self.target_statistics = (
            RunningStatistics(len(rngs), spec.features, dtype) for _ in range(2)
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Standardised features (S, B, n) by the online parameters, of pictures as in `Convolutions.forward`."""
        return self.statistics.standardised(self.spec.forward(self.online, pictures).output)

    def learning(self, pictures: Tensor, sees: bool = True) -> Features:
        """The same for an update: statistics see the pictures before they are used, if `sees`, and the maps are kept."""
        found = self.spec.forward(self.online, pictures)
        if sees:
            self.statistics.see(found.output)
        return Features(self.statistics.standardised(found.output), found.maps)

    def targets(self, pictures: Tensor, sees: bool = True) -> Tensor:
        """Standardised features for TD targets, by the target parameters, whose statistics see these pictures, if `sees`."""
        found = self.spec.forward(self.target, pictures).output
        if sees:
            self.target_statistics.see(found)
        return self.target_statistics.standardised(found)

    def backward(self, features: Features, upstream: Tensor) -> None:
        """Write ∂J/∂θ into `gradient`, for upstream = ∂J/∂features (S, B, n) summed over the batch."""
        raw = upstream * self.statistics.scale
        backprop.convolution_gradients(self.spec, self.online, features, raw, self.gradient)

    def of_seed(self, seed: int) -> dict[str, Tensor]:
        """What one seed's features are made with: parameters (P,), and the mean and scale (n,) that standardise them."""
        statistics = self.statistics
        found = (self.online.flat[seed], statistics.mean[seed], statistics.scale[seed, 0])
        return dict(zip(("parameters", "mean", "scale"), (part.clone() for part in found), strict=True))

    def state_dict(self) -> dict[str, Any]:
        statistics = (self.statistics, self.target_statistics)
        return super().state_dict() | {"statistics": [each.state_dict() for each in statistics]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        for mine, saved in zip((self.statistics, self.target_statistics), state["statistics"], strict=True):
            mine.load_state_dict(saved)
