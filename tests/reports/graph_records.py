"""Records of the studies recurrent and clocks whose answer is known."""

import pandas as pd

from subcritic.studies import STUDIES

# Mean returns of the recurrent study.
LEVELS = {
    "learned-feedback": 96.0, "backpropagation": 100.0, "no-lags": 50.0, "action-only": 20.0, "random-graph": 90.0,
    "feedforward": 10.0, "observed": 120.0, "linear": 0.0, "random": 0.0,
}  # fmt: skip
MAZE = {"learned-feedback": 0.95, "backpropagation": 0.97, "feedforward": 0.0, "random": 0.0}


def recorded(job, level, metrics, spread=1.0):
    """Scores that differ by `spread` between seeds, the same in every method, and curves of these metrics."""
    base = {"environment": job.environment, "method": job.method}
    scores = [
        {
            **base,
            "seed": seed,
            "score": level + spread * seed,
            "steps": 2000,
            "diverged_at": None,
            "failure": None,
        }
        for seed in job.seeds
    ]
    values = {"return/evaluation": level, **metrics}
    curves = [
        {**base, "seed": seed, "step": step, "metric": metric, "value": value}
        for seed in job.seeds for step in (1000, 2000) for metric, value in values.items()
    ]  # fmt: skip
    return pd.DataFrame(curves), pd.DataFrame(scores)


def write_tables(job, root, **tables):
    for name, table in tables.items():
        path = root / job.path(STUDIES[job.study].records[name].path)
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(path, index=False)


def write(profile, root):
    """Learned feedback has 96 of 100 where something is hidden, and forgets in the longer maze; few ticks cost 150."""
    for job in STUDIES["recurrent"].jobs(profile):
        level, spread = LEVELS[job.method], 1.0
        if job.environment.startswith("TMaze"):
            forgot = job.environment == "TMaze-9" and job.method == "learned-feedback"
            level, spread = (0.1 if forgot else MAZE.get(job.method, 0.0)), 0.001
        agreement = {"agreement/hidden": 0.8} if job.method == "learned-feedback" else {}
        curves, scores = recorded(job, level, agreement, spread)
        write_tables(job, root, curves=curves if job.method != "random" else curves.iloc[:0], scores=scores)
    for job in STUDIES["clocks"].jobs(profile):
        clock, ticks, learner = job.method.split("-", 2)
        slow = ticks == "1"
        level = (-300.0 if slow else -150.0) - (20 if learner == "at-once" else 0)
        cosines = {}
        if learner != "backpropagation":
            for layer in (1, 2):
                at_once = 0.01 if slow and clock == "common" else 0.7
                cosines |= {f"agreement/layer_{layer}": 0.9, f"agreement_at_once/layer_{layer}": at_once}
        curves, scores = recorded(job, level, cosines)
        share = 0.0 if slow and clock == "common" else 1.0
        reach = [[job.environment, job.method, layer, share] for layer in (1, 2)]
        columns = ["environment", "method", "layer", "share"]
        write_tables(job, root, curves=curves, scores=scores, reach=pd.DataFrame(reach, columns=columns))
