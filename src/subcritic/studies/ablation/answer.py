"""Result 2 of the paper, "decentralised policy gradient ⇒ total policy optimisation", answered from the ablation's table."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from subcritic.config import Profile
from subcritic.reporting.estimates import FAILED_ADDED, Estimate, described, number
from subcritic.studies.ablation.methods import NOTHING, SCALAR, VECTOR
from subcritic.studies.ablation.settings import environments_of, steps_of

# Roles of methods, see `subcritic.config.AgentSettings`.
BACKPROPAGATION, LOCAL, CONTROL = "backpropagation", "local", "control"

# A rule matches backpropagation when it reaches this share of DDPG's interquartile mean.
MATCHED = 0.9
WORKS, IMPROVES, UNCLEAR, FAILS, DIVERGES = "works", "improves", "unclear", "fails", "diverges"
WITH = {
    NOTHING: "nothing crossing layers but the common reward",
    SCALAR: "one scalar, the same for all neurons, crossing layers",
    VECTOR: "a vector as wide as the action crossing layers",
}


def verdict(row: pd.Series | dict, floor: float, ddpg: float) -> str:
    """What a method is worth.

    'diverges': more than half of its runs were stopped. 'works': it reaches MATCHED of DDPG's score, both above the random
    direction. 'improves': the lower end of its interval is above the random direction; 'unclear': only its score is.
    'fails': not even that.
    """
    if row["diverged"] > row["runs"] / 2:
        return DIVERGES
    low = row["iqm"] if math.isnan(row["low"]) else row["low"]
    if not low > floor:
        return UNCLEAR if row["iqm"] > floor else FAILS
    return WORKS if ddpg > floor and row["iqm"] >= MATCHED * ddpg else IMPROVES


def first(table: pd.DataFrame, role: str) -> pd.DataFrame:
    """The row of the first method of a role, in the order of the config; none if there is none."""
    return table[table["role"] == role].sort_values("order").head(1)


def floor_of(table: pd.DataFrame) -> float:
    """What a rule must exceed: the upper end of the control, at least the random policy's 0."""
    control = first(table, CONTROL)
    ends = control["high"].fillna(control["iqm"])
    return max([0.0, *ends])


def reference_of(table: pd.DataFrame) -> Estimate:
    """The interquartile mean of the first method with backpropagation, with its interval; NaN when there is none."""
    found = first(table, BACKPROPAGATION)[["iqm", "low", "high"]].to_numpy(dtype=float)
    return Estimate(*map(float, found[0])) if len(found) else Estimate(*[float("nan")] * 3)


def label(algorithm: str) -> str:
    """A method with backpropagation as a reader knows it: DDPG, or the name of a class of one's own."""
    return algorithm.rpartition(":")[2] if ":" in algorithm else algorithm.upper()


def answer(table: pd.DataFrame, learned: list[str]) -> dict[str, Any]:
    """The paragraph, and what it rests on: {case, sentence, verdicts (what crosses → verdict of the best rule)}.

    table: as `ablation.summary` makes it. learned: the environments that DDPG learns, over which the table's interquartile
    mean is taken. case: what must cross layers for the whole policy to get as good as DDPG's ('nothing', '1 scalar',
    'a vector'), 'in part' when some rule improves the policy but none reaches DDPG, 'no' when none improves it,
    'untested' when DDPG itself learns nothing.
    """
    if not learned:
        sentence = (
            "Whether decentralised policy gradient optimises the whole policy cannot be told here: the method with "
            "backpropagation learns none of these environments in these steps, so that a rule that fails proves nothing."
        )
        return {"case": "untested", "sentence": sentence, "verdicts": {}}
    floor, ddpg = floor_of(table), reference_of(table)
    name = label(first(table, BACKPROPAGATION)["algorithm"].iloc[0])
    local = table[table["role"] == LOCAL]
    groups = {name: local[local["crosses layers"] == name] for name in (NOTHING, SCALAR, VECTOR)}
    groups = {name: rows for name, rows in groups.items() if len(rows)}
    verdicts = {name: _best(rows, floor, ddpg.value)[1] for name, rows in groups.items()}
    parts = [
        _opening(learned, name, ddpg, table),
        *(_part(crossing, rows, floor, name, ddpg.value) for crossing, rows in groups.items()),
    ]
    return {
        "case": _case(verdicts),
        "sentence": " ".join([*parts, _closing(_case(verdicts), verdicts, name), _cosines(local)]).strip(),
        "verdicts": verdicts,
    }


def _best(rows: pd.DataFrame, floor: float, ddpg: float) -> tuple[pd.Series, str]:
    """The best verdict of a group of rules, and the rule with the highest score among those that have it."""
    verdicts = rows.apply(verdict, axis=1, floor=floor, ddpg=ddpg)
    for name in (WORKS, IMPROVES, UNCLEAR, FAILS, DIVERGES):
        if (verdicts == name).any():
            return rows[verdicts == name].sort_values("iqm", ascending=False).iloc[0], name
    raise ValueError("no rule to judge")


def _case(verdicts: dict[str, str]) -> str:
    for name, found in verdicts.items():
        if found == WORKS:
            return name
    return "in part" if IMPROVES in verdicts.values() else "no"


def _opening(learned: list[str], name: str, ddpg: Estimate, table: pd.DataFrame) -> str:
    controls = first(table, CONTROL).iterrows()
    control = "".join(f", the control {row['method']} {_score(row)}" for _, row in controls)
    return (
        "Does decentralised policy gradient optimise the whole policy? Interquartile mean of the normalised score on "
        f"{_names(learned)}, which {name} learns: {name}, with backpropagation, {ddpg}{control}."
    )


def _part(crossing: str, rows: pd.DataFrame, floor: float, name: str, ddpg: float) -> str:
    best, found = _best(rows, floor, ddpg)
    who = (
        f"the best of {len(rows)} rules, {best['method']},"
        if len(rows) > 1
        else f"the one rule, {best['method']},"
    )
    score = f"{_score(best)}, {100 * best['iqm'] / ddpg:.0f} % of {name}'s"
    said = {
        WORKS: f"yes: {who} reaches {score}",
        IMPROVES: f"in part: {who} improves the whole policy, to {score}",
        UNCLEAR: f"it is not shown: {who} gets {score}, but its interval reaches down to moving at random",
        FAILS: f"no: {who} gets {_score(best)}, which does not exceed moving at random",
        DIVERGES: f"no: most runs diverge, also of {who.removesuffix(',')}",
    }[found]
    return f"With {WITH[crossing]}, {said}."


def _closing(case: str, verdicts: dict[str, str], name: str) -> str:
    if case in WITH:
        short = {NOTHING: "nothing", SCALAR: "one broadcast scalar", VECTOR: "a broadcast vector"}[case]
        return f"So on these tasks neurons that learn each by itself optimise the whole policy; {short} has to cross layers."
    if case == "in part":
        return (
            f"So the whole policy improves without backpropagation through it, but no rule tried reaches "
            f"{100 * MATCHED:.0f} % of {name}'s score."
        )
    if UNCLEAR in verdicts.values():
        return "So these runs do not show that the whole policy gets better by any of the rules tried."
    return "So for none of the rules tried did the whole policy get better than by moving at random."


def _cosines(local: pd.DataFrame) -> str:
    """Whether rules whose updates follow the true gradient score higher."""
    known = local.dropna(subset=["cosine", "iqm"])
    if len(known) < 4 or known["cosine"].nunique() < 2 or known["iqm"].nunique() < 2:
        return ""
    rank = known["cosine"].rank().corr(known["iqm"].rank())
    return (
        f"Over the {len(known)} local rules, rank correlation of the score with the cosine between update and true policy "
        f"gradient: {number(rank)}."
    )


def _score(row: pd.Series) -> str:
    return str(Estimate(row["iqm"], row["low"], row["high"]))


def _names(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def explanation(profile: Profile, environments: list[str]) -> str:
    """What the columns of the table mean."""
    steps = sorted({steps_of(profile, environment) for environment in environments_of(profile)})
    return (
        f"Normalised scores after {' or '.join(f'{n:,}' for n in steps)} steps: the uniform random policy scores 0, the "
        f"reference return 1; mean over seeds [{described(profile, FAILED_ADDED)}]. The interquartile mean is over seeds "
        "and the environments that DDPG learns. *Crosses layers*: what reaches a neuron from beyond its own layer, besides the "
        "reward. *Update cosine*: what updates did to the weights against the true policy gradient, mean over training; 1 "
        "is gradient ascent, 0 unrelated.\n"
    )
