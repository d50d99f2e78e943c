"""Diagnostics along training: why a rule fails, or that it does not, beside DDPG."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from subcritic.config import Profile
from subcritic.reporting import style
from subcritic.reporting.curves import curve_note, draw_curve, over_steps
from subcritic.studies.ablation.settings import environments_of, steps_of


class Row(NamedTuple):
    """One row of the figure: metrics whose name matches `metric`, one line each; `text` labels the axis."""

    metric: str
    text: str
    log: bool = False
    limits: tuple[float | None, float | None] = (None, None)


ROWS = (
    Row(r"return/evaluation", "evaluation return"),
    Row(r"diagnostic/saturated_(\d+)", "saturated or dead\n(share)", limits=(-0.02, 1.02)),
    Row(r"diagnostic/one_sided_(\d+)", "error of one sign\n(|mean sign|)", limits=(-0.02, 1.02)),
    Row(r"diagnostic/action_entropy", "entropy of actions\nover states", limits=(-0.02, 1.02)),
    Row(r"cosine/layer_(\d+)", "update · true gradient\n(cosine)", limits=(-1.02, 1.02)),
    Row(r"diagnostic/weight_norm_(\d+)", "norm of K", log=True),
    Row(r"diagnostic/critic_norm_(\d+)", "norm of the\nlocal critics", log=True),
    Row(r"loss/(?:layer_(\d+)|critic)", "TD error\n(root mean square)", log=True),
)


@style.styled
def figure(profile: Profile, curves: pd.DataFrame, methods: list[str]) -> Figure:
    """Diagnostics as rows, methods as columns, on the ablation's first environment; one line per layer."""
    environment = environments_of(profile)[0]
    here = curves[curves["environment"] == environment.name]
    rows = [row for row in ROWS if here["metric"].str.fullmatch(row.metric).any()]
    fig, panels = style.grid(len(rows) * len(methods), columns=len(methods), width=3.5, height=1.45)
    layers = _layers(here)
    for index, axes in enumerate(panels):
        row, method = rows[index // len(methods)], methods[index % len(methods)]
        _draw(axes, row, here[here["method"] == method], profile, layers)
        last_row, first_column = index >= len(panels) - len(methods), index % len(methods) == 0
        style.steps_axis(axes, steps_of(profile, environment))
        axes.set(ylabel=row.text if first_column else "", xlabel="environment steps" if last_row else "")
        if index < len(methods):
            axes.set_title(f"{method}, {environment.name}" if first_column else method)
    _share_heights(panels, len(methods))
    style.note(fig, f"dark to light: first to last layer   ·   {curve_note(profile)}")
    return fig


def _layers(curves: pd.DataFrame) -> int:
    numbers = curves["metric"].str.extract(r"^diagnostic/weight_norm_(\d+)$")[0].dropna()
    return int(numbers.astype(int).max()) if len(numbers) else 1


def _draw(axes: Axes, row: Row, curves: pd.DataFrame, profile: Profile, layers: int) -> None:
    colours = style.layer_colours(layers)
    matches = (re.fullmatch(row.metric, name) for name in sorted(curves["metric"].unique()))
    found = [match for match in matches if match]
    for match in found:
        name, layer = match.group(), next(iter(match.groups()), None)
        wide = over_steps(curves, curves["environment"].iloc[0], curves["method"].iloc[0], name)
        if name.startswith("loss/"):
            # loss/layer_l is ½D², DDPG's loss/critic is D².
            wide = np.sqrt(wide * (2 if layer else 1))
        draw_curve(axes, wide, profile, colours[int(layer) - 1] if layer else style.INK)
    if not found:
        axes.text(0.5, 0.5, "has none", transform=axes.transAxes, ha="center", color="#888888", fontsize=8)
    if row.log and found:
        axes.set_yscale("log")
    if row.limits[0] is not None:
        axes.set_ylim(*row.limits)


def _share_heights(panels: list[Axes], columns: int) -> None:
    """One scale per row, so that methods can be compared."""
    for start in range(0, len(panels), columns):
        row = [axes for axes in panels[start : start + columns] if axes.lines]
        if row:
            low, high = min(axes.get_ylim()[0] for axes in row), max(axes.get_ylim()[1] for axes in row)
            for axes in row:
                axes.set_ylim(low, high)
