"""The lab book: every attempt at a local rule that works, failures included, and what each gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from subcritic.config import Profile
from subcritic.reporting import documents, records
from subcritic.reporting.comparison import failed
from subcritic.reporting.estimates import Estimate, number
from subcritic.reporting.methods import Facts
from subcritic.reporting.verdicts import LOCAL
from subcritic.studies import ablation
from subcritic.studies.ablation.answer import counted, explanation, task_cells
from subcritic.studies.ablation.settings import environments_of

# Settings that are no part of what an attempt tries.
ASIDE = ("name", "algorithm", "preset", "probe")


def make(profile: Profile, root: Path) -> list[Path]:
    """Write table/lab_book.{csv,md}. Needs what the report of the ablation made."""
    paths = [root / "table" / name for name in ("ablation.csv", "ablation_answer.json")]
    for path in paths:
        records.must_exist(path, "ablation")
    facts = records.read_json(ablation.STUDY, "method", profile, root)
    methods, found = pd.read_csv(paths[0]), json.loads(paths[1].read_text())
    table = attempts(profile, methods, found["tasks"], facts)
    return [
        documents.write(root / "table" / "lab_book.csv", table),
        documents.write(root / "table" / "lab_book.md", markdown(profile, table, methods, facts)),
    ]


def attempts(
    profile: Profile, table: pd.DataFrame, tasks: list[dict[str, Any]], facts: dict[str, Facts]
) -> pd.DataFrame:
    """One row per attempt, in the order of the config, from the ablation's table and its tasks.

    Columns: attempt, changes, crosses layers, global critic, a cell per task, iqm, best and worst (single runs), cosine,
    diverged, verdicts (over the tasks that tell rules apart).
    """
    names = [environment.name for environment in environments_of(profile)]
    cells = {
        task["environment"]: task_cells(table, task["environment"], task["tells_apart"]) for task in tasks
    }
    by_name, shared = table.assign(**cells).set_index("method"), common(facts)
    rows = []
    for attempt, method in facts.items():
        row = by_name.loc[attempt]
        scores = {name: row[name] for name in names}
        rows.append({
            "attempt": attempt, "changes": in_words(changes(method, shared)),
            "crosses layers": row["crosses layers"], "global critic": row["global critic"], **scores,
            "iqm": str(Estimate(row["iqm"], row["low"], row["high"])),
            "best": _extreme(row, names, "best"), "worst": _extreme(row, names, "worst"),
            "cosine": number(row["cosine"]), "diverged": f"{row['diverged']} of {row['runs']}{failed(row['failed'])}",
            "verdicts": counted(row) if row["role"] == LOCAL else row["role"],
        })  # fmt: skip
    return pd.DataFrame(rows)


def changes(method: Facts, shared: dict[str, Any]) -> dict[str, Any]:
    """The settings in which a method differs from the defaults of its algorithm, those shared by all methods left out."""
    given, defaults = method["settings"], method["defaults"]
    return {
        name: value
        for name, value in given.items()
        if name not in ASIDE and name not in shared and value != defaults[name]
    }


def common(facts: dict[str, Facts]) -> dict[str, Any]:
    """The settings that are the same in all methods."""
    given = [method["settings"] for method in facts.values()]
    return {
        name: value
        for name, value in given[0].items()
        if name not in ASIDE and all(name in other and other[name] == value for other in given)
    }


def in_words(settings: dict[str, Any]) -> str:
    """`exploration neuron, noise scale 0.1`."""
    return ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in settings.items()) or "–"


def markdown(profile: Profile, table: pd.DataFrame, methods: pd.DataFrame, facts: dict[str, Facts]) -> str:
    """The table of attempts, with what all of them share and what its words mean; methods: the ablation's table."""
    seeds, names = profile.seed_list(), [environment.name for environment in environments_of(profile)]
    shown = table.rename(columns={"iqm": "interquartile mean", "cosine": "update cosine"})
    return "\n".join([
        f"{len(table)} attempts, each on {', '.join(names)} with seeds {seeds[0]} to {seeds[-1]}. All with "
        f"{in_words(common(facts))}.\n",
        documents.markdown(shown), explanation(profile, methods),
        "*Changes*: against the rule's defaults. *Best*, *worst*: single runs.\n",
    ])  # fmt: skip


def _extreme(row: pd.Series, names: list[str], which: str) -> str:
    scores = {name: row[f"{name}/{which}"] for name in names if pd.notna(row[f"{name}/{which}"])}
    if not scores:
        return number(float("nan"))
    name = (max if which == "best" else min)(scores, key=scores.get)
    return f"{number(scores[name])} {name}"


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "-".join(_value(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
