"""Gradient agreement: do the local gradients ∇_{K^n} Q^n equal, follow or correlate with ∇_{K^n} Q^μ?

From the snapshots of Experiment 1: every trained sub-critic (reading `drafts`), beside three controls: `oracle` (the
interventional q_n, where the theorem is the chain rule), `permuted` (another neuron's critic: the null) and `untrained`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from subcritic import seeding
from subcritic.agents.ddpg import actor_spec, critic_spec
from subcritic.config import Profile, dump
from subcritic.experiments.interventions import Networks, finite_difference, oracle_gradient
from subcritic.experiments.subcritic_learning import load_snapshots
from subcritic.experiments.tables import write_csv
from subcritic.nn import MLP, Parameters, backprop
from subcritic.nn.activations import slope
from subcritic.stats import agreement, permutation_without_fixed_points, scalar_agreement
from subcritic.subcritics import SubCritic, SubCriticFamily
from subcritic.tracking import Identity, RunGroup

READINGS = ("drafts", "oracle", "permuted", "untrained")
# States on which the oracle is checked by finite differences.
CHECKED_STATES = 64


@dataclass(frozen=True)
class Judged:
    """An actor and its critic at a batch of states. h: h_0 … h_L; pushes: ∂Q^μ/∂h_l for l = 1 … L, (S, B, n_l)."""

    observation: Tensor
    actor: MLP
    actor_params: Parameters
    critic: MLP
    critic_params: Parameters
    h: list[Tensor]
    pushes: list[Tensor]

    @property
    def networks(self) -> Networks:
        return self.actor, self.actor_params, self.critic, self.critic_params


def judge(observation: Tensor, actor: MLP, actor_flat: Tensor, critic: MLP, critic_flat: Tensor) -> Judged:
    """Forward through actor and critic, backpropagate ∂Q^μ/∂a to every voltage."""
    actor_params, critic_params = actor.views(actor_flat), critic.views(critic_flat)
    voltages = actor.forward(actor_params, observation)
    value = critic.forward(critic_params, observation, voltages.output)
    action_push = backprop.side_gradient(critic, critic_params, value, torch.ones_like(value.output))
    pushes = backprop.voltage_gradients(actor, actor_params, voltages, action_push)
    return Judged(observation, actor, actor_params, critic, critic_params, voltages.h, pushes[1:])


def weight_gradient(judged: Judged, layer: int, push: Tensor, neurons: list[int]) -> np.ndarray:
    """mean over states of push · σ'(z) v, one row per neuron: (S, M, n_in). push (S, B, M) is ∂Q/∂α of those neurons."""
    h = judged.h[layer][..., neurons]
    delta = push * slope(h, judged.actor.activation(layer))
    return (torch.bmm(delta.mT, judged.h[layer - 1]) / push.shape[1]).numpy()


def run(profile: Profile, environment_name: str, results: Path) -> list[Path]:
    """Measure agreement at every snapshot of an environment; writes and returns `agreement.csv`."""
    torch.set_num_threads(1)
    environment = profile.environment(environment_name)
    root = results / profile.profile
    saved = load_snapshots(profile, environment, results)
    with torch.no_grad():
        rows = [row for snapshot in saved["snapshots"] for row in measure(profile, saved["sizes"], snapshot)]
    table = pd.DataFrame(rows)
    table.insert(0, "environment", environment.name)
    _record(profile, environment.name, table, results)
    return [write_csv(root / "gradients" / environment.name / "agreement.csv", table)]


def measure(profile: Profile, sizes: tuple[int, ...], snapshot: dict[str, Any]) -> list[dict[str, Any]]:
    """All rows of one snapshot."""
    settings = profile.experiment1
    actor = actor_spec(settings.agent, sizes[0], sizes[-1])
    critic = critic_spec(settings.agent, sizes[0], sizes[-1])
    judged = judge(snapshot["observations"], actor, snapshot["actor"], critic, snapshot["critic"])
    trained = SubCriticFamily(actor, settings, snapshot["seeds"], "untrained")
    untrained = SubCriticFamily(actor, settings, snapshot["seeds"], "untrained")
    for kind in ("layers", "neurons"):
        for member, flat in zip(getattr(trained, kind), snapshot[kind], strict=True):
            member.network.online.flat.copy_(flat)
    rows = Rows(snapshot["step"], snapshot["seeds"], judged)
    for kind, name in (("neurons", "neuron"), ("layers", "layer")):
        members, fresh = getattr(trained, kind), getattr(untrained, kind)
        chosen = [critics.neurons for critics in trained.neurons]
        pushes = [_local_push(judged, layer, member) for layer, member in enumerate(members, 1)]
        rows.add("drafts", name, pushes, members, chosen)
        rows.add("permuted", name, _permuted(pushes, snapshot), members, chosen)
        blank = [_local_push(judged, layer, member) for layer, member in enumerate(fresh, 1)]
        rows.add("untrained", name, blank, members, chosen)
    oracle = [
        oracle_gradient(layer, judged.h[layer], judged.observation, judged.networks)
        for layer in _layers(judged)
    ]
    picked = [push[..., critics.neurons] for push, critics in zip(oracle, trained.neurons, strict=True)]
    rows.add("oracle", "oracle", picked, trained.neurons, [critics.neurons for critics in trained.neurons])
    for layer, critics in enumerate(trained.neurons, 1):
        rows.add_finite_differences(layer, critics.neurons)
    return rows.found


class Rows:
    """Collects agreement rows of one snapshot."""

    def __init__(self, step: int, seeds: list[int], judged: Judged) -> None:
        self.step, self.seeds, self.judged = step, seeds, judged
        self.found: list[dict[str, Any]] = []

    def add(
        self,
        reading: str,
        critic: str,
        pushes: list[Tensor | None],
        members: list[SubCritic],
        chosen: list[list[int]],
    ) -> None:
        """Rows of one reading at every granularity; a push of None (nothing to permute) leaves its layer out."""
        local, true = [], []
        for layer, (push, member) in enumerate(zip(pushes, members, strict=True), 1):
            if push is None:
                continue
            target = self.judged.pushes[layer - 1][..., member.neurons]
            mine = weight_gradient(self.judged, layer, push, member.neurons)
            theirs = weight_gradient(self.judged, layer, target, member.neurons)
            shown = [member.neurons.index(n) for n in chosen[layer - 1]]
            weights = agreement(mine[:, shown], theirs[:, shown])._asdict()
            scalars = scalar_agreement(push.mT.numpy()[:, shown], target.mT.numpy()[:, shown])._asdict()
            named = weights | {f"scalar_{name}": values for name, values in scalars.items()}
            self._by_neuron(reading, critic, layer, chosen[layer - 1], named)
            local.append(mine.reshape(len(mine), -1))
            true.append(theirs.reshape(len(theirs), -1))
            self._whole(reading, critic, "layer", layer, agreement(local[-1], true[-1])._asdict())
        if len(local) == len(pushes):
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
            true = exact.pushes[layer - 1][..., n]
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


def _layers(judged: Judged) -> range:
    return range(1, judged.actor.depth + 1)


def _local_push(judged: Judged, layer: int, critics: SubCritic) -> Tensor:
    """∂Q^n/∂α at α = μ^n(v), (S, B, neurons of the critics)."""
    return critics.action_gradient(judged.h[layer - 1], judged.h[layer])


def _permuted(pushes: list[Tensor], snapshot: dict[str, Any]) -> list[Tensor | None]:
    """Each neuron gets another neuron's push, by a permutation without fixed points; None where a layer has one neuron."""
    found = []
    for layer, push in enumerate(pushes, 1):
        if push.shape[-1] < 2:
            found.append(None)
            continue
        mixed = push.clone()
        for s, seed in enumerate(snapshot["seeds"]):
            rng = seeding.generator(seed, "permutation", snapshot["step"], layer)
            mixed[s] = push[s][:, permutation_without_fixed_points(push.shape[-1], rng)]
        found.append(mixed)
    return found


def _record(profile: Profile, environment: str, table: pd.DataFrame, results: Path) -> None:
    """One run per seed: medians over neurons along the snapshots."""
    seeds = profile.seed_list()
    identities = [Identity(profile.profile, "gradients", environment, "agreement", seed) for seed in seeds]
    shown = table[(table.granularity == "neuron")].copy()
    shown["name"] = (
        "agreement/" + shown.reading + "/" + shown.critic + "_" + shown.layer.astype(int).astype(str)
    )
    shown["name"] += "/" + shown.measure
    medians = shown.groupby(["seed", "step", "name"]).value.median()
    config = {
        "experiment1": dump(profile.experiment1),
        "environment": profile.environment(environment).task(),
    }
    with RunGroup(results, identities, config) as group:
        for (seed, step), metrics in medians.groupby(level=[0, 1]):
            group.log(step, seeds.index(seed), metrics.droplevel([0, 1]).to_dict())
