"""The results table: what every method scores on every environment, raw and normalised, and the aggregates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from subcritic.config import Profile
from subcritic.reporting import documents, records, style
from subcritic.reporting.methods import Facts, convolutions, describe
from subcritic.reporting.pages import bullets, image
from subcritic.reporting.verdicts import reference_of, tasks, verdicts
from subcritic.studies import experiment2
from subcritic.studies.table import aggregates as over_tasks
from subcritic.studies.table import beside, lillicrap, published, results
from subcritic.studies.table.drawing import aggregates_figure, scores_figure

# Thresholds of the performance profile.
THRESHOLDS = np.linspace(-0.25, 1.25, 61)


def make(profile: Profile, root: Path) -> list[Path]:
    """Write table/table{.csv,.md,.tex,_verdicts.csv,_tasks.csv}, table/aggregates.csv; figures table.* and aggregates.*."""
    scores = records.read(experiment2.STUDY, "scores", profile, root)
    anchors = records.anchors(profile, root)
    facts = records.read_json(experiment2.STUDY, "method", profile, root)
    table = results.results(profile, scores, anchors)
    judged = verdicts(profile, scores, anchors, facts)
    found = tasks(judged, facts, records.actions(experiment2.STUDY, profile, root))
    needing = list(found.loc[found["tells_apart"], "environment"])
    aggregates = over_tasks.aggregate(profile, scores, anchors, reference_of(facts), needing)
    shares = over_tasks.profiles(profile, scores, anchors, THRESHOLDS)
    folder, figures = root / "table", root / "figures"
    return [
        documents.write(folder / "table.csv", table),
        documents.write(folder / "table_verdicts.csv", judged),
        documents.write(folder / "table_tasks.csv", found),
        documents.write(folder / "table.md", markdown(profile, table, aggregates, judged, found, facts)),
        documents.write(folder / "table.tex", latex(profile, table)),
        documents.write(folder / "aggregates.csv", aggregates),
        *style.save(scores_figure(profile, table, judged, found), figures, "table"),
        *style.save(aggregates_figure(profile, aggregates, shares), figures, "aggregates"),
    ]


def markdown(
    profile: Profile,
    table: pd.DataFrame,
    aggregates: pd.DataFrame,
    judged: pd.DataFrame,
    found: pd.DataFrame,
    facts: dict[str, Facts],
) -> str:
    """The methods, the results, the anchors, the aggregates, and Lillicrap's Table 1 as a labelled reference."""
    names = [environment.name for environment in profile.environments]
    reference = results.reference_in(judged)
    side_by_side = [
        "## Side by side\n", documents.markdown(results.wide(table, judged, found)),
        results.wide_explanation(profile, reference, found),
        bullets(results.compared(judged, found, reference, profile.statistics.confidence)),
    ] if reference else []  # fmt: skip
    others, over = published.markdown(table), over_tasks.readable_aggregates(aggregates)
    aggregated = [
        "## Aggregates over environments\n", documents.markdown(over), over_tasks.explanation(profile),
    ] if len(over) else []  # fmt: skip
    return "\n".join([
        f"# Results of the profile {profile.profile}\n",
        "## Methods\n", documents.markdown(methods(facts)), *side_by_side,
        "## Every method on every environment\n", documents.markdown(results.readable(table)),
        results.explanation(profile),
        "## Anchors\n", documents.markdown(results.readable_anchors(table)),
        *aggregated,
        *((f"## {published.TITLE}\n", others) if others else ()), lillicrap.markdown(names),
    ])  # fmt: skip


def methods(facts: dict[str, Facts]) -> pd.DataFrame:
    """Every method in a reader's words; how convolutions learn, if there are any, is said with what crosses layers."""
    rows = []
    for name, method in facts.items():
        words = describe(method)
        if learned := convolutions(method):
            words["crosses layers"] += f"; {learned}"
        rows.append({"method": name, **words})
    return pd.DataFrame(rows)


def latex(profile: Profile, table: pd.DataFrame) -> str:
    """The results and Lillicrap's Table 1 as two booktabs tables."""
    names = [environment.name for environment in profile.environments]
    explanation = results.explanation(profile).replace("`", "")
    results_table = documents.latex(results.readable(table), explanation, "tab:results")
    return results_table + "\n" + lillicrap.latex(names)


def section(folder: Path, link: str) -> list[str]:
    """What the results page says, from the published files of `folder`; link: the folder, seen from the page."""
    table, judged, found, aggregates = (
        pd.read_csv(folder / f"{name}.csv")
        for name in ("table", "table_verdicts", "table_tasks", "aggregates")
    )
    # Tables that were published before failures were counted have none.
    table["failed"] = table.get("failed", 0)
    reference = results.reference_in(judged)
    many = len(found) > results.MANY
    # What was published before it was noted has this one.
    confidence = json.loads((folder / "facts.json").read_text()).get("confidence", 0.95)
    compared = results.compared(judged, found, reference, confidence) if reference else []
    over = over_tasks.readable_aggregates(aggregates)
    return [
        bullets([*results.reached(table), *compared]),
        documents.markdown(results.wide(table, judged, found) if many else results.readable(table)),
        *([documents.markdown(over)] if len(over) else []),
        *filter(None, [beside.markdown(folder), published.markdown(table)]),
        f"{_more(folder)}: [table.md]({link}/table.md).\n",
        image(folder, link, "table"),
        image(folder, link, "aggregates"),
    ]


def _more(folder: Path) -> str:
    """What table.md has beyond the section."""
    theirs = lillicrap.TITLE in (folder / "table.md").read_text()
    return (
        "All columns, the anchors, and Table 1 of Lillicrap et al. 2016 beside them"
        if theirs
        else "All columns and the anchors"
    )


def headline(root: Path) -> str:
    """What the summary says."""
    table = pd.read_csv(root / "table" / "table.csv", dtype={"note": str})
    table["note"] = table["note"].fillna("")
    return documents.markdown(results.readable(table))


def metrics(tables: Path) -> dict[str, float]:
    """Normalised average per method and environment, where there is one, and the aggregates of every method, for MLflow."""
    rows = pd.read_csv(tables / "table.csv").dropna(subset="normalised_average")
    over = pd.read_csv(tables / "aggregates.csv").dropna(subset="value")
    return {f"score/{row.method}/{row.environment}": row.normalised_average for row in rows.itertuples()} | {
        f"{row.statistic}/{row.method}": row.value for row in over.itertuples()
    }
