"""The figure of the ablation: scores of all methods, and what each is worth on each task."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from subcritic.config import Profile
from subcritic.reporting import style
from subcritic.reporting.estimates import FAILED_ADDED, JACKKNIFE, T, described, number
from subcritic.reporting.methods import CROSSES
from subcritic.reporting.verdicts import (
    BACKPROPAGATION,
    CONTROL,
    DIVERGES,
    LEARNS,
    MATCHES,
    SAME,
    WORSE,
)
from subcritic.studies.ablation.answer import first, label

# Those of the main methods, where one stands for a level: linear, node perturbation, learned feedback, DDPG.
CROSSING = dict(
    zip(CROSSES, (style.ORANGE, style.PURPLE, style.VERMILLION, style.GREEN, style.BLUE), strict=True)
)
SHADES = {MATCHES: "#7fbf9f", LEARNS: "#cfe8da", SAME: "#eeeeee", WORSE: "#f2c3a8", DIVERGES: "#d9a0a0"}
# Left edges of the right panel's columns of words, and of its cells; the panel is one wide.
WORDS = {"crosses layers": 0.0, "noise": 0.16}
CELLS = 0.43
# Narrower cells have no room for a score.
NARROW = 0.045


@style.styled
def figure(profile: Profile, table: pd.DataFrame, tasks: pd.DataFrame) -> Figure:
    """Methods as rows, the best first: left their scores, right in words what they are, and a cell for each task."""
    fig, (axes, cells) = style.grid(2, columns=2, width=6.6, height=0.25 * len(table) + 1.3)
    _draw_ends(axes, table)
    for y, row in enumerate(table.to_dict("records")):
        _draw_scores(axes, y, row, tasks)
        _draw_cells(cells, y, row, tasks)
    axes.set_yticks(range(len(table)), table["method"])
    for name, row in zip(axes.get_yticklabels(), table.to_dict("records"), strict=True):
        name.set_color(_colour(row))
    axes.tick_params(axis="y", length=0)
    low, high = axes.get_xlim()
    axes.set(xlim=(max(min(low, -0.1), -1.5), max(high, 1.1)), ylim=(len(table) - 0.4, -0.6))
    axes.set_xlabel("normalised score: 0 the random policy, 1 the reference")
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x")
    cells.set(xlim=(0, 1), ylim=axes.get_ylim())
    cells.set_axis_off()
    _draw_heads(cells, tasks)
    patches = [Patch(color=shade, label=verdict) for verdict, shade in SHADES.items()]
    fig.legend(handles=patches, loc="outside upper right", ncols=len(patches), frameon=False, fontsize=8)
    style.note(fig, _note(profile, table, tasks))
    return fig


def _draw_ends(axes: Axes, table: pd.DataFrame) -> None:
    """Bands of the reference and of its frozen control over all rows: the two ends of the scale."""
    reference = first(table, BACKPROPAGATION)
    frozen = table[table["method"].isin(reference["control"]) & (table["role"] == CONTROL)]
    for rows, colour in ((reference, style.BLUE), (frozen, style.GREY)):
        for row in rows.itertuples():
            if not np.isnan(row.low):
                axes.axvspan(row.low, row.high, color=colour, alpha=0.12, linewidth=0, zorder=0)
            axes.axvline(row.iqm, color=colour, linewidth=0.8, linestyle="--", zorder=0)


def _draw_scores(axes: Axes, y: int, row: dict, tasks: pd.DataFrame) -> None:
    colour = _colour(row)
    for task in tasks.itertuples():
        face = colour if task.tells_apart else "white"
        axes.plot(row[task.environment], y, "o", color=colour, markerfacecolor=face, alpha=0.55, markersize=4)
    style.draw_estimate(axes, (row["iqm"], row["low"], row["high"]), y, colour)


def _draw_cells(axes: Axes, y: int, row: dict, tasks: pd.DataFrame) -> None:
    for name, place in WORDS.items():
        colour = _colour(row) if name == "crosses layers" else style.INK
        # There is room for where the noise is; the table says the rest.
        axes.text(place, y, row[name].partition(";")[0], va="center", fontsize=7, color=colour)
    width = _width(tasks)
    for index, task in enumerate(tasks.itertuples()):
        left, verdict = CELLS + index * width, row[f"{task.environment}/verdict"]
        if task.tells_apart and verdict in SHADES:
            axes.add_patch(Rectangle((left, y - 0.45), 0.94 * width, 0.9, color=SHADES[verdict], linewidth=0))
        shade = style.INK if task.tells_apart else "#888888"
        score = number(round(row[task.environment], 2))
        if width >= NARROW:
            axes.text(left + 0.47 * width, y, score, ha="center", va="center", fontsize=6.5, color=shade)


def _draw_heads(axes: Axes, tasks: pd.DataFrame) -> None:
    for name, place in WORDS.items():
        axes.text(place, -0.65, name, va="bottom", fontsize=7, weight="bold")
    width = _width(tasks)
    angle = 0 if len(tasks) == 1 else 35 if width >= NARROW else 90
    for index, task in enumerate(tasks.itertuples()):
        head, shade = (
            task.environment.removeprefix("subcritic-"),
            style.INK if task.tells_apart else "#888888",
        )
        left = CELLS + (index + 0.3) * width
        axes.text(left, -0.65, head, va="bottom", fontsize=6.5, color=shade, rotation=angle)


def _colour(row: dict) -> str:
    """By what crosses layers; controls are grey."""
    return style.GREY if row["role"] == CONTROL else CROSSING[row["crosses layers"]]


def _width(tasks: pd.DataFrame) -> float:
    """Of a task's cell: as wide as there is room for, and no wider than a score needs."""
    return min(0.12, (1 - CELLS) / len(tasks))


def _note(profile: Profile, table: pd.DataFrame, tasks: pd.DataFrame) -> str:
    telling = int(tasks["tells_apart"].sum())
    over = f"interquartile mean over seeds and {telling} tasks" if telling > 1 else "mean over seeds"
    name = label(table)
    return (
        f"diamond: {over}   ·   bar: {described(profile, FAILED_ADDED, JACKKNIFE if telling > 1 else T)}\n"
        f"dots: means on single tasks, hollow where a task tells no rules apart and is in no mean   ·   blue: {name}   ·   "
        f"grey: {name} with frozen hidden layers"
    )
