"""Rows of agreement: what every reading of Q^n says of the policy gradient, per neuron, layer and whole actor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from subcritic import seeding
from subcritic.measuring.interventions import finite_difference
from subcritic.measuring.judged import Judged, judge, weight_gradient
from subcritic.stats import agreement, pearson, scalar_agreement
from subcritic.subcritics import SubCritic

# States on which the oracle is checked by finite differences.
CHECKED_STATES = 64


class Rows:
    """Collects agreement rows of one snapshot."""

    def __init__(self, step: int, seeds: list[int], judged: Judged) -> None:
        self.step, self.seeds, self.judged = step, seeds, judged
        self.found: list[dict[str, Any]] = []

    def add(
        self,
        reading: str,
        critic: str,
        voltage_gradients: Sequence[Tensor | None],
        neurons: Sequence[list[int]],
        chosen: Sequence[list[int]],
    ) -> None:
        """Rows of one reading at every granularity, from ∂Q/∂α of `neurons`; single neurons' for the `chosen` of them.

        A gradient of None (nothing to permute) leaves its layer out.
        """
        gradients: list[np.ndarray | None] = []
        for layer, (voltage_gradient, members) in enumerate(zip(voltage_gradients, neurons, strict=True), 1):
            if voltage_gradient is None:
                gradients.append(None)
                continue
            gradients.append(weight_gradient(self.judged, layer, voltage_gradient, members))
            shown = [members.index(n) for n in chosen[layer - 1]]
            target = self.judged.voltage_gradients[layer - 1][..., members]
            scalars = scalar_agreement(
                voltage_gradient.mT.numpy()[:, shown], target.mT.numpy()[:, shown]
            )._asdict()
            named = {f"scalar_{name}": values for name, values in scalars.items()}
            self._by_neuron(reading, critic, layer, chosen[layer - 1], named)
        self._add_gradients(reading, critic, gradients, neurons, chosen)

    def add_family(
        self, reading: str, critic: str, members: Sequence[SubCritic], chosen: Sequence[list[int]]
    ) -> list[Tensor]:
        """Rows of sub-critics' gradients, and of their values' likeness to Q^μ; returns ∂Q^n/∂α."""
        h = self.judged.h
        voltage_gradients = [
            member.action_gradient(h[layer - 1], h[layer]) for layer, member in enumerate(members, 1)
        ]
        self.add(reading, critic, voltage_gradients, [member.neurons for member in members], chosen)
        for layer, member in enumerate(members, 1):
            values = member.values(h[layer - 1], h[layer])
            self.add_values(reading, critic, layer, member.neurons if critic == "neuron" else None, values)
        return voltage_gradients

    def add_values(
        self, reading: str, critic: str, layer: int, neurons: list[int] | None, values: Tensor
    ) -> None:
        """`value_pearson`: correlation of values (S, B, M) with Q^μ across states, per neuron, or of the layer's one."""
        found = pearson(values.mT.numpy(), self.judged.value.mT.numpy())
        if neurons is None:
            self._whole(reading, critic, "layer", layer, {"value_pearson": found[:, 0]})
        else:
            self._by_neuron(reading, critic, layer, neurons, {"value_pearson": found})

    def add_random_directions(self, chosen: Sequence[list[int]]) -> None:
        """Normal gradients of no meaning: cosine 0 ± 1/√dim, which `chance_spread` says."""
        gradients = []
        for layer, neurons in enumerate(chosen, 1):
            shape = (len(neurons), self.judged.actor.sizes[layer - 1])
            rngs = seeding.generators(self.seeds, "random direction", self.step, layer)
            gradients.append(np.stack([rng.standard_normal(shape) for rng in rngs]))
            spread = np.full((len(self.seeds), len(neurons)), 1 / math.sqrt(shape[1]))
            self._by_neuron("random_direction", "none", layer, neurons, {"chance_spread": spread})
            self._chance("layer", layer, math.prod(shape))
        self._chance("actor", None, sum(gradient[0].size for gradient in gradients))
        self._add_gradients("random_direction", "none", gradients, chosen, chosen)

    def _chance(self, granularity: str, layer: int | None, entries: int) -> None:
        spread = {"chance_spread": np.full(len(self.seeds), 1 / math.sqrt(entries))}
        self._whole("random_direction", "none", granularity, layer, spread)

    def _add_gradients(self, reading, critic, gradients, neurons, chosen) -> None:
        """Rows from weight gradients (S, M, n_in) of every layer's `neurons`, None for a layer that is left out."""
        local, true = [], []
        for layer, (mine, members) in enumerate(zip(gradients, neurons, strict=True), 1):
            if mine is None:
                continue
            theirs = weight_gradient(
                self.judged, layer, self.judged.voltage_gradients[layer - 1][..., members], members
            )
            shown = [members.index(n) for n in chosen[layer - 1]]
            measures = agreement(mine[:, shown], theirs[:, shown])._asdict()
            self._by_neuron(reading, critic, layer, chosen[layer - 1], measures)
            local.append(mine.reshape(len(mine), -1))
            true.append(theirs.reshape(len(theirs), -1))
            self._whole(reading, critic, "layer", layer, agreement(local[-1], true[-1])._asdict())
        if len(local) == len(gradients):
            whole = agreement(np.concatenate(local, axis=1), np.concatenate(true, axis=1))._asdict()
            self._whole(reading, critic, "actor", None, whole)

    def add_finite_differences(self, layer: int, neurons: list[int]) -> None:
        """The oracle's relative error against central differences in float64, per neuron."""
        judged = self.judged
        observation = judged.observation[:, :CHECKED_STATES].double()
        flats = (judged.actor_params.flat.double(), judged.critic_params.flat.double())
        exact = judge(observation, judged.actor, flats[0], judged.critic, flats[1])
        errors = []
        for n in neurons:
            by_steps = finite_difference(layer, n, exact.h[layer], observation, exact.networks)
            true = exact.voltage_gradients[layer - 1][..., n]
            scale = true.norm(dim=1).clamp_min(1e-30)
            errors.append(((by_steps - true).norm(dim=1) / scale).numpy())
        self._by_neuron(
            "oracle", "oracle", layer, neurons, {"finite_difference_error": np.stack(errors, axis=1)}
        )

    def _by_neuron(self, reading, critic, layer, neurons, measures: dict[str, np.ndarray]) -> None:
        for measure, values in measures.items():
            for s, seed in enumerate(self.seeds):
                for m, neuron in enumerate(neurons):
                    self._row(seed, reading, critic, "neuron", layer, neuron, measure, values[s, m])

    def _whole(self, reading, critic, granularity, layer, measures: dict[str, np.ndarray]) -> None:
        for measure, values in measures.items():
            for s, seed in enumerate(self.seeds):
                self._row(seed, reading, critic, granularity, layer, None, measure, values[s])

    def _row(self, seed, reading, critic, granularity, layer, neuron, measure, value) -> None:
        self.found.append(
            {
                "seed": seed,
                "step": self.step,
                "reading": reading,
                "critic": critic,
                "granularity": granularity,
                "layer": layer,
                "neuron": neuron,
                "measure": measure,
                "value": float(value),
            }
        )
