"""Theorem 2.2.4 on trained agents: the difference between a neuron's own gradient and its share of the policy gradient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from subcritic.config import Profile
from subcritic.reporting import documents, records, style
from subcritic.reporting.estimates import Estimate, described, over_seeds
from subcritic.reporting.pages import image
from subcritic.studies.theorem import STUDY

READINGS = {
    "do_float32": "(a) do(h[n] := α), float32",
    "do": "(a) do(h[n] := α)",
    "one_step": "(b) action of the same step",
    "delayed": "(b) action L − l steps later",
    "right_slope": "(c) q+ on the trajectory",
    "opposite_slope": "(c) q− on the trajectory",
    "aliased_state": "(d) s given v, single states",
    "aliased": "(d) s given v, expectation",
}
KEYS = ["environment", "reading", "layer", "measure"]
MEAN = "relative_difference_of_mean/"
# Left of this is rounding in float64; an exact 0 is drawn here, since the axis is logarithmic.
ZERO = 1e-18


def make(profile: Profile, root: Path) -> list[Path]:
    """Write table/theorem.{csv,md} and figures/theorem.{png,svg,pdf}."""
    frame = records.read(STUDY, "theorem", profile, root)
    table = summary(profile, frame)
    return [
        documents.write(root / "table" / "theorem.csv", table),
        documents.write(root / "table" / "theorem.md", markdown(profile, table)),
        *style.save(figure(profile, table), root / "figures", "theorem"),
    ]


def summary(profile: Profile, frame: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds with its interval, one row per environment, reading, layer and measure.

    Measure `exponent` is added: the slope of log(relative_difference_of_mean/m) against log m; independent draws give
    −1/2. `undefined` counts seeds whose true gradient is zero.
    """
    rows = []
    for keys, group in pd.concat([frame, exponents(frame)]).groupby(KEYS, sort=False):
        known = group["value"].dropna()
        estimate = over_seeds(known, profile) if len(known) else Estimate(*[np.nan] * 3)
        rows.append([*keys, *estimate, len(known), len(group) - len(known)])
    return pd.DataFrame(rows, columns=[*KEYS, "value", "low", "high", "seeds", "undefined"])


def exponents(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of measure `exponent`: the least-squares slope over the numbers of draws, per environment, seed and layer."""
    means = frame[frame["measure"].str.startswith(MEAN)].dropna(subset="value")
    means = means.assign(draws=means["measure"].str.removeprefix(MEAN).astype(int))
    rows = []
    for keys, group in means.groupby(["environment", "seed", "reading", "layer"], sort=False):
        if len(group) > 1:
            slope = np.polyfit(np.log(group["draws"]), np.log(group["value"]), 1)[0]
            rows.append([*keys, "exponent", slope])
    return pd.DataFrame(rows, columns=["environment", "seed", "reading", "layer", "measure", "value"])


def markdown(profile: Profile, table: pd.DataFrame) -> str:
    """The relative differences side by side, then what the data of the trajectory say, then the draws."""
    shown = differences(table)
    blocks = [
        "# Theorem 2.2.4 on trained agents\n",
        "‖∇_K Q^n − ∇_K Q^μ‖ / ‖∇_K Q^μ‖ per layer: 0 is equality, 1 a local gradient of zero, 2 the opposite gradient.\n",
        documents.markdown(_by_layer(shown.assign(reading=shown["reading"].map(READINGS)), "reading")),
        "## (c) Two functions that the data of the trajectory cannot tell apart\n",
        "Bellman loss in units of the mean squared reward; cosine with the true gradient.\n",
        documents.markdown(
            _by_layer(_of(table, ["right_slope", "opposite_slope"], ["bellman_loss", "cosine"]))
        ),
        "## (d) The mean of m states that share v\n",
        "Relative difference at a single v, and the exponent of m; −0.5 for independent draws.\n",
        documents.markdown(_by_layer(_of(table, ["aliased"], [*_means(table), "exponent"]))),
        f"Mean over seeds [{described(profile)}], at the "
        "last snapshot of Experiment 1, float64 unless said otherwise. Statements and proofs: docs/theory.md.\n",
    ]
    return "\n".join(blocks)


def differences(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of READINGS: relative differences of mean gradients, and in single states where v does not tell s."""
    whole = table[table["measure"] == "relative_difference"]
    single = table[(table["reading"] == "aliased") & (table["measure"] == "relative_difference_per_state")]
    found = pd.concat([whole, single.assign(reading="aliased_state")])
    order = found["reading"].map({reading: place for place, reading in enumerate(READINGS)})
    return found.assign(order=order).sort_values("order", kind="stable")


@style.styled
def figure(profile: Profile, table: pd.DataFrame) -> Figure:
    """Left: relative difference in every reading. Right: how the mean over states that share v approaches Q^n's gradient."""
    names = [environment.name for environment in profile.environments]
    fig, panels = style.grid(2 * len(names), columns=2, width=5.2, height=3.8)
    colours = style.layer_colours(int(table["layer"].max()))
    for row, name in enumerate(names):
        here = table[table["environment"] == name]
        _draw_differences(panels[2 * row], differences(here), colours)
        _draw_means(panels[2 * row + 1], here, colours)
        panels[2 * row].set_title(name)
    style.note(fig, f"diamonds and lines: mean over seeds   ·   bars: {described(profile)}")
    return fig


def _draw_differences(axes: Axes, rows: pd.DataFrame, colours: list[str]) -> None:
    for place, reading in enumerate(READINGS):
        for layer, colour in enumerate(colours, 1):
            one = rows[(rows["reading"] == reading) & (rows["layer"] == layer)]
            y = place + 0.25 * (layer - (len(colours) + 1) / 2)
            for values in one[["value", "low", "high"]].to_numpy():
                style.draw_estimate(axes, tuple(np.maximum(values, ZERO)), y, colour)
    axes.axvspan(ZERO / 3, 1e-13, color="#f2f2f2", zorder=0)
    axes.text(1e-13, -0.75, "rounding ", ha="right", va="center", fontsize=7, color="#555555")
    for x in (1, 2):
        axes.axvline(x, color=style.INK, linewidth=0.5, zorder=0)
    axes.set(xscale="log", xlim=(ZERO / 3, 30), ylim=(len(READINGS) - 0.4, -1.1))
    axes.set_xticks(
        [ZERO, 1e-15, 1e-12, 1e-9, 1e-6, 1e-3, 1],
        ["0", *(f"$10^{{{e}}}$" for e in (-15, -12, -9, -6, -3)), "1"],
    )
    axes.minorticks_off()
    axes.set_yticks(range(len(READINGS)), READINGS.values())
    axes.set_xlabel("relative difference of the gradients")
    axes.grid(axis="x")


def _draw_means(axes: Axes, here: pd.DataFrame, colours: list[str]) -> None:
    rows = here[here["measure"].str.startswith(MEAN)]
    rows = rows.assign(draws=rows["measure"].str.removeprefix(MEAN).astype(int))
    for layer, colour in enumerate(colours, 1):
        one = rows[rows["layer"] == layer].sort_values("draws")
        axes.plot(one["draws"], one["value"], "o-", color=colour, markersize=4, label=f"layer {layer}")
        axes.fill_between(one["draws"], one["low"], one["high"], color=colour, alpha=0.2, linewidth=0)
    draws = np.sort(rows["draws"].unique())
    first = rows[rows["draws"] == draws[0]]["value"].mean()
    fall = first * np.sqrt(draws[0] / draws)
    axes.plot(draws, fall, "--", color=style.INK, linewidth=1, label=r"$\propto 1/\sqrt{m}$")
    axes.set(xscale="log", yscale="log", title="(d) mean over states that share v")
    axes.set(xlabel="states drawn at the same v, m", ylabel="relative difference at one v")
    axes.legend(frameon=False, fontsize=8)


def _of(table: pd.DataFrame, readings: list[str], measures: list[str]) -> pd.DataFrame:
    rows = table[table["reading"].isin(readings) & table["measure"].isin(measures)]
    names = {"right_slope": "q+", "opposite_slope": "q−", "aliased": "m ="}
    if readings == ["aliased"]:
        return rows.assign(measure=rows["measure"].str.removeprefix(MEAN))
    return rows.assign(measure=rows["reading"].map(names) + ", " + rows["measure"].str.replace("_", " "))


def _means(table: pd.DataFrame) -> list[str]:
    return [name for name in table["measure"].unique() if name.startswith(MEAN)]


def _by_layer(rows: pd.DataFrame, column: str = "measure") -> pd.DataFrame:
    """A row per environment and measure (or reading), a column per layer."""
    estimates = zip(rows["value"], rows["low"], rows["high"], strict=True)
    cells = rows.assign(cell=[str(Estimate(*estimate)) for estimate in estimates])
    cells["layer"] = "layer " + cells["layer"].astype(str)
    wide = cells.pivot_table(
        index=["environment", column], columns="layer", values="cell", aggfunc="first", sort=False
    )
    wide = wide.fillna("").reset_index()
    return wide.rename(columns={"measure": "m" if "exponent" in set(wide[column]) else "function"})


def section(folder: Path, link: str) -> list[str]:
    """What the results page says, from the published files of `folder`; link: the folder, seen from the page."""
    return [
        image(folder, link, "theorem"),
        f"Both sides of Theorem 2.2.4 on trained agents, by reading: [theorem.md]({link}/theorem.md).\n",
    ]
