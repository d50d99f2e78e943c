"""Trained policies under disturbances: noise on their observations, and silenced neurons. Nothing learns here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from subcritic import envs, seeding
from subcritic.measuring import policies
from subcritic.measuring.tables import paths, record, write_csv
from subcritic.nn import MLP, Parameters
from subcritic.studies.robustness import STUDY
from subcritic.studies.robustness.settings import NOISE, NONE, SILENCED, Config, Robustness
from subcritic.study import Job
from subcritic.training import Evaluator

Act = Callable[[Tensor], Tensor]


def run(job: Job, results: Path) -> list[Path]:
    """Play the policies of one method on its environment; returns the file written.

    returns: one row per seed, disturbance, level and draw; score is the mean return over the episodes, which start from
    the same states under every disturbance.
    """
    torch.set_num_threads(1)
    config = job.config
    assert isinstance(config, Config)
    network, flat, seeds = policies.load(results / job.profile / job.reads[0])
    with (
        torch.no_grad(),
        Evaluator(envs.maker(config.policy.environment), seeds, config.robustness.episodes) as evaluator,
    ):
        rows = measure(network, network.views(flat), seeds, evaluator, config.robustness)
    table = rows.assign(environment=job.environment, method=job.method, role=config.policy.agent.role)
    record(job, results, _metrics(rows))
    columns = list(STUDY.records["returns"].columns)
    return [write_csv(paths(job, STUDY, results)["returns"], table[columns])]


def measure(
    network: MLP, policy: Parameters, seeds: Sequence[int], evaluator: Evaluator, settings: Robustness
) -> pd.DataFrame:
    """Columns seed, disturbance, level, draw, score. policy: the parameters of S actors, one for each seed."""
    found = []

    def play(act: Act, disturbance: str, level: float, draw: int = 0) -> None:
        scores = evaluator(act, 0).mean(axis=1)
        found.extend(
            {"seed": seed, "disturbance": disturbance, "level": level, "draw": draw, "score": float(score)}
            for seed, score in zip(seeds, scores, strict=True)
        )

    spread = Spread(lambda observation: network.forward(policy, observation).output, evaluator)
    play(spread, NONE, 0.0)
    for scale in settings.noise_scales:
        # The same draws at every scale, so that levels differ in nothing else.
        rngs = seeding.generators(seeds, "observation noise")
        play(noisy(network, policy, scale * spread.deviation(), rngs), NOISE, scale)
    for draw in range(settings.draws):
        rngs = seeding.generators(seeds, "silenced neurons", draw)
        quiet = silenced(network, policy, settings.silenced, rngs)
        play(
            lambda observation, p=quiet: network.forward(p, observation).output,
            SILENCED,
            settings.silenced,
            draw,
        )
    return pd.DataFrame(found)


class Spread:
    """A policy that keeps count of what it observes, to say how far each component varies."""

    def __init__(self, act: Act, evaluator: Evaluator) -> None:
        self.act, self.evaluator = act, evaluator
        self.seen: list[list[Tensor]] = [[] for _ in evaluator.seeds]

    def __call__(self, observation: Tensor) -> Tensor:
        for s, episode in self.evaluator.running:
            self.seen[s].append(observation[s, episode].clone())
        return self.act(observation)

    def deviation(self) -> Tensor:
        """Standard deviation of every component over all steps so far, (S, 1, n_0)."""
        return torch.stack([torch.stack(seen).std(dim=0, correction=0) for seen in self.seen]).unsqueeze(1)


def noisy(network: MLP, policy: Parameters, scale: Tensor, rngs: Sequence[np.random.Generator]) -> Act:
    """The policy with fresh Gaussian noise on every observation; scale (S, 1, n_0): its standard deviation."""

    def act(observation: Tensor) -> Tensor:
        drawn = np.stack([rng.standard_normal(observation.shape[1:], dtype=np.float32) for rng in rngs])
        return network.forward(policy, observation + scale * torch.from_numpy(drawn)).output

    return act


def silenced(
    network: MLP, policy: Parameters, share: float, rngs: Sequence[np.random.Generator]
) -> Parameters:
    """The policy with a share of each hidden layer's neurons, at least one, drawn per seed, whose output nobody reads.

    A neuron whose outgoing weights are 0 acts on the layer above as one whose voltage is 0.
    """
    quiet = network.views(policy.flat.clone())
    for layer, width in enumerate(network.sizes[1:-1], start=1):
        for s, rng in enumerate(rngs):
            chosen = rng.choice(width, max(1, round(share * width)), replace=False)
            quiet.weights[layer][s, torch.from_numpy(chosen)] = 0.0
    return quiet


def _metrics(rows: pd.DataFrame) -> pd.DataFrame:
    """Columns seed, step (the level in percent), metric, value (mean over draws); step 0 is the undisturbed policy."""
    means = rows.groupby(["seed", "disturbance", "level"], as_index=False)["score"].mean()
    plain = means[means["disturbance"] == NONE]
    both = pd.concat(
        [means[means["disturbance"] != NONE], *(plain.assign(disturbance=d) for d in (NOISE, SILENCED))]
    )
    return pd.DataFrame({
        "seed": both["seed"], "step": (100 * both["level"]).round().astype(int),
        "metric": "return/" + both["disturbance"], "value": both["score"],
    }).sort_values(["seed", "step"], kind="stable")  # fmt: skip
