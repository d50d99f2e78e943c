"""Aggregates over environments (Agarwal et al. 2021): interquartile means, probabilities of improvement, profiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from subcritic.config import Profile
from subcritic.reporting.estimates import (
    JACKKNIFE,
    Estimate,
    described,
    interval,
    number,
    over_environments,
)
from subcritic.stats import interquartile_mean, performance_profile, probability_of_improvement
from subcritic.studies.table.results import incomplete, normalised_matrix, raw_matrix

MEAN, IMPROVEMENT = "interquartile_mean", "probability_of_improvement_over_"
# Ends the name of a statistic that is over the tasks which need hidden layers.
NEEDING = "_on_tasks_that_need_hidden_layers"


def aggregate(
    profile: Profile,
    scores: pd.DataFrame,
    anchors: pd.DataFrame,
    reference: str | None,
    needing: Sequence[str] = (),
) -> pd.DataFrame:
    """Aggregates over environments, with jackknife intervals over seeds.

    Columns: method, statistic, value, low, high, environments, seeds. `interquartile_mean` is of the normalised scores, on
    the environments that have them; `probability_of_improvement_over_<reference>` compares raw scores, on all environments;
    both again over the environments in `needing`, if there are at least two. Environments that failed in some run are left
    out. A run is added before the interval is computed: one that fails everywhere, and one that ties with all others.
    """
    rows = []
    needing = [name for name in needing if name not in incomplete(scores)]
    for ending, chosen in {"": None, NEEDING: needing}.items():
        if chosen is not None and len(chosen) < 2:
            continue
        for method in profile.methods:
            name = method.name
            normalised = normalised_matrix(profile, scores, anchors, name)
            normalised = normalised if chosen is None else normalised[chosen]
            rows.append([name, f"{MEAN}{ending}", *_estimate(profile, interquartile_mean, 0.0, normalised)])
            if reference and name != reference:
                pair = [raw_matrix(profile, scores, each) for each in (name, reference)]
                pair = pair if chosen is None else [matrix[chosen] for matrix in pair]
                value, *ends = _estimate(profile, probability_of_improvement, np.nan, *pair)
                statistic = f"{IMPROVEMENT}{reference}{ending}"
                rows.append([name, statistic, value, *np.clip(ends[:2], 0, 1), *ends[2:]])
    return pd.DataFrame(
        rows, columns=["method", "statistic", "value", "low", "high", "environments", "seeds"]
    )


def profiles(
    profile: Profile, scores: pd.DataFrame, anchors: pd.DataFrame, thresholds: np.ndarray
) -> pd.DataFrame:
    """Share of runs above each threshold of the normalised score; columns: method, threshold, share."""
    rows = []
    for method in profile.methods:
        matrix = normalised_matrix(profile, scores, anchors, method.name).to_numpy()
        if matrix.size:
            shares = performance_profile(matrix, thresholds)
            rows += [[method.name, *pair] for pair in zip(thresholds, shares, strict=True)]
    return pd.DataFrame(rows, columns=["method", "threshold", "share"])


def readable_aggregates(aggregates: pd.DataFrame) -> pd.DataFrame:
    """The aggregates with their names spelled out."""
    return pd.DataFrame([{
        "method": row.method, "statistic": row.statistic.replace("_", " "), "value": number(row.value),
        "interval": interval(row.low, row.high), "environments": row.environments, "seeds": row.seeds,
    } for row in aggregates.itertuples()])  # fmt: skip


def explanation(profile: Profile) -> str:
    """What the aggregates are."""
    return (
        "Interquartile mean: of the normalised scores. Probability of improvement: of the raw scores. In brackets: "
        f"{described(profile, 'one added run, which fails everywhere or ties with all others', JACKKNIFE)}; seeds are left "
        "out in all environments at once.\n"
    )


def _estimate(profile: Profile, statistic, added: float, *matrices: pd.DataFrame) -> tuple:
    """Value, low, high, environments, seeds of a statistic over environments; see `over_environments`."""
    seeds, environments = matrices[0].shape
    missing = Estimate(*[float("nan")] * 3)
    values = [matrix.to_numpy() for matrix in matrices]
    estimate = over_environments(profile, statistic, *values, added=added) if environments else missing
    return *estimate, environments, seeds
