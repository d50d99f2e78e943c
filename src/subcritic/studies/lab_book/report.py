"""The lab book: every attempt at a local rule that works, failures included, and what each gave."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pandas as pd

from subcritic import config
from subcritic.config import DDPGSettings, Method, Profile
from subcritic.reporting import documents, records
from subcritic.reporting.estimates import Estimate, number
from subcritic.studies.ablation.answer import MATCHED, ddpg_of, floor_of, verdict
from subcritic.studies.ablation.report import explanation

PAGE = "local-rules.md"
BEGIN, END = "<!-- attempts: made by `subcritic publish`, do not edit -->", "<!-- end of attempts -->"
# Settings that are no part of what an attempt tries.
ASIDE = ("name", "algorithm", "preset", "probe")


def make(profile: Profile, root: Path) -> list[Path]:
    """Write table/lab_book.{csv,md}. Needs what the report ablation made."""
    path = root / "table" / "ablation.csv"
    if not path.is_file():
        raise records.MissingResult(
            f"{path} is missing: the report 'ablation' makes it; run that report first"
        )
    table = attempts(profile, pd.read_csv(path))
    return [
        documents.write(root / "table" / "lab_book.csv", table),
        documents.write(root / "table" / "lab_book.md", markdown(profile, table)),
    ]


def attempts(profile: Profile, table: pd.DataFrame) -> pd.DataFrame:
    """One row per attempt, in the order of the config, from the ablation's table.

    Columns: attempt, changes, crosses layers, global critic, a cell per environment, iqm, best and worst (single runs),
    cosine, diverged, verdict.
    """
    names = [environment.name for environment in profile.ablated_environments()]
    floor, ddpg = floor_of(table), ddpg_of(table).value
    by_name = table.set_index("method")
    rows = []
    for method in profile.ablation.methods:
        row = by_name.loc[method.name]
        scores = {name: str(Estimate(row[name], row[f"{name}/low"], row[f"{name}/high"])) for name in names}
        rows.append({
            "attempt": method.name, "changes": in_words(changes(method, profile.ablation.methods)),
            "crosses layers": row["crosses layers"], "global critic": row["global critic"], **scores,
            "iqm": str(Estimate(row["iqm"], row["low"], row["high"])),
            "best": _extreme(row, names, "best"), "worst": _extreme(row, names, "worst"),
            "cosine": number(row["cosine"]), "diverged": f"{row['diverged']} of {row['runs']}",
            "verdict": "reference" if row["algorithm"] in ("ddpg", "random_direction") else verdict(row, floor, ddpg),
        })  # fmt: skip
    return pd.DataFrame(rows)


def changes(method: Method, methods: tuple[Method, ...]) -> dict[str, Any]:
    """The settings in which a method differs from the defaults of its algorithm, those shared by all methods left out."""
    given = config.dump(method)
    kind = {"algorithm": method.algorithm} | (
        {"preset": method.preset} if isinstance(method, DDPGSettings) else {}
    )
    defaults = config.dump(type(method)(**kind))
    shared = common(methods)
    return {
        name: value
        for name, value in given.items()
        if name not in ASIDE and name not in shared and value != defaults[name]
    }


def common(methods: tuple[Method, ...]) -> dict[str, Any]:
    """The settings that are the same in all methods."""
    dumps = [config.dump(method) for method in methods]
    return {
        name: value
        for name, value in dumps[0].items()
        if name not in ASIDE and all(name in dump and dump[name] == value for dump in dumps)
    }


def in_words(settings: dict[str, Any]) -> str:
    """`exploration neuron, noise scale 0.1`."""
    return ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in settings.items()) or "–"


def markdown(profile: Profile, table: pd.DataFrame) -> str:
    """The table of attempts, with what all of them share and what its words mean."""
    seeds, names = profile.seed_list(), [environment.name for environment in profile.ablated_environments()]
    shown = table.rename(columns={"iqm": "interquartile mean", "cosine": "update cosine"})
    return "\n".join([
        f"{len(table)} attempts, each on {', '.join(names)} with seeds {seeds[0]} to {seeds[-1]}. All with "
        f"{in_words(common(profile.ablation.methods))}.\n",
        documents.markdown(shown), explanation(profile, names),
        f"*Changes*: against the rule's defaults. *Best*, *worst*: single runs. *Verdict*: `works`, at least "
        f"{100 * MATCHED:.0f} % of DDPG's interquartile mean and above the random direction; `improves`, above the random "
        "direction; `unclear`, its score is above, not its interval; `fails`, not above; `diverges`, over half of the runs "
        "stopped.\n",
    ])  # fmt: skip


def section(folder: Path, link: str) -> str:
    """The generated part of the page: the published table, and the figures."""
    table = (folder / "lab_book.md").read_text()
    figures = "".join(f"![{name}]({link}/{name}.png)\n\n" for name in ("ablation", "diagnostics"))
    return f"{BEGIN}\n\n{table}\n{figures}{END}"


def insert(folder: Path, docs: Path) -> Path:
    """Put the published attempts of `folder` between the markers of docs/local-rules.md; returns the page.

    Raises:
        MissingResult: the page, or one of its markers, is not there.
    """
    path = docs / PAGE
    text = path.read_text() if path.is_file() else ""
    if BEGIN not in text or END not in text:
        raise records.MissingResult(f"{path}: must hold the lines {BEGIN!r} and {END!r}")
    made = section(folder, os.path.relpath(folder, docs))
    pattern = f"{re.escape(BEGIN)}.*{re.escape(END)}"
    return documents.write(path, re.sub(pattern, lambda _: made, text, flags=re.DOTALL))


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
