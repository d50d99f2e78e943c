"""Node perturbation: a neuron whose own noise went with a good outcome does more of what the noise did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from subcritic.nn.activations import times_slope
from subcritic.rules.base import Rule
from subcritic.rules.protocol import SILENCE, Broadcast, Critics, Layer, LocalTransition


@dataclass(frozen=True)
class NodePerturbationRule(Rule):
    """K^n += η_A mean(A ξ_n/E[ξ²] · σ'(z) v): one broadcast scalar times the neuron's own noise.

    Over independent noise this is, in expectation and for small noise, the gradient of A with respect to K^n (Williams 1992;
    Fiete and Seung 2006). A neuron keeps nothing. Reads v, α, ξ and A. One product per layer.
    """

    judges: ClassVar[bool] = False

    @property
    def receives(self) -> frozenset[str]:
        return frozenset({"voltage", "alpha", "noise", "advantage"})

    def push(self, state: Critics, layer: Layer, seen: LocalTransition, heard: Broadcast = SILENCE) -> Tensor:
        eligibility = seen.noise * (heard.advantage / layer.noise_variance)
        return times_slope(eligibility, seen.alpha - seen.noise, layer.activation)

    def _learn(
        self, state: Critics, layer: Layer, seen: LocalTransition, heard: Broadcast
    ) -> tuple[None, Tensor]:
        return None, self.push(state, layer, seen, heard)
