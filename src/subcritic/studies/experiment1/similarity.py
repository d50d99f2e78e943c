"""How alike Q^μ and the sub-critics are on held-out states, followed along training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from subcritic import seeding
from subcritic.agents import Agent
from subcritic.envs import EpisodeStreams
from subcritic.measuring.observers import Log
from subcritic.stats import first_crossing, similarity, window_mean
from subcritic.studies.experiment1.settings import Experiment1
from subcritic.subcritics import SubCriticFamily
from subcritic.training import Trainer

# Pearson correlation from which two critics count as having learned the same values.
SIMILAR = 0.9
# Steps between two held-out states, so that one episode does not fill the set.
STRIDE = 20


def held_out_states(make_environment: Callable[[], gym.Env], seeds: Sequence[int], count: int) -> Tensor:
    """`count` states per seed from episodes of uniform random actions that nothing trains on: (S, count, n_0)."""
    held_out = []
    for seed in seeds:
        environment = make_environment()
        stream = EpisodeStreams([environment], [seed], purpose="held-out")
        rng = seeding.generator(seed, "held-out actions")
        states = []
        for _ in range(count):
            for _ in range(STRIDE):
                stream.step(rng.uniform(-1, 1, (1, *environment.action_space.shape)).astype(np.float32))
            states.append(stream.observation[0])
        stream.close()
        held_out.append(np.stack(states))
    return torch.from_numpy(np.stack(held_out))


class Similarities:
    """Every `record_every` steps: values of all critics on the held-out states, and their likeness to Q^μ.

    Per layer l: `similarity/layer_l/*` for Q_l and `similarity/neurons_l/*`, the median over the layer's observed neurons;
    `similarity_window/*` their mean over the last `window` records; `value/*` and `value_window/*` mean values.
    """

    def __init__(
        self, log: Log, agent: Agent, family: SubCriticFamily, held_out: Tensor, settings: Experiment1
    ) -> None:
        self.every, self.window = settings.record_every, settings.window
        self.log, self.agent, self.family, self.held_out = log, agent, family, held_out
        self.steps: list[int] = []
        self.history: dict[str, list[np.ndarray]] = defaultdict(list)
        self.main_values: list[np.ndarray] = []

    def __call__(self, trainer: Trainer) -> None:
        if not trainer.learning:
            return
        voltages = self.agent.act(self.held_out)
        main = self.agent.predictions(self.held_out)["critic"].numpy()
        self.steps.append(trainer.step)
        self.main_values.append(main)
        self._record("value/main", main.mean(axis=1))
        for name, values in self.family.values(voltages.h).items():
            values = values.movedim(-1, 1).numpy()
            found = similarity(values, main[:, None, :])
            self._record(f"value/{name}", values.mean(axis=(1, 2)))
            for measure in ("pearson", "spearman", "affine_r2", "nrmse"):
                self._record(f"similarity/{name}/{measure}", _median(getattr(found, measure)))
        for s in trainer.watch.active:
            self.log(trainer.step, s, self._latest(s))

    def _record(self, name: str, per_seed: np.ndarray) -> None:
        self.history[name].append(np.asarray(per_seed, float))

    def _latest(self, s: int) -> dict[str, float]:
        found = {}
        for name, series in self.history.items():
            group, rest = name.split("/", 1)
            found[name] = float(series[-1][s])
            found[f"{group}_window/{rest}"] = float(np.mean([values[s] for values in series[-self.window :]]))
        return found

    def state_dict(self) -> dict[str, Any]:
        history = {name: list(series) for name, series in self.history.items()}
        return {"steps": list(self.steps), "history": history, "main_values": list(self.main_values)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps, self.main_values = list(state["steps"]), list(state["main_values"])
        self.history = defaultdict(list, {name: list(series) for name, series in state["history"].items()})


def steps_to_similar(phase: str, environment: str, found: Similarities, seeds: Sequence[int]) -> pd.DataFrame:
    """The step at which each critic's windowed Pearson first reached 0.9; empty where it never did.

    Sub-critics are held against Q^μ of the same time. `main` is Q^μ against its own final values: the rate at which the
    main critic itself learns.
    """
    series = {
        name.split("/")[1]: np.stack(values, axis=1)
        for name, values in found.history.items()
        if name.startswith("similarity/") and name.endswith("/pearson")
    }
    main = np.stack(found.main_values, axis=1)
    series["main"] = similarity(main, main[:, -1:, :]).pearson
    rows = [
        {
            "environment": environment,
            "method": phase,
            "seed": seed,
            "critic": critic,
            "step": first_crossing(np.array(found.steps), window_mean(pearson[s], found.window), SIMILAR),
        }
        for critic, pearson in series.items()
        for s, seed in enumerate(seeds)
    ]
    return pd.DataFrame(rows)


def _median(values: np.ndarray) -> np.ndarray:
    """Median over a layer's critics, (S, M) → (S,); a constant critic has no correlation and is left out."""
    known = ~np.isnan(values).all(axis=1)
    medians = np.full(len(values), np.nan)
    medians[known] = np.nanmedian(values[known], axis=1)
    return medians
