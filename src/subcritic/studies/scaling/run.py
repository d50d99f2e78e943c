"""How the agreement of local gradients depends on width, noise and the number of draws, under the best of conditions.

The critic of Experiment 1's last snapshot is kept; actors of every width start afresh, or climb it for a while. At the
snapshot's states, every voltage gets noise ξ ~ N(0, σ²) of its own, and each layer estimates the policy gradient from
(v, ξ, σ'(z)) and one scalar for all, the advantage A of the noisy action. What it needs is draws.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from subcritic import seeding
from subcritic.agents.actor_critic import actor_critic_at
from subcritic.agents.ddpg import actor_spec, critic_spec
from subcritic.measuring.judged import Judged, judge, weight_gradient
from subcritic.measuring.snapshots import load_snapshots
from subcritic.measuring.tables import paths, record, write_csv
from subcritic.nn.activations import slope
from subcritic.nn.network import Network
from subcritic.studies.experiment1.settings import Experiment1
from subcritic.studies.scaling import STUDY
from subcritic.studies.scaling.estimators import (
    Ladder,
    Seen,
    compatible_gradient,
    compatible_sums,
    linear_fit,
    noise_to_signal,
    score_energy,
    score_sum,
)
from subcritic.studies.scaling.settings import Config, Scaling
from subcritic.study import Job
from subcritic.subcritics import chosen_neurons

ESTIMATORS = ("score", "antithetic", "compatible", "linear_action", "linear_neuron")
CLIMBING_BATCH = 64
# Draws that the drafts' linear critic is fitted to.
FITTED = 4096
COLUMNS = (
    "seed",
    "actor_steps",
    "estimator",
    "width",
    "neurons",
    "noise_scale",
    "draws",
    "layer",
    "measure",
    "value",
)


def run(job: Job, results: Path) -> list[Path]:
    """Measure on one environment; writes and returns `scaling.csv`. Raises ConfigError without Experiment 1's snapshots."""
    torch.set_num_threads(1)
    config = job.config
    assert isinstance(config, Config)
    saved = load_snapshots(results / job.profile / job.reads[0], config.snapshots, job.environment)
    with torch.no_grad():
        table = measure(config.snapshots.experiment1, config.scaling, saved["sizes"], saved["snapshots"][-1])
    table.insert(0, "environment", job.environment)
    record(job, results, _metrics(table))
    return [write_csv(paths(job, STUDY, results)["scaling"], table)]


def measure(
    experiment1: Experiment1, settings: Scaling, sizes: tuple[int, ...], snapshot: dict[str, Any]
) -> pd.DataFrame:
    """All rows, columns COLUMNS; `layer` is empty for the whole actor. Call under `torch.no_grad`.

    Measures: `cosine` with the true gradient; `noise_to_signal` of single draws; `value_pearson` of the linear critics'
    values with Q, median over neurons.
    """
    rows = []
    for steps in settings.actor_steps:
        for width in sorted({*settings.widths, settings.width}):
            agent = climbed(experiment1, sizes, snapshot, width, steps)
            for scale in _scales(settings, width):
                found = list(cosines(agent, settings, snapshot["seeds"], scale))
                if scale == settings.noise_scale:
                    found += linear(agent, snapshot["seeds"], scale)
                where = {"width": width, "neurons": sum(agent.actor.sizes[1:]), "noise_scale": scale}
                for estimator, draws, layer, name, values in found:
                    kept = {"actor_steps": steps, "estimator": estimator, **where, "draws": draws}
                    rows += [
                        {"seed": seed, **kept, "layer": layer, "measure": name, "value": float(value)}
                        for seed, value in zip(snapshot["seeds"], values, strict=True)
                    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def climbed(
    experiment1: Experiment1, sizes: tuple[int, ...], snapshot: dict[str, Any], width: int, steps: int
) -> Judged:
    """An actor with two hidden layers of `width`, after `steps` of policy gradient on the snapshot's critic."""
    states, seeds = snapshot["observations"], snapshot["seeds"]
    wide = experiment1.agent.model_copy(update={"hidden": (width, width)})
    critic, actor = critic_spec(experiment1.agent, sizes[0], sizes[-1]), actor_spec(wide, sizes[0], sizes[-1])
    rngs = seeding.generators(seeds, "scaling actor", width)
    network = Network(actor, rngs, experiment1.agent.actor_rate, dtype=states.dtype)
    params = critic.views(snapshot["critic"])
    for _ in range(steps):
        slots = np.stack([rng.integers(states.shape[1], size=CLIMBING_BATCH) for rng in rngs])
        batch = states[torch.arange(len(seeds)).unsqueeze(1), torch.from_numpy(slots)]
        at = actor_critic_at(actor, network.online, critic, params, batch, weight=-1 / CLIMBING_BATCH)
        at.weight_gradients(into=network.gradient)
        network.step()
    return judge(states, actor, network.online.flat, critic, snapshot["critic"])


def cosines(agent: Judged, settings: Scaling, seeds: list[int], scale: float) -> Iterator[tuple]:
    """(estimator, draws, layer, measure, values (S,)) for estimates from noise on every neuron.

    `score`: A = Q(s, a(ξ)) − Q(s, μ(s)). `antithetic`: A = (Q(s, a(ξ)) − Q(s, a(−ξ))) / 2. `compatible`: the neurons' own
    compatible critics fitted to the first A, for the chosen neurons of each layer. All take two values of Q a draw.
    """
    ladders, energies = _ladders(agent, settings), defaultdict(float)
    draws = NoisyDraws(agent, seeds, scale)
    for _ in range(settings.draws[-1] // settings.draws[0]):
        plus, clean, minus = draws.take(settings.draws[0])
        for advantage, name in ((plus.value - clean, "score"), ((plus.value - minus) / 2, "antithetic")):
            sums = [score_sum(seen, advantage, scale) for seen in plus.layers]
            for layer, (total, seen) in enumerate(zip(sums, plus.layers, strict=True), 1):
                ladders[name, layer].add(total)
                energy = score_energy(seen, advantage, scale)
                energies[name, layer] += energy
                energies[name, None] += energy
            ladders[name, None].add(torch.cat([total.flatten(1) for total in sums], dim=1))
        for layer, seen in enumerate(plus.layers, 1):
            chosen = chosen_neurons(seen.noise.shape[-1], settings.neurons_per_layer)
            ladders["compatible", layer].add(compatible_sums(seen, plus.value - clean, chosen))
    for (name, layer), ladder in ladders.items():
        for count, values in ladder.cosines():
            yield name, count, layer, "cosine", values
    for (name, layer), energy in energies.items():
        last, true = settings.draws[-1], ladders[name, layer].true
        yield name, last, layer, "noise_to_signal", noise_to_signal(energy, last, true)


def linear(agent: Judged, seeds: list[int], scale: float) -> Iterator[tuple]:
    """The drafts' critic θ_v·v + θ_a α fitted to Q(s, a), with noise on the action alone or on every neuron.

    Measures `cosine` of mean θ_a σ'(z) v, and `value_pearson` of the fitted values, median over neurons.
    """
    for name, where in (("linear_action", "action"), ("linear_neuron", "neuron")):
        drawn = NoisyDraws(agent, seeds, scale, where).take(FITTED)[0]
        for layer in range(1, agent.actor.depth + 1):
            fit = linear_fit(drawn.layers[layer - 1].voltage, drawn.alpha[layer - 1], drawn.value)
            voltage_gradient = fit.alpha.to(agent.h[layer].dtype).unsqueeze(1).expand_as(agent.h[layer])
            local, true = (
                _gradient(agent, layer, voltage_gradient),
                _gradient(agent, layer, agent.voltage_gradients[layer - 1]),
            )
            cosine = torch.cosine_similarity(local.flatten(1), true.flatten(1), dim=1)
            yield name, FITTED, layer, "cosine", cosine
            yield name, FITTED, layer, "value_pearson", fit.value_pearson.nanmedian(dim=1).values


class Drawn:
    """Noisy passes: what each layer saw, its α (S, N, n_l), and the value Q(s, a) (S, N, 1)."""

    def __init__(self, layers: list[Seen], alpha: list[Tensor], value: Tensor) -> None:
        self.layers, self.alpha, self.value = layers, alpha, value


class NoisyDraws:
    """Draws at random states of the agent with noise of scale σ on every neuron, or on the action alone.

    Nothing is executed, so that actions are not clipped. Each seed draws from its own generator.
    """

    def __init__(self, agent: Judged, seeds: list[int], scale: float, where: str = "neuron") -> None:
        self.agent, self.scale, self.where = agent, scale, where
        keys = [seeding.generator(seed, f"scaling {where} noise", agent.actor.sizes[1]) for seed in seeds]
        self.generators = [torch.Generator().manual_seed(int(rng.integers(2**62))) for rng in keys]

    def take(self, count: int) -> tuple[Drawn, Tensor, Tensor]:
        """Draws with ξ, and at the same states the values (S, count, 1) without noise and with −ξ."""
        agent = self.agent
        states = agent.observation.shape[1]
        slots = torch.stack([torch.randint(states, (count,), generator=g) for g in self.generators])
        observation = agent.observation.gather(
            1, slots.unsqueeze(-1).expand(-1, -1, agent.observation.shape[-1])
        )
        noise = [self._noise(count, width) for width in agent.actor.sizes[1:]]
        if self.where == "action":
            noise[:-1] = [torch.zeros_like(part) for part in noise[:-1]]
        voltages = agent.actor.forward(agent.actor_params, observation, perturbation=noise)
        minus = agent.actor.forward(agent.actor_params, observation, perturbation=[-part for part in noise])
        clean = agent.h[-1].gather(1, slots.unsqueeze(-1).expand(-1, -1, agent.h[-1].shape[-1]))
        layers = [
            Seen(v, slope(h, agent.actor.activation(layer)), ξ)
            for layer, (v, h, ξ) in enumerate(
                zip(voltages.inputs, voltages.activations, noise, strict=True), 1
            )
        ]
        return (
            Drawn(layers, voltages.h[1:], self._value(observation, voltages.output)),
            self._value(observation, clean),
            self._value(observation, minus.output),
        )

    def _noise(self, count: int, width: int) -> Tensor:
        drawn = [torch.randn(count, width, generator=g) for g in self.generators]
        return self.scale * torch.stack(drawn).to(self.agent.observation.dtype)

    def _value(self, observation: Tensor, action: Tensor) -> Tensor:
        return self.agent.critic.forward(self.agent.critic_params, observation, action).output


def _scales(settings: Scaling, width: int) -> list[float]:
    found = {settings.noise_scale} if width in settings.widths else set()
    return sorted(found | set(settings.noise_scales if width == settings.width else ()))


def _ladders(agent: Judged, settings: Scaling) -> dict[tuple[str, int | None], Ladder]:
    true = [
        _gradient(agent, layer, agent.voltage_gradients[layer - 1]).mT
        for layer in range(1, agent.actor.depth + 1)
    ]
    found: dict[tuple[str, int | None], Ladder] = {}
    for name in ("score", "antithetic"):
        for layer, gradient in enumerate(true, 1):
            found[name, layer] = Ladder(settings.draws, gradient)
        found[name, None] = Ladder(settings.draws, torch.cat([part.flatten(1) for part in true], dim=1))
    for layer, gradient in enumerate(true, 1):
        chosen = chosen_neurons(gradient.shape[-1], settings.neurons_per_layer)
        found["compatible", layer] = Ladder(settings.draws, gradient[..., chosen], compatible_gradient)
    return found


def _gradient(agent: Judged, layer: int, voltage_gradient: Tensor) -> Tensor:
    """mean over the agent's states of voltage_gradient σ'(z) v, (S, n, n_in)."""
    return torch.from_numpy(
        weight_gradient(agent, layer, voltage_gradient, list(range(voltage_gradient.shape[-1])))
    )


def _metrics(table: pd.DataFrame) -> pd.DataFrame:
    """Columns seed, step (the draws), metric, value; metrics `scaling/<estimator>/<setting>/layer_<l>/<measure>`."""
    part = table.layer.map(lambda layer: "actor" if pd.isna(layer) else f"layer_{int(layer)}")
    setting = "steps_" + table.actor_steps.astype(str) + "_width_" + table.width.astype(str)
    setting += "_noise_" + table.noise_scale.astype(str)
    names = "scaling/" + table.estimator + "/" + setting + "/" + part + "/" + table.measure
    return table[["seed", "value"]].assign(step=table.draws, metric=names)
