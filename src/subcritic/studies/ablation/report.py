"""The ablation: what does a local rule need, so that the whole policy gets good?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from subcritic.config import Profile
from subcritic.reporting import documents, records, style
from subcritic.reporting.comparison import failed
from subcritic.reporting.estimates import Estimate, number, over_environments, over_seeds
from subcritic.reporting.methods import CROSSES, Facts, describe
from subcritic.reporting.normalise import normalise
from subcritic.reporting.pages import image
from subcritic.reporting.verdicts import BACKPROPAGATION, LOCAL, VERDICTS, tasks, verdicts
from subcritic.stats import interquartile_mean
from subcritic.studies.ablation import STUDY, diagnostics, drawing
from subcritic.studies.ablation.answer import (
    KINDS,
    answer,
    counted,
    estimates,
    explanation,
    first,
    task_cells,
)
from subcritic.studies.ablation.settings import environments_of


def make(profile: Profile, root: Path) -> list[Path]:
    """Write table/ablation{.csv,.md,_verdicts.csv,_answer.json}, figures/ablation.* and figures/diagnostics.*."""
    scores, curves = (records.read(STUDY, name, profile, root) for name in ("scores", "curves"))
    anchors = records.anchors(profile, root, environments_of(profile))
    facts = records.read_json(STUDY, "method", profile, root)
    judged = verdicts(profile, scores, anchors, facts)
    found = compared(tasks(judged, facts, records.actions(STUDY, profile, root)), scores)
    table = summary(profile, scores, curves, anchors, facts, judged, found)
    said = answer(table, found, profile.seeds)
    folder = root / "table"
    return [
        documents.write(folder / "ablation.csv", table),
        documents.write(folder / "ablation_verdicts.csv", judged),
        documents.write(folder / "ablation.md", markdown(profile, table, found, said["sentence"])),
        documents.write(folder / "ablation_answer.json", said),
        *style.save(drawing.figure(profile, table, found), root / "figures", "ablation"),
        *style.save(diagnostics.figure(profile, curves, shown(table)), root / "figures", "diagnostics"),
    ]


def compared(found: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Tasks as `tasks` makes them, with the column `failed`: whether the environment failed in a run of some method. Then
    methods cannot be compared there, and the task tells no rules apart.
    """
    failed = found["environment"].isin(scores.loc[scores["score"].isna(), "environment"])
    return found.assign(failed=failed, tells_apart=found["tells_apart"] & ~failed)


def summary(
    profile: Profile,
    scores: pd.DataFrame,
    curves: pd.DataFrame,
    anchors: pd.DataFrame,
    facts: dict[str, Facts],
    judged: pd.DataFrame,
    found: pd.DataFrame,
) -> pd.DataFrame:
    """One row per method, the best interquartile mean first.

    Columns: method, order (in the config), role, algorithm, control (what it is compared with), those of
    `methods.describe`; per task <task>, <task>/low, <task>/high, <task>/best, <task>/worst, <task>/return, <task>/verdict,
    as in `verdicts`; iqm, low, high over seeds and the tasks that tell rules apart (NaN without any);
    one_action and many_actions with _low and _high: the same over those with one and with several actions; for each
    verdict, on how many of these tasks; seeds; runs (with a score), failed (without one), diverged; cosine: mean of
    `cosine/actor` over recorded steps, seeds, tasks.
    judged: as `verdicts` makes it, found: as `compared` does.
    """
    telling = found[found["tells_apart"]]
    kinds = {"one_action": telling["actions"] == 1, "many_actions": telling["actions"] > 1}
    cosine = curves[curves["metric"] == "cosine/actor"].groupby("method")["value"].mean()
    rows = []
    for order, (name, method) in enumerate(facts.items()):
        own, runs = judged[judged["method"] == name], scores[scores["method"] == name]
        row: dict[str, Any] = {"method": name, "order": order, "role": method["role"]}
        row |= {
            "algorithm": method["settings"]["algorithm"],
            "control": own["control"].iloc[0],
            **describe(method),
        }
        for task in own.to_dict("records"):
            ends = {
                f"{task['environment']}/{end}": task[end]
                for end in ("low", "high", "best", "worst", "return", "verdict")
            }
            row |= {task["environment"]: task["score"], **ends}
        over = aggregate(profile, telling["environment"], runs, anchors)
        row |= {"iqm": over.value, "low": over.low, "high": over.high}
        for kind, chosen in kinds.items():
            over = aggregate(profile, telling.loc[chosen, "environment"], runs, anchors)
            row |= {kind: over.value, f"{kind}_low": over.low, f"{kind}_high": over.high}
        counts = own.loc[own["environment"].isin(telling["environment"]), "verdict"].value_counts()
        row |= {verdict: int(counts.get(verdict, 0)) for verdict in VERDICTS}
        ended = int(runs["score"].notna().sum())
        row |= {"seeds": profile.seeds, "runs": ended, "failed": len(runs) - ended}
        rows.append(row | {"diverged": int(own["diverged"].sum()), "cosine": cosine.get(name, np.nan)})
    return pd.DataFrame(rows).sort_values("iqm", ascending=False, kind="stable", ignore_index=True)


def aggregate(
    profile: Profile, environments: pd.Series, runs: pd.DataFrame, anchors: pd.DataFrame
) -> Estimate:
    """Interquartile mean of one method's normalised scores over seeds and `environments`; of a single one the mean, since
    the interquartile mean of few runs is biased (docs/reading.md). NaN without any. Every run has a score.
    """
    columns = []
    for environment in environments:
        raw = runs[runs["environment"] == environment].sort_values("seed")["score"].to_numpy(dtype=float)
        columns.append(normalise(raw, anchors.loc[environment]))
    if not columns:
        return Estimate(*[float("nan")] * 3)
    if len(columns) == 1:
        return over_seeds(columns[0], profile, added=0.0)
    return over_environments(profile, interquartile_mean, np.stack(columns, axis=1), added=0.0)


def shown(table: pd.DataFrame) -> list[str]:
    """The methods whose diagnostics are drawn: the first with backpropagation, the drafts' linear rule, and the best of the
    other local rules by what crosses layers, least first.
    """
    local = table["role"] == LOCAL
    drafts = local & (table["algorithm"] == "linear")
    others = table[local & ~drafts].groupby("crosses layers", sort=False).head(1)
    best = others.sort_values("crosses layers", key=lambda column: column.map(CROSSES.index))
    chosen = (first(table, BACKPROPAGATION), table[drafts].head(1), best)
    return [name for rows in chosen for name in rows["method"]]


def readable(table: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """The table as readers see it: strings, a score with its interval and its verdict in one cell."""
    words = ["method", "crosses layers", "rule", "activation", "noise", "target", "global critic"]
    printed = table[words].copy()
    printed["interquartile mean"] = estimates(table, "iqm", "low", "high")
    if all(table[kind].notna().any() for kind in KINDS):
        for kind, said in KINDS.items():
            printed[f"on tasks with {said}"] = estimates(table, kind, f"{kind}_low", f"{kind}_high")
    for name, telling in zip(found["environment"], found["tells_apart"], strict=True):
        printed[name if telling else f"{name} (tells no rules apart)"] = task_cells(table, name, telling)
    printed["verdicts"] = [counted(row) for row in table.to_dict("records")]
    printed["diverged"] = [f"{row.diverged} of {row.runs}{failed(row.failed)}" for row in table.itertuples()]
    printed["update cosine"] = [number(value) for value in table["cosine"]]
    return printed


def markdown(profile: Profile, table: pd.DataFrame, found: pd.DataFrame, sentence: str) -> str:
    """The answer, then the table."""
    return "\n".join([
        "# What a local rule needs\n", sentence + "\n", documents.markdown(readable(table, found)),
        explanation(profile, table),
    ])  # fmt: skip


def section(folder: Path, link: str) -> list[str]:
    """What the results page says, from the published files of `folder`; link: the folder, seen from the page."""
    found = json.loads((folder / "ablation_answer.json").read_text())
    return [
        found["sentence"] + "\n",
        image(folder, link, "ablation"),
        f"The table: [ablation.md]({link}/ablation.md). Why rules fail or work:\n",
        image(folder, link, "diagnostics"),
    ]


def metrics(tables: Path) -> dict[str, float]:
    """Interquartile mean of every method, for MLflow."""
    rows = pd.read_csv(tables / "ablation.csv").dropna(subset="iqm")
    return {f"interquartile_mean/{row.method}": row.iqm for row in rows.itertuples()}
