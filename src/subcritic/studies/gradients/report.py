"""Do the local gradients agree with the true one? The readings beside their controls, and the EMPIRICALVALUE."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from subcritic.config import Profile
from subcritic.reporting import documents, records, style
from subcritic.reporting.estimates import Estimate, described, number, over_seeds
from subcritic.reporting.pages import image
from subcritic.studies import experiment1
from subcritic.studies.gradients import STUDY, readings
from subcritic.studies.gradients.empirical import (
    PARTS,
    EmpiricalValue,
    empirical_value,
    last_snapshot,
    parts_of,
    pooled,
    value_similarity,
)

KEYS = ["environment", "reading", "critic", "granularity", "part", "measure"]
ROWS = {
    "values": "Q-values, drafts, on held-out states",
    "drafts": "gradients, drafts",
    "neuron_noise": "+ neuron noise",
    "compatible": "+ compatible features",
    "global_baseline": "+ global baseline",
    "regression": "regression on the truth",
    "oracle": "oracle",
    "permuted": "permuted neurons",
    "untrained": "untrained",
    "random_direction": "random direction",
}
READINGS = list(ROWS)[1:]
DRAFTS = list(ROWS).index("drafts")
READINGS_NOTE = """Cosine with the true gradient per neuron, layer and whole actor: median over neurons or layers, mean
over seeds and environments. Correlation of Q-values with Q^μ, and of ∂Q^n/∂α with ∂Q^μ/∂h, across replayed states; elsewhere
that of Q-values is across held-out states, of random actions, at the end of training. Each `+` keeps
what the rows above have. The drafts' number is bold, `permuted neurons` is the null, a random direction is expected at
0 ± 1/√dim. What the rows mean: docs/agreement.md.
"""
TITLES = {"neuron": "Per neuron", "layer": "Per layer", "actor": "Whole actor"}
SHOWN = (
    "equality",
    "proportionality",
    "pearson",
    "cosine",
    "scalar_pearson",
    "scalar_sign",
    "value_pearson",
    "chance_spread",
    "finite_difference_error",
)


def make(profile: Profile, root: Path) -> list[Path]:
    """Write table/agreement.{csv,md}, table/agreement_readings.csv, table/empirical_value.json, and the figures agreement
    and agreement_training (png, svg, pdf)."""
    everything = records.read(STUDY, "agreement", profile, root)
    frame, short = last_snapshot(everything), readings.table(profile, everything)
    curves = records.read(experiment1.STUDY, "curves", profile, root)
    table, result = summary(profile, frame), empirical_value(profile, frame, curves)
    folder = root / "table"
    return [
        documents.write(folder / "agreement.csv", table),
        documents.write(folder / "agreement_readings.csv", short),
        documents.write(folder / "agreement.md", markdown(profile, table, short, result)),
        documents.write(folder / "empirical_value.json", result.as_data(profile)),
        *style.save(figure(profile, frame, curves), root / "figures", "agreement"),
        *style.save(readings.training_figure(profile, everything), root / "figures", "agreement_training"),
    ]


def summary(profile: Profile, frame: pd.DataFrame) -> pd.DataFrame:
    """Every measure at the last snapshot, one row per environment, reading, critic, granularity, part and measure.

    `median`, `quartile_1` and `quartile_3` are over the neurons (or layers) of a seed, then averaged over seeds;
    `low` and `high` bound the median's mean over seeds. `undefined` counts values that are NaN, such as a
    correlation of a permutation in a layer of one neuron; `seeds` those with any defined value.
    """
    split = pd.concat([frame.assign(part=part)[parts_of(frame, part)] for part in PARTS])
    split = split[(split["granularity"] != "actor") | (split["part"] == "all")]
    values = split.groupby([*KEYS, "seed"], sort=False, dropna=False)["value"]
    seeds = pd.DataFrame({
        "median": values.median(), "quartile_1": values.quantile(0.25), "quartile_3": values.quantile(0.75),
        "values": values.size(), "defined": values.count(),
    }).reset_index()  # fmt: skip
    rows = []
    for keys, group in seeds.groupby(KEYS, sort=False):
        known = group[group["defined"] > 0]
        estimate = over_seeds(known["median"], profile) if len(known) else Estimate(*[np.nan] * 3)
        quartiles = known[["quartile_1", "quartile_3"]].mean()
        undefined = int((group["values"] - group["defined"]).sum())
        rows.append([*keys, *estimate, *quartiles, int(group["values"].max()), undefined, len(known)])
    columns = [*KEYS, "median", "low", "high", "quartile_1", "quartile_3", "values", "undefined", "seeds"]
    return pd.DataFrame(rows, columns=columns)


def markdown(profile: Profile, table: pd.DataFrame, short: pd.DataFrame, result: EmpiricalValue) -> str:
    """The sentence, the short table, then every reading beside its controls; scales and quartiles are in the CSV."""
    blocks = [
        "# Agreement of local gradients with the true one\n",
        result.sentence(profile) + "\n",
        documents.markdown(readings.readable(short)),
        READINGS_NOTE,
    ]
    for (granularity, part), group in table.groupby(["granularity", "part"], sort=False):
        blocks.append(
            f"## {TITLES[granularity]}" + ("\n" if granularity == "actor" else f", {part} layers\n")
        )
        blocks.append(documents.markdown(_side_by_side(group)))
    blocks.append(
        "At the last snapshot: median over neurons (or layers), mean over seeds "
        f"[{described(profile)}]; quartiles over neurons (or "
        "layers), mean over seeds. `equality` and `proportionality` are relative residuals, 0 at best; the others are "
        "1 at best. n/a: undefined, as for a permutation of one neuron.\n"
    )
    return "\n".join(blocks)


@style.styled
def figure(profile: Profile, frame: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """Q-value similarity beside gradient correlation, hidden and output neurons apart, all environments and each."""
    names = [environment.name for environment in profile.environments]
    groups = [(name, [name]) for name in names]
    if len(names) > 1:
        groups.insert(0, (f"all {len(names)} environments", names))
    fig, panels = style.grid(2 * len(groups), columns=2, width=4.8, height=2.7)
    panels_of = [(title, members, part) for title, members in groups for part in ("hidden", "output")]
    for axes, (title, members, part) in zip(panels, panels_of, strict=True):
        here = frame[frame["environment"].isin(members)]
        null = pooled(profile, neuron_correlations(here, "permuted", part))
        axes.axvspan(null.low, null.high, color="#e8e8e8", zorder=0)
        values = value_similarity(curves[curves["environment"].isin(members)], here, part)
        _draw_row(axes, 0, values, style.INK, profile)
        for row, reading in enumerate(READINGS, start=1):
            _draw_row(axes, row, neuron_correlations(here, reading, part), style.READINGS[reading], profile)
        axes.set(title=f"{title}, {part} layer{'s' if part == 'hidden' else ''}", xlim=(-1.1, 1.1))
        axes.set_xticks([-1, -0.5, 0, 0.5, 1])
        axes.set_yticks(range(len(ROWS)), ROWS.values() if part == "hidden" else [""] * len(ROWS))
        axes.get_yticklabels()[DRAFTS].set_fontweight("bold")
        axes.set_ylim(len(ROWS) - 0.4, -0.6)
        axes.axvline(0, color=style.INK, linewidth=0.6)
        axes.grid(axis="x")
    for axes in panels[-2:]:
        axes.set_xlabel("Pearson correlation with the true one")
    style.note(fig, _note(profile))
    return fig


def neuron_correlations(frame: pd.DataFrame, reading: str, part: str) -> pd.DataFrame:
    """Rows of `frame` with one Pearson correlation per neuron of a reading's per-neuron critics."""
    chosen = (
        (frame["reading"] == reading) & (frame["granularity"] == "neuron") & (frame["measure"] == "pearson")
    )
    return frame[chosen & frame["critic"].isin(readings.CRITICS) & readings.parts_of_all(frame, frame, part)]


def _note(profile: Profile) -> str:
    marks = (
        "dots: neurons of all seeds (Q-values: layers)   ·   diamond: median over neurons, mean over seeds"
    )
    return f"{marks}\nbar: {described(profile)}   ·   grey: that of permuted neurons, the null"


def _draw_row(axes: Axes, row: int, values: pd.DataFrame, colour: str, profile: Profile) -> None:
    known = values.dropna(subset="value")
    if known.empty:
        axes.text(1.13, row, "undefined", va="center", fontsize=8, color=colour)
        return
    jitter = np.random.default_rng(0).uniform(-0.22, 0.22, len(known))
    axes.plot(known["value"], row + jitter, ".", color=colour, alpha=0.45, markersize=4, markeredgewidth=0)
    estimate = pooled(profile, known)
    style.draw_estimate(axes, estimate, row, colour)
    weight = "bold" if row == DRAFTS else "normal"
    axes.text(1.13, row, str(estimate), va="center", fontsize=8, fontweight=weight)


def _side_by_side(group: pd.DataFrame) -> pd.DataFrame:
    """One row per environment, reading and critic; a column per measure, and the quartiles of Pearson."""
    keys = ["environment", "reading", "critic"]
    estimates = zip(group["median"], group["low"], group["high"], strict=True)
    cells = group.assign(cell=[str(Estimate(*estimate)) for estimate in estimates])
    wide = cells.pivot_table(index=keys, columns="measure", values="cell", aggfunc="first", sort=False)
    wide = wide[[measure for measure in SHOWN if measure in wide]]
    pearson = group[group["measure"] == "pearson"].set_index(keys)
    quartiles = [
        f"{number(a)} to {number(b)}" for a, b in zip(pearson.quartile_1, pearson.quartile_3, strict=True)
    ]
    wide.insert(3, "pearson, quartiles", pd.Series(quartiles, index=pearson.index))
    return wide.fillna("").reset_index()


def section(folder: Path, link: str) -> list[str]:
    """What the results page says, from the published files of `folder`; link: the folder, seen from the page."""
    value = json.loads((folder / "empirical_value.json").read_text())
    short = pd.read_csv(folder / "agreement_readings.csv", dtype={"expected": str})
    return [
        value["sentence"] + "\n",
        image(folder, link, "agreement"),
        documents.markdown(_correlations(value)),
        "Median over neurons (values: over layers), mean over seeds and environments, with intervals over seeds. Every "
        f"measure, per environment, neuron, layer and whole actor: [agreement.md]({link}/agreement.md).\n",
        "#### Under better conditions\n",
        documents.markdown(readings.readable(short)),
        READINGS_NOTE,
        image(folder, link, "agreement_training"),
    ]


def headline(root: Path) -> str:
    """What the summary says."""
    return json.loads((root / "table" / "empirical_value.json").read_text())["sentence"] + "\n"


def metrics(tables: Path) -> dict[str, float]:
    """EMPIRICALVALUE with its interval, and the controls, for MLflow."""
    found = json.loads((tables / "empirical_value.json").read_text())
    values = {f"empirical_value/{name}": found[name] for name in ("value", "low", "high")}
    values |= {f"empirical_value/{name}": parts["all"]["value"] for name, parts in found["controls"].items()}
    return {name: value for name, value in values.items() if value is not None}


def _correlations(value: dict[str, Any]) -> pd.DataFrame:
    """Pearson correlations with Q^mu: values and gradients side by side, a column per part of the network."""
    more = value.get("better", {}) | value["controls"]
    parts_of = {"values": value["q_value_similarity"], "drafts": value["parts"], **more}
    columns = {"all": "all layers", "hidden": "hidden layers", "output": "output layer"}
    return pd.DataFrame([
        {"correlation with the true": label}
        | {title: _estimate(parts_of[name][part]) for part, title in columns.items()}
        for name, label in ROWS.items()
        if name in parts_of
    ])  # fmt: skip


def _estimate(data: dict[str, float | None]) -> str:
    return str(Estimate(*[float("nan") if data[key] is None else data[key] for key in Estimate._fields]))
