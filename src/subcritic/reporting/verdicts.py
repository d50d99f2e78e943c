"""Per task: can it tell rules apart, and what is each rule worth on it? From differences of scores paired by seed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from subcritic.config import Profile
from subcritic.reporting.estimates import (
    EQUAL_ADDED,
    FAILED_ADDED,
    Estimate,
    described,
    difference,
    over_seeds,
)
from subcritic.reporting.methods import Facts
from subcritic.reporting.normalise import normalise

# Roles of methods, see `subcritic.config.AgentSettings`.
BACKPROPAGATION, LOCAL, CONTROL = "backpropagation", "local", "control"

# A task tells rules apart when learning in DDPG's hidden layers raises the normalised score clearly, and by at least this.
TELLS_APART = 0.2
# A rule matches backpropagation when it learns, and reaches this share of DDPG's mean score.
MATCHED = 0.9

MATCHES, LEARNS, SAME, WORSE, DIVERGES = "matches", "learns", "not told apart", "worse", "diverges"
VERDICTS = (MATCHES, LEARNS, SAME, WORSE, DIVERGES)
# Of one seed nothing is said but that it diverged, nor of methods that are no local rule.
NO_VERDICT = ""


def reference_of(facts: dict[str, Facts]) -> str | None:
    """The first method with backpropagation, in the order of the config."""
    return next((name for name, method in facts.items() if method["role"] == BACKPROPAGATION), None)


def control_of(name: str, facts: dict[str, Facts]) -> str | None:
    """What a method is compared with: the same method with frozen hidden layers, or else the reference with frozen hidden
    layers, or else the first control; None if there is none, or the method is a control.
    """
    if facts[name]["role"] == CONTROL:
        return None
    reference = reference_of(facts)
    twins = [_frozen_twin(name, facts), _frozen_twin(reference, facts) if reference else None]
    controls = [other for other, method in facts.items() if method["role"] == CONTROL]
    return next((control for control in [*twins, *controls] if control), None)


def _frozen_twin(name: str, facts: dict[str, Facts]) -> str | None:
    """The method with the same settings whose hidden layers are frozen."""

    def apart(method: Facts) -> dict:
        return {
            key: value for key, value in method["settings"].items() if key not in ("name", "frozen_hidden")
        }

    frozen = (other for other, method in facts.items() if method["settings"].get("frozen_hidden"))
    return next((other for other in frozen if apart(facts[other]) == apart(facts[name])), None)


def verdicts(
    profile: Profile, scores: pd.DataFrame, anchors: pd.DataFrame, facts: dict[str, Facts]
) -> pd.DataFrame:
    """One row per task and method, in the order of the config.

    Columns: environment, method, control (see `control_of`); score, low, high: normalised mean over seeds with its interval;
    best, worst (seeds), return (raw mean); minus_control and minus_reference, each with _low and _high: mean difference to
    the control and to the reference, paired by seed (NaN in their own rows); runs, diverged; verdict (see `verdict`).
    """
    reference, rows = reference_of(facts), []
    for environment, runs in scores.groupby("environment", sort=False):
        normalised = runs.assign(
            score=normalise(runs["score"].to_numpy(dtype=float), anchors.loc[environment])
        )
        wide = normalised.pivot(index="seed", columns="method", values="score")
        means = wide.mean()
        for name in facts:
            own, control = runs[runs["method"] == name], control_of(name, facts)
            row = {
                "environment": environment, "method": name, "control": control or "",
                **dict(zip(("score", "low", "high"), over_seeds(wide[name], profile, added=0.0), strict=True)),
                "best": wide[name].max(), "worst": wide[name].min(), "return": own["score"].mean(),
                **_minus("control", wide, name, control, profile), **_minus("reference", wide, name, reference, profile),
                "runs": len(own), "diverged": int(own["diverged_at"].notna().sum()),
            }  # fmt: skip
            judged = facts[name]["role"] == LOCAL and reference is not None
            row["verdict"] = verdict(row, means[reference]) if judged else NO_VERDICT
            rows.append(row)
    return pd.DataFrame(rows)


def _minus(what: str, wide: pd.DataFrame, name: str, other: str | None, profile: Profile) -> dict[str, float]:
    known = other not in (None, name)
    found = difference(wide[name], wide[other], profile) if known else Estimate(*[np.nan] * 3)
    return dict(zip((f"minus_{what}", f"minus_{what}_low", f"minus_{what}_high"), found, strict=True))


def verdict(row: dict, reference: float) -> str:
    """What a rule is worth on a task; row: of `verdicts`. reference: mean score of the method with backpropagation.

    diverges        more than half of its runs were stopped
    worse           than its control: all of the interval of the difference lies below 0
    learns          better than its control and than random actions: the intervals of difference and score lie above 0
    matches         learns, and has a mean of at least MATCHED of the reference's
    not told apart  from its control, or not better than random actions
    """
    if row["diverged"] > row["runs"] / 2:
        return DIVERGES
    if np.isnan([row["low"], row["minus_control_low"], reference]).any():
        return NO_VERDICT
    if row["minus_control_high"] < 0:
        return WORSE
    if not (row["minus_control_low"] > 0 and row["low"] > 0):
        return SAME
    return MATCHES if row["score"] >= MATCHED * reference else LEARNS


def tasks(found: pd.DataFrame, facts: dict[str, Facts], actions: dict[str, int]) -> pd.DataFrame:
    """One row per task: can it tell rules apart?

    Columns: environment, actions (dimension of the action), difference, low, high: of the reference to its twin with frozen
    hidden layers; tells_apart: that twin exists, the difference is at least TELLS_APART, its interval lies above 0, and so
    does that of the reference's score. found: as `verdicts` makes it.
    """
    reference = reference_of(facts)
    twin = _frozen_twin(reference, facts) if reference else None
    rows = []
    for environment, here in found.groupby("environment", sort=False):
        estimate, clear = Estimate(*[np.nan] * 3), False
        if twin:
            row = here[here["method"] == reference].iloc[0]
            estimate = Estimate(row["minus_control"], row["minus_control_low"], row["minus_control_high"])
            clear = bool(estimate.value >= TELLS_APART and estimate.low > 0 and row["low"] > 0)
        rows.append([environment, actions[environment], *estimate, clear])
    return pd.DataFrame(rows, columns=["environment", "actions", "difference", "low", "high", "tells_apart"])


def definitions(profile: Profile, name: str) -> str:
    """What the verdicts mean; name: the reference's."""
    return (
        f"*Verdict*, per task, from differences paired by seed [{described(profile, EQUAL_ADDED)}] and "
        f"scores [{described(profile, FAILED_ADDED)}]: `{LEARNS}`, better than its control and than random "
        f"actions, both intervals above 0; `{MATCHES}`, learns and has a mean of at least {100 * MATCHED:.0f} % "
        f"of {name}'s; `{SAME}`, from its control or from random actions; `{WORSE}` than its control; "
        f"`{DIVERGES}`, over half of the runs stopped. *Control*: the same method with frozen hidden layers, "
        f"or, where there is none, {name} with frozen hidden layers, or else the first control. Verdicts count "
        "on tasks that tell rules apart.\n"
    )
