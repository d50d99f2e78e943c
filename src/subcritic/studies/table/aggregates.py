"""Aggregates over environments: mean differences to a reference, paired by seed; and those of Agarwal et al. 2021,
interquartile means, probabilities of improvement, performance profiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from subcritic.config import Profile
from subcritic.reporting.estimates import (
    EQUAL_ADDED,
    JACKKNIFE,
    Estimate,
    described,
    difference,
    over_environments,
)
from subcritic.stats import interquartile_mean, performance_profile, probability_of_improvement
from subcritic.studies.table.results import incomplete, normalised_matrix, raw_matrix

MEAN = "interquartile_mean"
# Begin the names of statistics that compare with the reference.
DIFFERENCE, IMPROVEMENT = "mean_difference_to_", "probability_of_improvement_over_"
# Ends the name of a statistic that is over the tasks which need hidden layers.
NEEDING = "_on_tasks_that_need_hidden_layers"


def aggregate(
    profile: Profile,
    scores: pd.DataFrame,
    anchors: pd.DataFrame,
    reference: str | None,
    needing: Sequence[str] = (),
) -> pd.DataFrame:
    """Aggregates over environments, with intervals over seeds.

    Columns: method, statistic, value, low, high, environments, seeds. Of the normalised scores, on the environments that
    have them: `interquartile_mean`, over two or more, and `mean_difference_to_<reference>`, of the means over environments,
    paired by seed. `probability_of_improvement_over_<reference>` compares raw scores, on all environments. All again over
    the environments in `needing`, if there are at least two. Environments that failed in some run are left out. A run is
    added before an interval is computed: one that fails everywhere, shows no difference, or ties with all others.
    """
    rows = []
    needing = [name for name in needing if name not in incomplete(scores)]
    for ending, chosen in {"": None, NEEDING: needing}.items():
        if chosen is not None and len(chosen) < 2:
            continue
        for method in profile.methods:
            names = [method.name, *([reference] if reference not in (None, method.name) else [])]
            matrices = [
                (
                    _only(chosen, normalised_matrix(profile, scores, anchors, name)),
                    _only(chosen, raw_matrix(profile, scores, name)),
                )
                for name in names
            ]
            rows += [
                [method.name, f"{statistic}{ending}", *estimate, environments, len(matrices[0][1])]
                for statistic, estimate, environments in _statistics(profile, reference, *matrices)
            ]
    return pd.DataFrame(
        rows, columns=["method", "statistic", "value", "low", "high", "environments", "seeds"]
    )


def _statistics(
    profile: Profile,
    reference: str | None,
    ours: tuple[pd.DataFrame, pd.DataFrame],
    theirs: tuple[pd.DataFrame, pd.DataFrame] | None = None,
) -> Iterator[tuple[str, Estimate, int]]:
    """(name, estimate, environments) of a method's statistics. ours, theirs: its normalised and its raw scores, and those of
    the reference, seeds by environments.
    """
    (scaled, raw), scored = ours, ours[0].shape[1]
    if scored > 1:
        yield MEAN, over_environments(profile, interquartile_mean, scaled.to_numpy(), added=0.0), scored
    if theirs is None:
        return
    if scored:
        yield (
            f"{DIFFERENCE}{reference}",
            difference(scaled.mean(axis=1), theirs[0].mean(axis=1), profile),
            scored,
        )
    if raw.size:
        matrices = raw.to_numpy(), theirs[1].to_numpy()
        value, *ends = over_environments(profile, probability_of_improvement, *matrices, added=np.nan)
        yield f"{IMPROVEMENT}{reference}", Estimate(value, *np.clip(ends, 0, 1)), raw.shape[1]


def _only(chosen: Sequence[str] | None, matrix: pd.DataFrame) -> pd.DataFrame:
    return matrix if chosen is None else matrix[[name for name in chosen if name in matrix]]


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
    """A row for each method, a column for each statistic, whose heading says over how many environments it is."""
    # What was published earlier may have a mean over a single environment.
    known = aggregates[~aggregates["statistic"].str.startswith(MEAN) | (aggregates["environments"] > 1)]
    columns = {"method": list(known["method"].unique())}
    for statistic, rows in known.groupby("statistic", sort=False):
        tasks = f"{rows['environments'].iloc[0]} environments"
        if statistic.endswith(NEEDING):
            tasks = f"the {rows['environments'].iloc[0]} that need hidden layers"
        cells = {row.method: str(Estimate(row.value, row.low, row.high)) for row in rows.itertuples()}
        heading = f"{statistic.removesuffix(NEEDING).replace('_', ' ')}, {tasks}"
        columns[heading] = [cells.get(method, "") for method in columns["method"]]
    return pd.DataFrame(columns)


def explanation(profile: Profile) -> str:
    """What the aggregates are."""
    added = "one added run, which fails everywhere or ties with all others"
    if profile.seeds == 1:
        return (
            "Interquartile mean, and mean difference averaged over environments: of the normalised scores. Probability of "
            "improvement: of the raw scores. One seed has no intervals.\n"
        )
    return (
        "Interquartile mean: of the normalised scores. Mean difference: of the normalised scores, averaged over "
        f"environments and paired by seed [{described(profile, EQUAL_ADDED)}]. Probability of improvement: of the raw "
        f"scores. In brackets for the first and the last: {described(profile, added, JACKKNIFE)}; seeds are left out in all "
        "environments at once. All intervals are over seeds: they do not say what other environments would give.\n"
    )
