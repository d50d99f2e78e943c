"""The rows of the results table: scores, their intervals, their anchors, and how readers see them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from subcritic.config import Profile
from subcritic.reporting.comparison import failed
from subcritic.reporting.estimates import (
    EQUAL_ADDED,
    FAILED_ADDED,
    MISSING,
    Estimate,
    described,
    interval,
    number,
    over_seeds,
)
from subcritic.reporting.normalise import normalise, why_raw_only
from subcritic.reporting.verdicts import TELLS_APART
from subcritic.stats import t_interval
from subcritic.studies.table import lillicrap

# With more environments than this, readers get a row for each environment and a column for each method.
MANY = 12
# Marks of a clear difference to the reference.
BETTER, WORSE = "▲", "▼"


def results(profile: Profile, scores: pd.DataFrame, anchors: pd.DataFrame) -> pd.DataFrame:
    """One row per environment and method.

    `average`, `best`, `low`, `high`: mean, maximum and interval over seeds of the raw score (return per episode);
    `normalised_...`: the same with random at 0 and the reference at 1, NaN where `note` says why; `seeds`,
    `diverged` (runs stopped), `failed` (runs without a score, since the environment failed; `seeds` are the others),
    `steps` (of the longest run), and the two anchors.
    """
    return pd.DataFrame([
        _row(profile, environment.name, method.name, scores, anchors.loc[environment.name])
        for environment in profile.environments
        for method in profile.methods
    ])  # fmt: skip


def _row(profile: Profile, environment: str, method: str, scores: pd.DataFrame, anchor: pd.Series) -> dict:
    runs = scores[(scores["environment"] == environment) & (scores["method"] == method)]
    raw = runs["score"].to_numpy(dtype=float)
    normalised = normalise(raw, anchor)
    average = over_seeds(raw, profile, added=anchor["random_mean"])
    scaled = over_seeds(normalised, profile, added=0.0)
    return {
        "environment": environment, "method": method,
        "average": average.value, "low": average.low, "high": average.high, "best": runs["score"].max(),
        "normalised_average": scaled.value, "normalised_low": scaled.low, "normalised_high": scaled.high,
        "normalised_best": pd.Series(normalised).max(),
        "seeds": int(np.isfinite(raw).sum()), "failed": int(np.isnan(raw).sum()),
        "diverged": int(runs["diverged_at"].notna().sum()), "steps": int(runs["steps"].max()),
        "random_mean": anchor["random_mean"], "random_standard_error": anchor["random_standard_error"],
        "reference_return": anchor["reference_return"], "reference_source": anchor["reference_source"],
        "note": why_raw_only(anchor),
    }  # fmt: skip


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The table as readers see it: strings, an interval in one cell."""
    rows = table.itertuples()
    return pd.DataFrame([{
        "environment": row.environment, "method": row.method, "average": number(row.average),
        "interval": interval(row.low, row.high), "best": number(row.best),
        "normalised": number(row.normalised_average),
        "normalised interval": interval(row.normalised_low, row.normalised_high),
        "normalised best": number(row.normalised_best),
        "seeds": f"{row.seeds}{failed(row.failed)}", "diverged": row.diverged, "steps": row.steps,
    } for row in rows])  # fmt: skip


def wide(table: pd.DataFrame, judged: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """A row for each environment and a column for each method: normalised mean, interval, and a mark if it differs clearly
    from the reference; those first on which hidden layers matter most. judged, found: as `reporting.verdicts` makes them.
    """
    cells = table.assign(cell=[
        f"{Estimate(row.normalised_average, row.normalised_low, row.normalised_high)}"
        f"{f', {row.diverged} diverged' if row.diverged else ''}{failed(row.failed)}" for row in table.itertuples()
    ]).pivot(index="environment", columns="method", values="cell")  # fmt: skip
    signs = marks(judged)
    steps = table.groupby("environment")["steps"].max()
    rows = []
    for task in in_order(found).itertuples():
        row = {"environment": task.environment, "steps": steps[task.environment], "actions": task.actions}
        if has_twin(found):
            row["hidden layers"] = str(Estimate(task.difference, task.low, task.high))
        for method in table["method"].unique():
            sign = signs.get((task.environment, method), "")
            row[method] = f"{cells.loc[task.environment, method]} {sign}".rstrip()
        rows.append(row | lillicrap.theirs(task.environment))
    return pd.DataFrame(rows).fillna("")


def has_twin(found: pd.DataFrame) -> bool:
    """Whether the reference is among the methods with frozen hidden layers too."""
    return bool(found["difference"].notna().any())


def in_order(found: pd.DataFrame) -> pd.DataFrame:
    """Tasks that tell rules apart first, then by how much hidden layers are worth to the reference."""
    return found.sort_values(["tells_apart", "difference"], ascending=False, kind="stable")


def marks(judged: pd.DataFrame) -> dict[tuple[str, str], str]:
    """(environment, method) → BETTER or WORSE, where all of the interval of the difference to the reference says so."""
    return {
        (row.environment, row.method): BETTER if row.minus_reference_low > 0 else WORSE
        for row in judged.itertuples()
        if row.minus_reference_low > 0 or row.minus_reference_high < 0
    }


def wide_explanation(profile: Profile, reference: str, found: pd.DataFrame) -> str:
    """What the wide table shows; reference: the first method with backpropagation."""
    twin = (
        f"*Hidden layers*: by how much {reference} exceeds itself with frozen hidden layers; a task needs them if that is "
        f"at least {TELLS_APART} and its interval lies above 0. The same seeds choose these tasks and are compared on them, "
        f"which favours {reference} there. "
    )
    theirs = lillicrap.THEIRS if any(lillicrap.theirs(name) for name in found["environment"]) else ""
    scale = "the uniform random policy scores 0, the reference return 1. "
    parts = [
        f"Normalised score of one seed, without interval: {scale}"
        if profile.seeds == 1
        else f"Normalised average over seeds [{described(profile, FAILED_ADDED)}]: {scale}{BETTER} better, {WORSE} worse "
        f"than {reference}: from differences paired by seed [{described(profile, EQUAL_ADDED)}]. ",
        twin if has_twin(found) else "",
        "Diverged runs were stopped and are counted with their last evaluation before. ",
        theirs,
    ]
    return "".join(parts).rstrip() + "\n"


def explanation(profile: Profile) -> str:
    """What the table shows."""
    return (
        "Average and best return per episode over seeds, with the interval of the average "
        f"[{described(profile, FAILED_ADDED)}]. Normalised: the uniform random policy scores 0, the "
        f"reference return 1; {MISSING} where there is no clear reference, or no interval from one seed. Best is a "
        "maximum over runs, never the headline. Diverged runs were stopped and are counted with their last evaluation "
        "before.\n"
    )


def readable_anchors(table: pd.DataFrame) -> pd.DataFrame:
    """One row per environment: what scores 0, what scores 1, and why not where it does not."""
    first = table.drop_duplicates("environment")
    return pd.DataFrame([{
        "environment": row.environment, "random policy (0)": number(row.random_mean),
        "standard error": number(row.random_standard_error), "reference (1)": number(row.reference_return),
        "source of the reference": row.reference_source, "note": row.note,
    } for row in first.itertuples()])  # fmt: skip


def reached(table: pd.DataFrame) -> list[str]:
    """On how many tasks a method's average comes half of the way to the reference, and on which it stays within a tenth of
    random; one sentence for all methods of which the same can be said.
    """
    said = {}
    for method, rows in table.dropna(subset="normalised_average").groupby("method", sort=False):
        half, near = rows["normalised_average"] >= 0.5, rows["normalised_average"] < 0.1
        left = f"; below 0.1: {', '.join(rows['environment'][near])}" if near.any() else ""
        said[method] = f"0.5 or more on {half.sum()} of {len(rows)} tasks{left}."
    return [
        f"{', '.join(methods)} {'reaches' if len(methods) == 1 else 'reach'} {text}"
        for text, methods in _grouped(said).items()
    ]


def reference_in(judged: pd.DataFrame) -> str | None:
    """The method that others are compared with, which has no difference to itself; None if there is none."""
    known = judged.groupby("method", sort=False)[["minus_reference", "return"]].count()
    # A method without any score, since the environment failed, has no difference either.
    compared = known[known["return"] > 0]["minus_reference"]
    return next(iter(compared[compared == 0].index), None) if compared.any() else None


def compared(judged: pd.DataFrame, found: pd.DataFrame, reference: str, confidence: float) -> list[str]:
    """On how many tasks a method is clearly better or worse than the reference, and on which; one sentence for all methods
    of which the same can be said, and only one if there are too few seeds for any difference to be clear.

    judged, found: as `reporting.verdicts` makes them; confidence: that of their intervals.
    """
    seeds = int(judged["runs"].max())
    if seeds == 1:
        return ["One seed has no intervals, and cannot tell two methods apart."]
    # The clearest case: all differences are the same, and one seed is added that shows none.
    if t_interval(np.ones(seeds), confidence, added=0.0).low <= 0:
        return [
            f"{seeds} seeds cannot tell two methods apart on a task, however large the difference, by the test used here: "
            f"paired by seed, with {EQUAL_ADDED}."
        ]
    needing = set(found.loc[found["tells_apart"], "environment"])
    twin = next(iter(judged.loc[judged["method"] == reference, "control"]), None)
    said = {}
    for method, rows in judged[judged["method"] != reference].groupby("method", sort=False):
        known = rows.dropna(subset="minus_reference_low")
        if known.empty:
            continue
        sides = {
            "better": known.loc[known["minus_reference_low"] > 0, "environment"],
            "worse": known.loc[known["minus_reference_high"] < 0, "environment"],
        }
        parts = [
            f"{side} on {len(names)}" + (f" ({', '.join(names)})" if len(names) else "")
            for side, names in sides.items()
        ]
        level = len(known) - sum(map(len, sides.values()))
        text = f"against {reference}, of {len(known)} tasks: {', '.join(parts)}, not told apart on {level}"
        # The tasks were chosen by the frozen twin's difference.
        if needing and method != twin:
            there = [name for name in sides["worse"] if name in needing]
            text += f"; on the {len(needing)} that need hidden layers, worse on {len(there)}"
        said[method] = text + "."
    return [f"{', '.join(methods)} {text}" for text, methods in _grouped(said).items()]


def _grouped(said: dict[str, str]) -> dict[str, list[str]]:
    """What is said → the methods of which it is said, in the order of the first of them."""
    found: dict[str, list[str]] = {}
    for method, text in said.items():
        found.setdefault(text, []).append(method)
    return found


def normalised_matrix(
    profile: Profile, scores: pd.DataFrame, anchors: pd.DataFrame, method: str
) -> pd.DataFrame:
    """Normalised scores of a method, seeds by environments in the config's order, less those without a clear reference."""
    raw = raw_matrix(profile, scores, method)
    known = [name for name in raw if not why_raw_only(anchors.loc[name])]
    scaled = {name: normalise(raw[name].to_numpy(dtype=float), anchors.loc[name]) for name in known}
    return pd.DataFrame(scaled, index=raw.index)


def raw_matrix(profile: Profile, scores: pd.DataFrame, method: str) -> pd.DataFrame:
    """Raw scores of a method, seeds by environments in the config's order, less those where a run has no score."""
    runs = scores[scores["method"] == method].pivot(index="seed", columns="environment", values="score")
    left_out = incomplete(scores)
    names = [environment.name for environment in profile.environments if environment.name not in left_out]
    return runs[names].astype(float)


def incomplete(scores: pd.DataFrame) -> set[str]:
    """The environments that failed in a run of some method: aggregates compare all methods on the others."""
    return set(scores.loc[scores["score"].isna(), "environment"])
