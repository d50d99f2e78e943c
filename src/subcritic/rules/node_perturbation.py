"""Node perturbation: a neuron moves its voltage the way its own noise did when the outcome was good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from subcritic.config import ImaginingSettings, LocalSettings
from subcritic.nn.activations import times_slope
from subcritic.rules.base import Rule
from subcritic.rules.protocol import NO_BROADCAST, Broadcast, Layer, LocalTransition, RuleState


class NodePerturbationSettings(ImaginingSettings):
    """Noise is imagined, and scored by a global critic."""

    @classmethod
    def defaults(cls, given: dict[str, Any]) -> dict[str, Any]:
        own = {"replay": "imagined"}
        return own | super().defaults({**own, **given})

    def conflicts(self) -> list[tuple[bool, str]]:
        return [
            *super().conflicts(),
            (
                self.replay != "imagined",
                f"node_perturbation learns from imagined noise: replay must be imagined, not {self.replay}; from executed "
                "noise learns coagent",
            ),
        ]


@dataclass(frozen=True)
class NodePerturbationRule(Rule[RuleState]):
    """K^n += η_A mean(A ξ_n/E[ξ²] · σ'(z) v): one broadcast scalar times the neuron's own noise.

    Over independent noise this is, in expectation and for small noise, the gradient of A with respect to K^n (Williams 1992;
    Fiete and Seung 2006). A neuron keeps nothing. Reads v, α, ξ and A. One product per layer.
    """

    Settings: ClassVar[type[LocalSettings]] = NodePerturbationSettings

    @property
    def receives(self) -> frozenset[str]:
        return frozenset({"voltage", "alpha", "noise", "noise_variance", "advantage"})

    def local_error(
        self,
        state: RuleState,
        layer: Layer,
        transition: LocalTransition,
        broadcast: Broadcast = NO_BROADCAST,
    ) -> Tensor:
        eligibility = transition.noise * (broadcast.advantage / transition.noise_variance)
        return times_slope(eligibility, transition.alpha - transition.noise, layer.activation)
