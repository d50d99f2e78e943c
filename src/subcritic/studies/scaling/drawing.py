"""The figure of scaling: cosine against draws, draws against neurons, values beside gradients."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from subcritic.config import Profile
from subcritic.reporting import style
from subcritic.reporting.estimates import Estimate, described
from subcritic.studies.scaling.settings import Scaling

COSINE = 0.9
MAIN = "antithetic"
ACTOR = "actor"


@style.styled
def figure(
    profile: Profile, frame: pd.DataFrame, table: pd.DataFrame, slopes: pd.DataFrame, fits: pd.DataFrame
) -> Figure:
    """Per environment: cosine against draws by width and by noise scale; draws against neurons; the drafts' critics."""
    names = [environment.name for environment in profile.environments]
    fig, panels = style.grid(4 * len(names), columns=4, width=3.3, height=2.9)
    first = min(profile.section(Scaling).actor_steps)
    for row, name in enumerate(names):
        here = frame[
            (frame["environment"] == name) & (frame["layer"] == ACTOR) & (frame["estimator"] == MAIN)
        ]
        fresh = here[here["actor_steps"] == first]
        widths = fresh[
            (fresh["noise_scale"] == profile.section(Scaling).noise_scale)
            & fresh["width"].isin(profile.section(Scaling).widths)
        ]
        _draw_cosines(panels[4 * row], widths, "width", "width")
        panels[4 * row].set_title(f"{name}\n(a) by width", fontsize=9)
        scales = fresh[(fresh["width"] == profile.section(Scaling).width)]
        _draw_cosines(panels[4 * row + 1], scales, "noise_scale", "σ")
        panels[4 * row + 1].set_title(f"\n(b) by noise, width {profile.section(Scaling).width}", fontsize=9)
        _draw_needed(panels[4 * row + 2], profile, table, slopes, name)
        _draw_fits(panels[4 * row + 3], fits[(fits["environment"] == name) & (fits["actor_steps"] == first)])
    style.note(
        fig,
        f"(a), (b), (d): {stage(first)}, mean over seeds   ·   dashed: 1/√(1 + c/N), c from single draws   ·   "
        f"bars: {described(profile)}",
    )
    return fig


def _draw_cosines(axes: Axes, rows: pd.DataFrame, column: str, label: str) -> None:
    """Mean cosine over seeds against draws, a line per value of `column`; dashed, what single draws' noise foretells."""
    values = sorted(rows[column].unique())
    for value, colour in zip(values, style.layer_colours(len(values)), strict=True):
        one = rows[rows[column] == value]
        cosines = one[one["measure"] == "cosine"].groupby("draws")["value"].mean()
        axes.plot(cosines.index, cosines, "o-", color=colour, markersize=3, label=f"{value:g}")
        noise = one[one["measure"] == "noise_to_signal"]["value"].to_numpy()
        law = (1 / np.sqrt(1 + np.maximum(noise[:, None], 0) / cosines.index.to_numpy())).mean(axis=0)
        axes.plot(cosines.index, law, "--", color=colour, linewidth=0.9)
    axes.axhline(COSINE, color=style.INK, linewidth=0.7, linestyle=":")
    axes.set(xscale="log", ylim=(-0.03, 1.03), xlabel="draws", ylabel="cosine with the true gradient")
    axes.legend(title=label, frameon=False, fontsize=7, title_fontsize=7, labelspacing=0.2)


def _draw_needed(axes: Axes, profile: Profile, table: pd.DataFrame, slopes: pd.DataFrame, name: str) -> None:
    rows = table[
        (table["environment"] == name)
        & (table["estimator"] == MAIN)
        & (table["layer"] == ACTOR)
        & (table["noise_scale"] == profile.section(Scaling).noise_scale)
        & table["width"].isin(profile.section(Scaling).widths)
    ]
    for steps, colour in zip(
        profile.section(Scaling).actor_steps, (style.BLUE, style.VERMILLION, *style.SPARE), strict=False
    ):
        one = rows[rows["actor_steps"] == steps].sort_values("neurons")
        slope = slopes[
            (slopes["environment"] == name)
            & (slopes["actor_steps"] == steps)
            & (slopes["estimator"] == MAIN)
            & (slopes["layer"] == ACTOR)
        ]
        power = Estimate(*slope[["slope", "low", "high"]].iloc[0]) if len(slope) else ""
        stage = "fresh" if steps == 0 else f"{steps} steps"
        bars = np.abs(one[["low", "high"]].to_numpy().T - one["draws"].to_numpy())
        axes.errorbar(
            one["neurons"], one["draws"], yerr=bars, fmt="o-", color=colour, markersize=4, capsize=2, linewidth=1.2,
            label=f"{stage}: {power}",
        )  # fmt: skip
        axes.plot(one["neurons"], one["crossed"], "x", color=colour, markersize=7)
    start = rows[rows["actor_steps"] == rows["actor_steps"].min()].sort_values("neurons")
    if len(start):
        line = start["draws"].iloc[0] * start["neurons"] / start["neurons"].iloc[0]
        axes.plot(start["neurons"], line, ":", color=style.INK, linewidth=1, label="∝ neurons")
    axes.set(yscale="log", ylabel=f"draws for a cosine of {COSINE}")
    _neurons_axis(axes, rows["neurons"])
    axes.set_title("(c) draws it takes; ×: measured", fontsize=9)
    axes.legend(title="exponent", frameon=False, fontsize=7, title_fontsize=7, labelspacing=0.2)


def _draw_fits(axes: Axes, fits: pd.DataFrame) -> None:
    """Upper hidden layer: values and gradients of the drafts' linear critics, noise on the action alone."""
    rows = fits[(fits["estimator"] == "linear_action") & (fits["layer"] == "layer 2")]
    for measure, colour, label in (
        ("value_pearson", style.INK, "Q-values"),
        ("cosine", style.VERMILLION, "gradients"),
    ):
        one = rows[rows["measure"] == measure].sort_values("neurons")
        bars = np.abs(one[["low", "high"]].to_numpy().T - one["value"].to_numpy())
        axes.errorbar(
            one["neurons"],
            one["value"],
            yerr=bars,
            fmt="o-",
            color=colour,
            markersize=4,
            capsize=2,
            label=label,
        )
    axes.axhline(0, color=style.INK, linewidth=0.6)
    axes.set(ylim=(-1.05, 1.05), ylabel="agreement with the true one")
    _neurons_axis(axes, rows["neurons"])
    axes.set_title("(d) linear critics, action noise, layer 2", fontsize=9)
    axes.legend(frameon=False, fontsize=8)


def _neurons_axis(axes: Axes, neurons: pd.Series) -> None:
    """A logarithmic axis that names the numbers of neurons there are."""
    ticks = sorted(neurons.unique())
    axes.set(xscale="log", xlabel="neurons")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def stage(steps: int) -> str:
    return "fresh actors" if steps == 0 else f"actors after {steps} steps up the critic"
