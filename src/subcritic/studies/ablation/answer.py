"""Result 2 of the paper, "decentralised policy gradient ⇒ total policy optimisation", answered from the ablation."""

from __future__ import annotations

from typing import Any

import pandas as pd

from subcritic.config import Profile
from subcritic.reporting.estimates import FAILED_ADDED, JACKKNIFE, MISSING, Estimate, described
from subcritic.reporting.methods import NOTHING, OBSERVATION, SCALAR, VECTOR
from subcritic.reporting.verdicts import (
    BACKPROPAGATION,
    CONTROL,
    LEARNS,
    LOCAL,
    MATCHED,
    MATCHES,
    TELLS_APART,
    VERDICTS,
    definitions,
)
from subcritic.studies.ablation.settings import environments_of, steps_of

LEVELS = {
    NOTHING: "Nothing crosses layers but the common reward",
    OBSERVATION: "Nothing goes backwards; the observation goes forward to the critic of every layer",
    SCALAR: "One scalar, the same for all neurons, crosses layers",
    VECTOR: "A vector as wide as the action crosses layers",
}
# Tasks by their number of actions: column of the table, words.
KINDS = {"one_action": "one action", "many_actions": "several actions"}


def first(table: pd.DataFrame, role: str) -> pd.DataFrame:
    """The row of the first method of a role, in the order of the config; none if there is none."""
    return table[table["role"] == role].sort_values("order").head(1)


def label(table: pd.DataFrame) -> str:
    """The reference as a reader knows it: DDPG, or the name of a class of one's own."""
    algorithm = next(iter(first(table, BACKPROPAGATION)["algorithm"]), "backpropagation")
    return algorithm.rpartition(":")[2] if ":" in algorithm else algorithm.upper()


def answer(table: pd.DataFrame, tasks: pd.DataFrame, seeds: int) -> dict[str, Any]:
    """What was found, in Markdown, and what it rests on: {case, sentence, levels, tasks}.

    table: as `report.summary` makes it, tasks: as `report.compared` does. case: the least that crosses layers with which a
    rule matches the reference on every task that tells rules apart ('nothing', '1 scalar', 'a vector'); 'in part' when
    some rule matches or learns on some task; 'no' when none does; 'untested' when no task tells rules apart. levels: for
    each thing that crosses layers, its best rule with score, control and verdicts.
    """
    telling = list(tasks.loc[tasks["tells_apart"], "environment"])
    name, local = label(table), table[table["role"] == LOCAL]
    found = {"case": "untested", "sentence": "", "levels": [], "tasks": tasks.to_dict("records")}
    if not telling:
        why = (
            f"on none of these tasks is {name} clearly better than {name} with frozen hidden layers, so that a rule that is "
            "no worse proves nothing. "
        )
        if tasks["failed"].all():
            why = "no task is left. "
        told = "Whether decentralised policy gradient optimises the whole policy cannot be told here: "
        return found | {"sentence": f"{told}{why}{_left_out(tasks)}".strip()}
    levels = [
        _level(crossing, local, table, telling)
        for crossing in LEVELS
        if (local["crosses layers"] == crossing).any()
    ]
    case = _case(levels)
    sentence = "\n\n".join([
        _opening(table, tasks, name, seeds),
        "\n".join(f"- {_said(level, name, seeds)}" for level in levels),
        _closing(case, levels, local, telling, name),
    ])  # fmt: skip
    return found | {"case": case, "sentence": sentence, "levels": levels}


def _level(crossing: str, local: pd.DataFrame, table: pd.DataFrame, telling: list[str]) -> dict[str, Any]:
    """The best rule of a level: matches on most tasks, then learns on most, then has the highest score."""
    rows = local[local["crosses layers"] == crossing]
    best = rows.sort_values([MATCHES, LEARNS, "iqm"], ascending=False).iloc[0]
    ddpg = first(table, BACKPROPAGATION).iloc[0]
    control = table[table["method"] == best["control"]]
    level = {
        "crosses layers": crossing, "rules": len(rows), "best": best["method"], "score": best["iqm"],
        "low": best["low"], "high": best["high"], "share": best["iqm"] / ddpg["iqm"], "control": best["control"],
        "control_score": dict(zip(("value", "low", "high"), *control[["iqm", "low", "high"]].to_numpy(), strict=True)),
        "verdicts": {name: best[f"{name}/verdict"] for name in telling},
    }  # fmt: skip
    apart = {kind: {end: best[f"{kind}{end}"] for end in ("", "_low", "_high")} for kind in KINDS}
    both = all(pd.notna(scores[""]) for scores in apart.values())
    return level | ({kind: list(scores.values()) for kind, scores in apart.items()} if both else {})


def _case(levels: list[dict[str, Any]]) -> str:
    for level in levels:
        if set(level["verdicts"].values()) == {MATCHES}:
            return level["crosses layers"]
    found = {verdict for level in levels for verdict in level["verdicts"].values()}
    return "in part" if found & {MATCHES, LEARNS} else "no"


def _opening(table: pd.DataFrame, tasks: pd.DataFrame, name: str, seeds: int) -> str:
    telling = tasks[tasks["tells_apart"]]
    gaps = _names([f"{row.environment} (by {_estimate(row)})" for row in telling.itertuples()])
    scores = [f"{name} {_score(row)}" for _, row in first(table, BACKPROPAGATION).iterrows()]
    controls = table[table["role"] == CONTROL].sort_values("order")
    scores += [f"the control {row['method']} {_score(row)}" for _, row in controls.iterrows()]
    which = (
        "interquartile mean of the normalised score over them"
        if len(telling) > 1
        else "mean normalised score"
    )
    return (
        f"Does decentralised policy gradient optimise the whole policy? Rules are told apart on {gaps}: there "
        f"{name} exceeds {name} with frozen hidden layers, of which only the action's neurons learn. "
        f"{_left_out(tasks)}{which.capitalize()}, {seeds} seeds: {', '.join(scores)}."
    )


def _left_out(tasks: pd.DataFrame) -> str:
    """The tasks that cannot tell rules apart, with what learning in hidden layers gives there."""
    said, failed = "", list(tasks.loc[tasks["failed"], "environment"])
    others = tasks[~tasks["tells_apart"] & ~tasks["failed"]]
    if left := [f"{row.environment} ({_estimate(row)})" for row in others.itertuples()]:
        verb, count = ("does", "counts") if len(left) == 1 else ("do", "count")
        said = (
            f"{_names(left)} {verb} not tell rules apart, since this difference is below {TELLS_APART}, or its interval or "
            f"that of the score reaches 0, and {count} in no aggregate. "
        )
    if failed:
        verb = "counts" if len(failed) == 1 else "count"
        said += f"{_names(failed)} {verb} in no aggregate, since the environment failed in runs. "
    return said


def _said(level: dict[str, Any], name: str, seeds: int) -> str:
    """One level in words."""
    who = f"the best of {level['rules']} rules" if level["rules"] > 1 else "the one rule tried"
    control = level["control_score"]
    score = Estimate(level["score"], level["low"], level["high"])
    by_verdict = [
        f"{words} on {_names(where)}"
        for verdict, words in _words(name, level["control"]).items()
        if (where := [task for task, found in level["verdicts"].items() if found == verdict])
    ]
    apart = [f"{score} on tasks with {KINDS[kind]}" for kind in KINDS if kind in level
             for score in [Estimate(*level[kind])]]  # fmt: skip
    return (
        f"{LEVELS[level['crosses layers']]}: {who}, {level['best']}, scores {score} ({seeds} seeds), "
        f"{100 * level['share']:.0f} % of {name}'s; its control {level['control']} "
        f"{Estimate(control['value'], control['low'], control['high'])}. It {'; '.join(by_verdict)}."
        + (f" It scores {' and '.join(apart)}." if apart else "")
    )


def _words(name: str, control: str) -> dict[str, str]:
    return dict(zip(VERDICTS, (
        f"matches {name}", f"learns, short of {name},", f"is not told apart from {control}, or from random actions,",
        f"is worse than {control}", "diverges",
    ), strict=True))  # fmt: skip


def _closing(
    case: str, levels: list[dict[str, Any]], local: pd.DataFrame, telling: list[str], name: str
) -> str:
    where = _names(telling)
    if case in LEVELS:
        enough = next(level for level in levels if level["crosses layers"] == case)
        words = {
            NOTHING: "that nothing crosses",
            OBSERVATION: "that the observation goes forward to the critics of all",
            SCALAR: "that one scalar crosses",
            VECTOR: "that a vector crosses",
        }[case]
        less = levels[: levels.index(enough)]
        tried = " ".join(
            f"Of the rules tried with {_short(level)} crossing layers ({level['rules']}), none matches {name} on all of "
            "these tasks; that does not show that none can."
            for level in less
        )
        return (
            f"On {where} it sufficed {words} layers: by {enough['best']}, neurons that learn each by itself take the whole "
            f"policy to at least {100 * MATCHED:.0f} % of {name}'s score. {tried}"
        ).strip()
    some = int(((local[MATCHES] + local[LEARNS]) > 0).sum())
    if case == "in part":
        return (
            f"On {where}, hidden neurons learn without backpropagation through the policy by {some} of the "
            f"{len(local)} rules tried, on at least one task; no rule tried matches {name} on all of them."
        )
    return (
        f"On {where}, none of the {len(local)} rules tried is better than both its control and random actions, "
        "so these runs do not show that hidden neurons learn by any of them."
    )


def _short(level: dict[str, Any]) -> str:
    return {NOTHING: "nothing", OBSERVATION: "the observation", SCALAR: "one scalar", VECTOR: "a vector"}[
        level["crosses layers"]
    ]


def _estimate(row: Any) -> str:
    found = Estimate(row.difference, row.low, row.high)
    return MISSING if pd.isna(row.difference) else str(found)


def _score(row: pd.Series) -> str:
    return str(Estimate(row["iqm"], row["low"], row["high"]))


def _names(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def counted(row: Any) -> str:
    """Verdicts of a rule over the tasks that tell rules apart: `2 matches, 1 learns`."""
    return ", ".join(f"{int(row[verdict])} {verdict}" for verdict in VERDICTS if row[verdict]) or "–"


def task_cells(table: pd.DataFrame, task: str, telling: bool) -> list[str]:
    """`0.98 [0.70, 1.10] matches` for every row; the verdict only where the task tells rules apart."""
    scores = estimates(table, task, f"{task}/low", f"{task}/high")
    said = [verdict if telling and isinstance(verdict, str) else "" for verdict in table[f"{task}/verdict"]]
    return [f"{score} {verdict}".strip() for score, verdict in zip(scores, said, strict=True)]


def estimates(table: pd.DataFrame, *columns: str) -> list[str]:
    """Every row's value and interval, of the columns that hold value, low, high."""
    return [str(Estimate(*values)) for values in table[list(columns)].itertuples(index=False, name=None)]


def explanation(profile: Profile, table: pd.DataFrame) -> str:
    """What the columns of the table mean."""
    steps = sorted({steps_of(profile, environment) for environment in environments_of(profile)})
    return (
        f"Normalised scores after {' or '.join(f'{n:,}' for n in steps)} steps: the uniform random policy "
        f"scores 0, the reference return 1; mean over seeds [{described(profile, FAILED_ADDED)}]. "
        "*Interquartile mean*: over seeds and the tasks that tell rules apart "
        f"[{described(profile, FAILED_ADDED, JACKKNIFE)}], over a single "
        "task the mean. The best of many rules is chosen by these scores, which flatters it. *Crosses layers*: "
        "what reaches a neuron from beyond its own layer, besides the reward. *Global critic*: how a critic of "
        "the whole agent learns, where a rule has one. *Noise*: what a rule learns from, executed in the "
        "environment or imagined, that is, put through the global critic. *Update cosine*: what updates did to "
        "the weights against the true policy gradient, mean over training; 1 is gradient ascent, 0 unrelated.\n\n"
        + definitions(profile, label(table))
    )
