"""Gradient agreement: do the local gradients ∇_{K^n} Q^n equal, follow or correlate with ∇_{K^n} Q^μ?

From the snapshots of Experiment 1: every trained sub-critic (reading `drafts`), the readings with noise on every neuron
(`informed`), beside controls: `oracle` (the interventional q_n, where the theorem is the chain rule), `permuted` (another
neuron's critic: the null), `untrained`, and `random_direction` (no critic at all).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from subcritic import seeding
from subcritic.measuring.interventions import oracle_gradient
from subcritic.measuring.judged import judge_snapshot
from subcritic.measuring.snapshots import load_snapshots
from subcritic.measuring.tables import paths, record, write_csv
from subcritic.stats import permutation_without_fixed_points
from subcritic.studies.experiment1.settings import Experiment1
from subcritic.studies.gradients import STUDY, informed
from subcritic.studies.gradients.rows import Rows
from subcritic.studies.gradients.settings import Config
from subcritic.study import Job
from subcritic.subcritics import SubCriticFamily, trained_family


def run(job: Job, results: Path) -> list[Path]:
    """Measure agreement at every snapshot of an environment; writes and returns `agreement.csv`."""
    torch.set_num_threads(1)
    config = job.config
    assert isinstance(config, Config)
    experiment1 = config.snapshots
    path = results / job.profile / job.reads[0]
    saved = load_snapshots(path, experiment1, job.environment)
    sizes, rows = saved["sizes"], []
    with torch.no_grad():
        for snapshot in saved["snapshots"]:
            rows += measure(experiment1.experiment1, sizes, snapshot)
        for snapshot in saved["neuron_noise"]:
            rows += informed.measure(experiment1.experiment1, sizes, snapshot)
    table = pd.DataFrame(rows)
    table.insert(0, "environment", job.environment)
    record(job, results, _medians(table))
    return [write_csv(paths(job, STUDY, results)["agreement"], table)]


def measure(settings: Experiment1, sizes: tuple[int, ...], snapshot: dict[str, Any]) -> list[dict[str, Any]]:
    """All rows of one snapshot of the drafts' run."""
    judged = judge_snapshot(settings.agent, sizes, snapshot)
    untrained = SubCriticFamily(judged.actor, settings, snapshot["seeds"], "untrained")
    trained = trained_family(settings, judged.actor, snapshot)
    chosen = [critics.neurons for critics in trained.neurons]
    rows = Rows(snapshot["step"], snapshot["seeds"], judged)
    for kind, name in (("neurons", "neuron"), ("layers", "layer")):
        members, fresh = getattr(trained, kind), getattr(untrained, kind)
        voltage_gradients = rows.add_family("drafts", name, members, chosen)
        neurons = [member.neurons for member in members]
        rows.add("permuted", name, _permuted(voltage_gradients, snapshot), neurons, chosen)
        rows.add_family("untrained", name, fresh, chosen)
    rows.add_random_directions(chosen)
    oracle = [
        oracle_gradient(layer, judged.h[layer], judged.observation, judged.networks)
        for layer in range(1, judged.actor.depth + 1)
    ]
    picked = [
        voltage_gradient[..., neurons] for voltage_gradient, neurons in zip(oracle, chosen, strict=True)
    ]
    rows.add("oracle", "oracle", picked, chosen, chosen)
    for layer, neurons in enumerate(chosen, 1):
        rows.add_finite_differences(layer, neurons)
    return rows.found


def _permuted(voltage_gradients: list[Tensor], snapshot: dict[str, Any]) -> list[Tensor | None]:
    """Each neuron gets the gradient of another, by a permutation without fixed points; None where a layer has one neuron."""
    found = []
    for layer, voltage_gradient in enumerate(voltage_gradients, 1):
        if voltage_gradient.shape[-1] < 2:
            found.append(None)
            continue
        mixed = voltage_gradient.clone()
        for s, seed in enumerate(snapshot["seeds"]):
            rng = seeding.generator(seed, "permutation", snapshot["step"], layer)
            mixed[s] = voltage_gradient[s][
                :, permutation_without_fixed_points(voltage_gradient.shape[-1], rng)
            ]
        found.append(mixed)
    return found


def _medians(table: pd.DataFrame) -> pd.DataFrame:
    """Medians over neurons along the snapshots, as metrics `agreement/<reading>/<critic>_<layer>/<measure>`."""
    shown = table[table.granularity == "neuron"].copy()
    part = shown.critic + "_" + shown.layer.astype(int).astype(str)
    shown["metric"] = "agreement/" + shown.reading + "/" + part + "/" + shown.measure
    return shown.groupby(["seed", "step", "metric"], as_index=False).value.median()
