"""The readings of Q^n in the order of the argument, in one table and along training."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from subcritic.config import Profile
from subcritic.reporting import style
from subcritic.reporting.estimates import Estimate, described, number
from subcritic.stats import t_interval
from subcritic.studies.experiment1.settings import Experiment1
from subcritic.studies.gradients.empirical import last_snapshot, parts_of, pooled

READINGS = {
    "drafts": "the drafts' reading",
    "neuron_noise": "+ noise on every neuron",
    "compatible": "+ compatible features",
    "global_baseline": "+ global baseline",
    "regression": "regression on the true ∂Q/∂h",
    "oracle": "oracle",
    "permuted": "permuted neurons",
    "untrained": "untrained sub-critics",
    "random_direction": "random direction",
}
CRITICS = (
    "neuron",
    "oracle",
    "none",
)  # a critic per neuron: what the table and the figures show of each reading
COLUMNS = {
    "Q-values": ("neuron", "value_pearson", "all"),
    "neurons, hidden": ("neuron", "cosine", "hidden"),
    "neurons, output": ("neuron", "cosine", "output"),
    "layers": ("layer", "cosine", "all"),
    "whole actor": ("actor", "cosine", "all"),
    "∂Q/∂α across states": ("neuron", "scalar_pearson", "all"),
}
EXPECTED = {"oracle": "1", "permuted": "0", "random_direction": "0"}
SHOWN_ALONG = ("regression", "global_baseline", "compatible", "neuron_noise", "drafts", "permuted")


def table(profile: Profile, frame: pd.DataFrame) -> pd.DataFrame:
    """Long form, one row per reading and column of COLUMNS, all environments together: reading, column, value, low, high,
    quartile_1, quartile_3, expected, chance_spread. From every snapshot's rows, of which the last counts.

    value: median over neurons (or layers), mean over seeds and environments. chance_spread: 1/√dim of a random direction.
    """
    last = last_snapshot(frame)
    last = last[last["critic"].isin(CRITICS)]
    rows = []
    for reading in READINGS:
        own = last[last["reading"] == reading]
        for column, (granularity, measure, part) in COLUMNS.items():
            here = own[own["granularity"] == granularity]
            here = here if granularity == "actor" else here[parts_of_all(last, here, part)]
            values = here[here["measure"] == measure]
            spread = (
                here[here["measure"] == "chance_spread"]["value"].median() if measure == "cosine" else np.nan
            )
            known = not values["value"].isna().all()
            expected = EXPECTED.get(reading) if known else None
            quartiles = _quartiles(values) if known else [np.nan, np.nan]
            rows.append([reading, column, *pooled(profile, values), *quartiles, expected, spread])
    names = [
        "reading", "column", "value", "low", "high", "quartile_1", "quartile_3", "expected", "chance_spread",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=names)


def parts_of_all(everything: pd.DataFrame, rows: pd.DataFrame, part: str) -> pd.Series:
    """`parts_of` for some rows, the output layer being that of `everything`: a reading may lack it."""
    return parts_of(everything, part).loc[rows.index]


def readable(rows: pd.DataFrame) -> pd.DataFrame:
    """The table as text: a row per reading, the drafts' number in bold, what chance gives beside it."""
    wide = []
    for reading, label in READINGS.items():
        own = rows[rows["reading"] == reading].set_index("column")
        cells = {column: _cell(own.loc[column]) for column in COLUMNS}
        if reading == "drafts":
            label, cells = f"**{label}**", {column: f"**{cell}**" for column, cell in cells.items()}
        wide.append({"reading": label, **cells, "expected": _expected(own)})
    return pd.DataFrame(wide)


def _cell(row: pd.Series) -> str:
    if np.isnan(row["value"]):
        return ""
    return str(Estimate(row["value"], row["low"], row["high"]))


def _expected(own: pd.DataFrame) -> str:
    """`0 ± 0.13` for a neuron and for the actor, for a reading whose value is known beforehand."""
    known = own["expected"].dropna()
    if known.empty:
        return ""
    spreads = own["chance_spread"]
    parts = {"neurons, hidden": "neuron", "layers": "layer", "whole actor": "actor"}
    found = [f"± {number(spreads[column])} ({name})" for column, name in parts.items() if spreads[column] > 0]
    return f"{float(known.iloc[0]):g} " + ", ".join(found) if found else f"{float(known.iloc[0]):g}"


def _quartiles(values: pd.DataFrame) -> list[float]:
    """Quartiles over the neurons (or layers) of a seed, mean over seeds and environments."""
    groups = values.groupby(["environment", "seed"])["value"]
    return [float(groups.quantile(q).mean()) for q in (0.25, 0.75)]


@style.styled
def training_figure(profile: Profile, frame: pd.DataFrame) -> Figure:
    """Cosine of the neurons' gradients along training, median over neurons; a row per environment, hidden and output."""
    fig, panels = style.grid(2 * len(profile.environments), columns=2, width=4.8)
    places = [(e.name, part) for e in profile.environments for part in ("hidden", "output")]
    cosines = frame[(frame["measure"] == "cosine") & (frame["granularity"] == "neuron")]
    cosines = cosines[cosines["critic"].isin(CRITICS)]
    for axes, (environment, part) in zip(panels, places, strict=True):
        here = cosines[cosines["environment"] == environment]
        here = here[parts_of(here, part)]
        axes.axhline(0, color=style.INK, linewidth=0.6)
        labels = []
        for reading in SHOWN_ALONG:
            own = here[here["reading"] == reading].groupby(["step", "seed"])["value"].median().unstack()
            colour = style.READINGS[reading]
            labels.append((_draw(axes, own, profile, colour), READINGS[reading], colour))
        style.steps_axis(axes, profile.section(Experiment1).steps)
        axes.set(ylim=(-1.05, 1.05), title=f"{environment}, {part} layer{'s' if part == 'hidden' else ''}")
        axes.set_ylabel("cosine with the true gradient")
        style.label_ends(axes, labels)
    style.note(
        fig,
        f"median over neurons, mean over seeds   ·   band: {described(profile)}   ·   oracle: 1 at all times",
    )
    return fig


def _draw(axes: Axes, wide: pd.DataFrame, profile: Profile, colour: str) -> float:
    """Mean and interval of a frame (steps, seeds); the last mean."""
    wide = wide.dropna(how="all") if not wide.empty else wide
    if wide.empty:
        return float("nan")
    ends = [t_interval(seeds.dropna(), profile.statistics.confidence) for _, seeds in wide.iterrows()]
    low, high = np.transpose(ends)
    mean = wide.mean(axis=1)
    axes.fill_between(wide.index, low, high, color=colour, alpha=0.1, linewidth=0)
    axes.plot(wide.index, mean, "o-", color=colour, markersize=3)
    return float(mean.iloc[-1])
