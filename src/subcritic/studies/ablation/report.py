"""The ablation: what does a local rule need, so that the whole policy gets good?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from subcritic.config import AgentSettings, Environment, Profile
from subcritic.reporting import documents, records, style
from subcritic.reporting.estimates import (
    FAILED_ADDED,
    Estimate,
    described,
    number,
    over_environments,
    over_seeds,
)
from subcritic.reporting.normalise import normalise, why_raw_only
from subcritic.reporting.pages import image
from subcritic.stats import interquartile_mean
from subcritic.studies.ablation import STUDY, diagnostics
from subcritic.studies.ablation.answer import BACKPROPAGATION, CONTROL, LOCAL, answer, explanation, first
from subcritic.studies.ablation.methods import CROSSES, Facts, describe
from subcritic.studies.ablation.settings import Ablation, environments_of

# DDPG has learned an environment when its mean normalised score is at least this.
LEARNED = 0.5
SHAPES = {"dot": "o", "square": "s", "triangle": "v", "tip": "^", "star": "*", "cross": "x"}
COLOURS = dict(zip(CROSSES, (style.ORANGE, style.GREEN, style.PINK, style.BLUE), strict=True))


def make(profile: Profile, root: Path) -> list[Path]:
    """Write table/ablation.{csv,md}, table/ablation_answer.json, figures/ablation.* and figures/diagnostics.*."""
    scores, curves = (records.read(STUDY, name, profile, root) for name in ("scores", "curves"))
    anchors = records.anchors(profile, root, environments_of(profile))
    table = summary(profile, scores, curves, anchors, records.read_json(STUDY, "method", profile, root))
    found = answer(table, learned(profile, scores, anchors))
    folder = root / "table"
    return [
        documents.write(folder / "ablation.csv", table),
        documents.write(folder / "ablation.md", markdown(profile, table, found["sentence"])),
        documents.write(folder / "ablation_answer.json", found),
        *style.save(figure(profile, table), root / "figures", "ablation"),
        *style.save(diagnostics.figure(profile, curves, shown(table)), root / "figures", "diagnostics"),
    ]


def summary(
    profile: Profile,
    scores: pd.DataFrame,
    curves: pd.DataFrame,
    anchors: pd.DataFrame,
    methods: dict[str, Facts],
) -> pd.DataFrame:
    """One row per method, the best interquartile mean first.

    Columns: method, order (in the config), role, algorithm, rule, exploration, target, global critic, crosses layers; per
    environment its normalised mean `<environment>` with `<environment>/low`, `<environment>/high`, `<environment>/best`
    and `<environment>/worst` (seeds), and the raw mean `<environment>/return`; iqm, low, high over seeds and the
    environments that DDPG learns (all that are normalised, if it learns none); seeds, diverged (runs); cosine: mean of
    `cosine/actor` over recorded steps, seeds, environments.
    """
    compared = learned(profile, scores, anchors) or _normalised_names(profile, anchors)
    cosine = curves[curves["metric"] == "cosine/actor"].groupby("method")["value"].mean()
    rows = []
    for order, method in enumerate(profile.section(Ablation).methods):
        runs, facts = scores[scores["method"] == method.name], methods[method.name]
        row = {"method": method.name, "order": order, "role": facts["role"]}
        row |= {"algorithm": facts["settings"]["algorithm"]}
        row |= describe(facts)
        for environment in environments_of(profile):
            row |= _on_environment(profile, environment, runs, anchors)
        iqm = _interquartile_mean(profile, compared, runs, anchors)
        row |= {"iqm": iqm.value, "low": iqm.low, "high": iqm.high, "seeds": profile.seeds, "runs": len(runs)}
        row |= {"diverged": int(runs["diverged_at"].notna().sum()), "cosine": cosine.get(method.name, np.nan)}
        rows.append(row)
    return pd.DataFrame(rows).sort_values("iqm", ascending=False, kind="stable", ignore_index=True)


def learned(profile: Profile, scores: pd.DataFrame, anchors: pd.DataFrame) -> list[str]:
    """The environments on which the first method with backpropagation has a mean normalised score of at least LEARNED."""
    runs = scores[scores["role"] == BACKPROPAGATION]
    runs = runs[runs["method"] == first_of(runs["method"], profile.section(Ablation).methods)]
    means = {name: _scores(runs, name, anchors).mean() for name in _normalised_names(profile, anchors)}
    return [name for name, mean in means.items() if mean >= LEARNED]


def shown(table: pd.DataFrame) -> list[str]:
    """The methods whose diagnostics are drawn: the first with backpropagation, the drafts' linear rule, and the best of the
    other local rules.
    """
    drafts = table["algorithm"] == "linear"
    others = table[(table["role"] == LOCAL) & ~drafts]
    chosen = (first(table, BACKPROPAGATION), table[drafts].head(1), others.head(1))
    return [name for rows in chosen for name in rows["method"]]


def first_of(names: pd.Series, methods: Sequence[AgentSettings]) -> str | None:
    """The first of the methods, in the order of the config, whose name is among `names`."""
    known = set(names)
    return next((method.name for method in methods if method.name in known), None)


def readable(table: pd.DataFrame, environments: list[str]) -> pd.DataFrame:
    """The table as readers see it: strings, an interval in one cell."""
    words = ["method", "rule", "exploration", "target", "global critic", "crosses layers"]
    printed = table[words].copy()
    for name in environments:
        cells = zip(table[name], table[f"{name}/low"], table[f"{name}/high"], strict=True)
        printed[name] = [str(Estimate(*cell)) for cell in cells]
    estimates = zip(table["iqm"], table["low"], table["high"], strict=True)
    printed["interquartile mean"] = [str(Estimate(*cell)) for cell in estimates]
    printed["diverged"] = [f"{row.diverged} of {row.runs}" for row in table.itertuples()]
    printed["update cosine"] = [number(value) for value in table["cosine"]]
    return printed


def markdown(profile: Profile, table: pd.DataFrame, sentence: str) -> str:
    """The answer, then the table."""
    environments = [environment.name for environment in environments_of(profile)]
    return "\n".join([
        "# What a local rule needs\n", sentence + "\n", documents.markdown(readable(table, environments)),
        explanation(profile, environments),
    ])  # fmt: skip


@style.styled
def figure(profile: Profile, table: pd.DataFrame) -> Figure:
    """Methods as rows, the best first: left their scores, right in words what they are."""
    fig, (axes, words) = style.grid(2, columns=2, width=7.2, height=0.25 * len(table) + 0.9)
    environments = [environment.name for environment in environments_of(profile)]
    _draw_ends(axes, table)
    for y, row in enumerate(table.to_dict("records")):
        _draw_scores(axes, y, row, environments)
        _write(words, y, row)
    axes.set_yticks(range(len(table)), table["method"])
    for label, crossing in zip(axes.get_yticklabels(), table["crosses layers"], strict=True):
        label.set_color(COLOURS[crossing])
    axes.tick_params(axis="y", length=0)
    low, high = axes.get_xlim()
    axes.set(xlim=(max(min(low, -0.1), -1.5), max(high, 1.1)), ylim=(len(table) - 0.4, -0.6))
    axes.set_xlabel("normalised score: 0 the random policy, 1 the reference")
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x")
    words.set(xlim=(0, 1), ylim=axes.get_ylim())
    words.set_axis_off()
    style.note(fig, _note(profile, environments))
    return fig


# The columns of words: their place across the panel, and how a row's cell is written.
COLUMNS = {
    "rule": (0.0, lambda row: row["rule"]),
    "exploration": (0.27, lambda row: row["exploration"]),
    "target": (0.48, lambda row: row["target"]),
    "crosses layers": (0.655, lambda row: row["crosses layers"]),
    "IQM": (0.82, lambda row: number(row["iqm"])),
    "cosine": (0.88, lambda row: f"{row['cosine']:.2f}"),
    "stopped": (0.95, lambda row: f"{row['diverged']}/{row['runs']}"),
}


def _draw_ends(axes: Axes, table: pd.DataFrame) -> None:
    """Bands of backpropagation and of the control over all rows: the two ends of the scale."""
    for role, colour in ((BACKPROPAGATION, style.BLUE), (CONTROL, style.GREY)):
        for row in first(table, role).itertuples():
            if not np.isnan(row.low):
                axes.axvspan(row.low, row.high, color=colour, alpha=0.12, linewidth=0, zorder=0)
            axes.axvline(row.iqm, color=colour, linewidth=0.8, linestyle="--", zorder=0)


def _draw_scores(axes: Axes, y: int, row: dict, environments: list[str]) -> None:
    colour = COLOURS[row["crosses layers"]]
    for name, marker in zip(environments, SHAPES.values(), strict=False):
        axes.plot(row[name], y, marker, color=colour, alpha=0.55, markersize=5, markeredgewidth=0)
    style.draw_estimate(axes, (row["iqm"], row["low"], row["high"]), y, colour)


def _write(axes: Axes, y: int, row: dict) -> None:
    for name, (place, cell) in COLUMNS.items():
        shade = COLOURS[row["crosses layers"]] if name == "crosses layers" else style.INK
        axes.text(place, y, cell(row), va="center", fontsize=7, color=shade)
        if y == 0:
            axes.text(place, -0.65, name, va="bottom", fontsize=7, weight="bold")


def _note(profile: Profile, environments: list[str]) -> str:
    names = ", ".join(f"{shape} {name}" for shape, name in zip(SHAPES, environments, strict=False))
    return (
        f"diamond: interquartile mean over {profile.seeds} seeds and the environments that DDPG learns   ·   "
        f"bar: {described(profile, FAILED_ADDED)}   ·   means: {names}\n"
        "blue band: DDPG   ·   grey band: random direction   ·   cosine: updates against the true gradient   ·   "
        "stopped: runs that diverged"
    )


def _on_environment(
    profile: Profile, environment: Environment, runs: pd.DataFrame, anchors: pd.DataFrame
) -> dict[str, float]:
    name = environment.name
    values = _scores(runs, name, anchors)
    estimate = over_seeds(values, profile, added=0.0)
    raw = runs[runs["environment"] == name]["score"]
    return {
        name: estimate.value,
        f"{name}/low": estimate.low,
        f"{name}/high": estimate.high,
        f"{name}/best": values.max(),
        f"{name}/worst": values.min(),
        f"{name}/return": raw.mean(),
    }


def _interquartile_mean(
    profile: Profile, names: list[str], runs: pd.DataFrame, anchors: pd.DataFrame
) -> Estimate:
    if not names:
        return Estimate(*[float("nan")] * 3)
    matrix = np.stack([_scores(runs, name, anchors) for name in names], axis=1)
    return over_environments(profile, interquartile_mean, matrix, added=0.0)


def _scores(runs: pd.DataFrame, environment: str, anchors: pd.DataFrame) -> np.ndarray:
    """Normalised scores (seeds,) of one method's runs on one environment."""
    raw = runs[runs["environment"] == environment].sort_values("seed")["score"].to_numpy(dtype=float)
    return normalise(raw, anchors.loc[environment])


def _normalised_names(profile: Profile, anchors: pd.DataFrame) -> list[str]:
    names = [environment.name for environment in environments_of(profile)]
    return [name for name in names if not why_raw_only(anchors.loc[name])]


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
