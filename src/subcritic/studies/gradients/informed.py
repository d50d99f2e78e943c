"""Agreement of the sub-critics that learned with noise on every neuron, and of a regression on the true gradient."""

from __future__ import annotations

from typing import Any

import torch

from subcritic import seeding
from subcritic.measuring.judged import Judged, judge, judge_snapshot
from subcritic.studies.experiment1.settings import Experiment1
from subcritic.studies.gradients.rows import Rows
from subcritic.subcritics import CompatibleSubCritics, trained_family
from subcritic.subcritics.regression import regression


def measure(settings: Experiment1, sizes: tuple[int, ...], snapshot: dict[str, Any]) -> list[dict[str, Any]]:
    """All rows of one snapshot of the run with noise on every neuron, at its own states, actor and critic.

    Readings: `neuron_noise` (Experiment 1's sub-critics), `compatible`, `global_baseline`, `regression`.
    """
    judged = judge_snapshot(settings.agent, sizes, snapshot)
    family = trained_family(settings, judged.actor, snapshot)
    chosen = [critics.neurons for critics in family.neurons]
    rows = Rows(snapshot["step"], snapshot["seeds"], judged)
    rows.add_family("neuron_noise", "neuron", family.neurons, chosen)
    rows.add_family("neuron_noise", "layer", family.layers, chosen)
    everyone = [list(range(width)) for width in judged.actor.sizes[1:]]
    for name in ("compatible", "global_baseline"):
        critics = _critics(settings, judged, snapshot[name])
        voltage_gradients = [critics.action_gradient(layer, v) for layer, v in enumerate(judged.h[:-1], 1)]
        rows.add(name, "neuron", voltage_gradients, everyone, chosen)
        if name == "compatible":
            for layer, neurons in enumerate(chosen, 1):
                values = critics.values(layer, judged.h[layer - 1], judged.h[layer])[..., neurons]
                rows.add_values(name, "neuron", layer, neurons, values)
    rows.add("regression", "neuron", _regressed(settings, judged, snapshot), everyone, chosen)
    return rows.found


def _critics(
    settings: Experiment1, judged: Judged, saved: list[dict[str, torch.Tensor]]
) -> CompatibleSubCritics:
    params = judged.actor_params
    found = CompatibleSubCritics(
        judged.actor,
        params,
        params,
        "own",
        settings.compatible_rate,
        settings.agent.discount,
        settings.agent.polyak,
        [],
    )
    for critics, tensors in zip(found.critics, saved, strict=True):
        critics.load_tensors(tensors)
    return found


def _regressed(settings: Experiment1, judged: Judged, snapshot: dict[str, Any]) -> list[torch.Tensor]:
    """∂Q^μ/∂h of every layer's neurons as a network of v tells it, learned on other replayed states, (S, B, n_l)."""
    flats = (judged.actor_params.flat, judged.critic_params.flat)
    known = judge(snapshot["regression_states"], judged.actor, flats[0], judged.critic, flats[1])
    found = []
    for layer in range(1, judged.actor.depth + 1):
        v, voltage_gradient = known.h[layer - 1], known.voltage_gradients[layer - 1]
        # In units of the voltage_gradients' own size, or the step size would mean something else everywhere.
        scale = voltage_gradient.std(dim=(1, 2), keepdim=True).clamp_min(1e-12)
        rngs = seeding.generators(snapshot["seeds"], "regression", snapshot["step"], layer)
        network = regression(v, voltage_gradient / scale, settings.regression_steps, rngs)
        found.append(network.forward(judged.h[layer - 1]).output * scale)
    return found
