"""What is watched and recorded while an agent trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from subcritic.config import Evaluations
from subcritic.measuring.diagnostics import diagnostics
from subcritic.measuring.predicted import furthest_off, predicted_and_realised
from subcritic.training import Evaluator, Trainer, due

# Where observers write: (step, index of the seed, metrics).
Log = Callable[[int, int, dict[str, float]], None]


def log_each(log: Log, step: int, active: Sequence[int], metrics: dict[str, Tensor]) -> None:
    """Log metrics of shape (S,) for the active seeds."""
    arrays = {name: values.tolist() for name, values in metrics.items()}
    for s in active:
        log(step, s, {name: values[s] for name, values in arrays.items()})


class Evaluation:
    """Noise-free return, `return/evaluation`: the mean over the episodes of one evaluation; and what critics say of it.

    The last evaluation, with `final_episodes` episodes, is a seed's score. `value/realised` and `value/predicted/<critic>`
    are those of `predicted_and_realised`, `furthest` what `furthest_off` makes of them. A seed that diverged keeps what its
    last evaluation before gave; one whose environment fails in an evaluation is stopped.
    """

    # A score is that of the end.
    at_end = True

    def __init__(self, log: Log, settings: Evaluations, make_environment, seeds: Sequence[int]) -> None:
        self.every, self.log = settings.evaluate_every, log
        self.episodes, self.final_episodes = settings.evaluation_episodes, settings.final_episodes
        self.evaluator = Evaluator(make_environment, seeds, max(self.episodes, self.final_episodes))
        self.scores = [float("nan")] * len(seeds)
        self.furthest: list[tuple[str | None, float]] = [(None, float("nan"))] * len(seeds)

    def __call__(self, trainer: Trainer) -> None:
        episodes = self.final_episodes if trainer.step == trainer.steps else self.episodes
        agent, active = trainer.agent, trainer.watch.active
        played = self.evaluator.play(trainer.policy(), trainer.step, episodes, active, trainer.predictions)
        values = predicted_and_realised(played, agent.settings.discount) if played.judged else {}
        for s, what in played.failed.items():
            trainer.environment_failed(s, f"{what} in the evaluation at step {trainer.step}")
        for s in active:
            score = float(played.returns[s].mean())
            if math.isnan(score):
                continue
            self.scores[s] = score
            mine = {name: float(value[s]) for name, value in values.items()}
            self.furthest[s] = furthest_off(mine)
            defined = {f"value/{name}": value for name, value in mine.items() if not math.isnan(value)}
            self.log(trainer.step, s, {"return/evaluation": self.scores[s], **defined})

    def close(self) -> None:
        self.evaluator.close()

    def state_dict(self) -> dict[str, Any]:
        return {"scores": list(self.scores), "furthest": list(self.furthest)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.scores, self.furthest = list(state["scores"]), list(state["furthest"])


class LearningMetrics:
    """Training returns every `log_every` steps; losses and the diagnostics of the network at the update that comes then.

    update_every: steps between two updates, as in the agent's settings.
    """

    def __init__(self, log: Log, log_every: int, update_every: int = 1) -> None:
        self.log, self.log_every, self.update_every = log, log_every, update_every
        # An update may come between two multiples of log_every.
        self.every = log_every if update_every == 1 else 1

    def __call__(self, trainer: Trainer) -> None:
        if trainer.step % self.log_every == 0:
            for s in trainer.watch.active:
                returns = trainer.take_returns(s)
                if returns:
                    self.log(trainer.step, s, {"return/training": float(np.mean(returns))})
        if trainer.batch is None or not due(trainer.step, self.log_every, self.update_every):
            return
        metrics = trainer.agent.metrics() | diagnostics(trainer.agent, trainer.batch)
        log_each(self.log, trainer.step, trainer.watch.active, metrics)
