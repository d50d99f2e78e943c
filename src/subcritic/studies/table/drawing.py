"""The figures of the results table: scores on every environment, and what they come to over all of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from subcritic.config import Profile
from subcritic.reporting import style
from subcritic.reporting.estimates import FAILED_ADDED, Estimate, described, number
from subcritic.reporting.verdicts import TELLS_APART
from subcritic.studies.table.aggregates import IMPROVEMENT, MEAN, NEEDING
from subcritic.studies.table.results import BETTER, MANY, WORSE, has_twin, in_order, marks, reference_in

# From below random actions over random actions, white, to the reference and beyond.
SHADES = LinearSegmentedColormap.from_list(
    "scores", [(0.0, style.ORANGE), (0.5, "white"), (0.75, "#9ccbe3"), (1.0, style.BLUE)]
)
NORM = TwoSlopeNorm(0.0, vmin=-0.5, vmax=1.25)
# The panel of performance profiles.
SHARE = "share of runs above a score"


def scores_figure(profile: Profile, table: pd.DataFrame, judged: pd.DataFrame, found: pd.DataFrame) -> Figure:
    """Normalised scores of every method on every environment: bars for a few environments, shaded cells for many."""
    if len(profile.environments) > MANY:
        return cells(profile, table, judged, found)
    return bars(profile, table)


@style.styled
def bars(profile: Profile, table: pd.DataFrame) -> Figure:
    """Score of every method, a group of rows per environment; where there is none, the return in a panel of its own."""
    methods = [method.name for method in profile.methods]
    colours = style.method_colours(methods)
    raw = table.groupby("environment")["note"].first().ne("")
    names = [environment.name for environment in profile.environments]
    scored = [name for name in names if not raw[name]]
    groups = [*([scored] if scored else []), *([name] for name in names if raw[name])]
    pitch = len(methods) + 0.8
    heights = [0.24 * pitch * len(group) + 0.7 for group in groups]
    fig = Figure(figsize=(8.0, sum(heights) + 0.3), layout="constrained")
    rows = fig.add_gridspec(len(groups), 1, height_ratios=heights)
    for place, group in enumerate(groups):
        axes = fig.add_subplot(rows[place])
        axes.text(1.01, 1.01, "average return", transform=axes.transAxes, fontsize=8)
        for index, name in enumerate(group):
            for line, row in enumerate(table[table["environment"] == name].itertuples()):
                _draw_score(axes, index * pitch + line, row, colours[row.method], raw=raw[name])
        if group is scored:
            lines = [(0.0, "random", ":"), (1.0, "reference", "--")]
            low, high = axes.get_xlim()
            axes.set(xlabel="normalised score", xlim=(min(low, -0.15), max(high, 1.15)))
        else:
            first = table[table["environment"] == group[0]].iloc[0]
            lines = [(float(first["random_mean"]), "random", ":")]
            axes.set_xlabel(f"return ({first['note']})")
        for at, text, dashes in lines:
            axes.axvline(at, color=style.INK, linewidth=0.9, linestyle=dashes)
            axes.text(at, 1.01, text, transform=axes.get_xaxis_transform(), ha="center", fontsize=8)
        axes.set_yticks([index * pitch + (len(methods) - 1) / 2 for index in range(len(group))], group)
        axes.set_ylim(pitch * len(group) - 0.9, -0.9)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x")
    if profile.seeds == 1:
        style.note(fig, "diamond: the one seed   ·   no interval")
    else:
        style.note(
            fig,
            f"diamond: mean over seeds   ·   dot: best seed   ·   bar: {described(profile, FAILED_ADDED)}",
        )
    return fig


@style.styled
def cells(profile: Profile, table: pd.DataFrame, judged: pd.DataFrame, found: pd.DataFrame) -> Figure:
    """Environments as rows, those first on which hidden layers matter most; methods as columns of shaded scores."""
    methods, ordered, signs = [method.name for method in profile.methods], in_order(found), marks(judged)
    scores = table.set_index(["environment", "method"])["normalised_average"]
    steps = table.groupby("environment")["steps"].max()
    fig, (axes,) = style.grid(1, 1, width=3.6 + 0.62 * len(methods), height=0.2 * len(ordered) + 1.8)
    reference = reference_in(judged) or "the reference"
    gain = f"{reference} − frozen"
    places = ((gain, -0.1), ("actions", 0.7), ("steps", 1.5))
    more = {name: len(methods) + at for name, at in places[0 if has_twin(found) else 1 :]}
    for y, task in enumerate(ordered.itertuples()):
        for x, method in enumerate(methods):
            score = scores[task.environment, method]
            shade = SHADES(NORM(np.clip(score, -0.5, 1.25))) if np.isfinite(score) else "white"
            axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=shade, linewidth=0))
            text = f"{number(round(score, 2))} {signs.get((task.environment, method), '')}".rstrip()
            dark = np.isfinite(score) and score > 1.1
            axes.text(x, y, text, ha="center", va="center", fontsize=7, color="white" if dark else style.INK)
        said = {
            gain: number(round(task.difference, 2)),
            "actions": str(task.actions),
            "steps": f"{steps[task.environment]:,}",
        }
        for name, place in more.items():
            axes.text(place, y, said[name], ha="center", va="center", fontsize=7)
    needing = int(found["tells_apart"].sum())
    if 0 < needing < len(ordered):
        axes.axhline(needing - 0.5, color=style.INK, linewidth=0.9)
    for name, place in {**{method: float(x) for x, method in enumerate(methods)}, **more}.items():
        axes.text(place, -0.7, name, rotation=35, va="bottom", fontsize=7.5)
    axes.set_yticks(range(len(ordered)), [name.removesuffix("-v0") for name in ordered["environment"]])
    axes.set(xlim=(-0.5, len(methods) + 2.0), ylim=(len(ordered) - 0.4, -0.6), xticks=[])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    twin = (
        f"\n{gain}: {reference} minus itself with frozen hidden layers; above the line, tasks where this is "
        f"{TELLS_APART:g} or more, and clear"
        if has_twin(found)
        else ""
    )
    scale = "0 random actions, 1 the reference return"
    shown = (
        f"one seed: {scale}"
        if profile.seeds == 1
        else f"mean of {profile.seeds} seeds: {scale}   ·   {BETTER} better, {WORSE} worse than {reference}, paired by seed"
    )
    style.note(fig, f"{shown}{twin}")
    return fig


@style.styled
def aggregates_figure(profile: Profile, aggregates: pd.DataFrame, shares: pd.DataFrame) -> Figure:
    """A panel for each statistic, and one for the share of runs above every score."""
    methods = [method.name for method in profile.methods]
    colours = style.method_colours(methods)
    statistics = [name for name in aggregates["statistic"].unique() if not name.endswith(NEEDING)]
    # Where no environment has a score 1, only what is made of raw returns is left.
    drawn = [*statistics, *([] if shares.empty else [SHARE])]
    if not drawn:
        return style.empty_figure(
            "No environment has a reference return, and no method one to be compared with."
        )
    counts = aggregates.groupby("statistic")["environments"].first()
    fig, panels = style.grid(len(drawn), len(drawn), width=3.4, height=max(0.32 * len(methods) + 1.4, 2.7))
    for axes, what in zip(panels, drawn, strict=True):
        if what == SHARE:
            for method, share in shares.groupby("method", sort=False):
                axes.plot(share["threshold"], share["share"], color=colours[method], linewidth=1.3)
            axes.set(xlabel="score τ", ylabel="share of runs above τ", ylim=(-0.02, 1.02))
            continue
        _draw_statistic(axes, aggregates, what, methods, colours)
        # Wide enough for a small difference to look small.
        least = {MEAN: (-0.05, 1.05)}.get(what, (-0.25, 0.25))
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, least[0]), max(high, least[1]))
        if what.startswith(IMPROVEMENT):
            axes.set_xlim(-0.02, 1.02)
        if what != MEAN:
            equal = 0.5 if what.startswith(IMPROVEMENT) else 0.0
            axes.axvline(equal, color=style.INK, linewidth=0.8, linestyle="--")
        number_of_tasks = f"{counts[what]} task{'s' if counts[what] > 1 else ''}"
        axes.set_xlabel(f"{what.replace('_', ' ')}\n{number_of_tasks}")
        axes.set_yticks(range(len(methods)), methods if axes is panels[0] else [])
    style.method_legend(fig, {name: colours[name] for name in methods})
    hollow = next((count for name, count in counts.items() if name.endswith(NEEDING)), 0)
    bars = described(
        profile,
        "one added run that fails everywhere, shows no difference or ties with all others",
        "interval",
    )
    style.note(
        fig,
        f"filled: over all tasks{f', hollow: over the {hollow} that need hidden layers' if hollow else ''}\nbars: {bars}",
    )
    return fig


def _draw_statistic(
    axes: Axes, aggregates: pd.DataFrame, statistic: str, methods: list[str], colours: dict[str, str]
) -> None:
    found = aggregates.set_index(["method", "statistic"])
    # Side by side only where there are two.
    up, down = (-0.12, 0.2) if f"{statistic}{NEEDING}" in set(aggregates["statistic"]) else (0.0, 0.0)
    for y, method in enumerate(methods):
        for offset, ending, face in ((up, "", colours[method]), (down, NEEDING, "white")):
            if (method, f"{statistic}{ending}") not in found.index:
                continue
            row = found.loc[(method, f"{statistic}{ending}")]
            axes.plot([row["low"], row["high"]], [y + offset] * 2, color=style.INK, linewidth=1.2)
            axes.plot(
                row["value"], y + offset, "D", color=colours[method], markerfacecolor=face, markersize=5.5
            )
    axes.set(ylim=(len(methods) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x")


def _draw_score(axes: Axes, y: float, row, colour: str, *, raw: bool) -> None:
    """A method's row: its return in words, and a diamond at its score, or at its return where that is raw."""
    label = f"{row.method}  {Estimate(row.average, row.low, row.high)}"
    if row.diverged:
        label += f"  {row.diverged} of {row.seeds + row.failed} diverged"
    if row.failed:
        label += f"  environment failed for {row.failed}"
    axes.text(1.01, y, label, transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=colour)
    scored = (row.normalised_average, row.normalised_low, row.normalised_high, row.normalised_best)
    *estimate, best = (row.average, row.low, row.high, row.best) if raw else scored
    style.draw_estimate(axes, tuple(estimate), y, colour)
    axes.plot(best, y, ".", color=colour, markersize=7)
