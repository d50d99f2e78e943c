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
    """A neuron's own TD error tells nothing of its noise: the defaults are imagined noise and a global critic."""

    @classmethod
    def defaults(cls, given: dict[str, Any]) -> dict[str, Any]:
        own = {"replay": "imagined", "target": "global_advantage"}
        return own | super().defaults({"replay": own["replay"], **given})

    def conflicts(self) -> list[tuple[bool, str]]:
        imagined = self.replay == "imagined"
        scales = self.noise_scale if isinstance(self.noise_scale, tuple) else (self.noise_scale,)
        return [
            *super().conflicts(),
            (
                self.replay == "stored",
                "node_perturbation needs replay imagined, or recomputed: stored rows do not keep the noise",
            ),
            (
                not imagined and self.target not in ("global_td", "global_advantage"),
                f"node_perturbation needs a baseline: target must be global_td or global_advantage, not {self.target}",
            ),
            (
                not imagined and (self.exploration == "action" or 0 in scales),
                "node_perturbation from replayed noise needs exploration neuron or subset, with noise_scale above 0",
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
