"""How every figure looks: sizes, fonts, colours, direct labels, and how it is saved.

The first colours are seaborn's colour-blind palette without its two light ones. The main methods, readings and critics have
one colour each in all figures.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

BLUE, ORANGE, GREEN, VERMILLION, PINK, BROWN, GREY, SKY = (
    "#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#949494", "#56b4e9",
)  # fmt: skip
# Beside them, for figures of many methods.
PURPLE, TEAL, WINE, OLIVE, NAVY = "#7b4ea3", "#1f6f78", "#8b1a3a", "#7d7a1c", "#24346b"
MAGENTA, GOLD = "#c2479a", "#b39b00"
INK = "#262626"
METHODS = {
    "ddpg": BLUE, "backpropagation": BLUE, "ddpg-frozen": GREY, "dpg": SKY, "stable-baselines3": PINK, "linear": ORANGE,
    "node-perturbation": VERMILLION, "learned-feedback": GREEN, "learned-feedback-throughout": PURPLE, "ars": BROWN,
}  # fmt: skip
# Names are written in these colours: none of the light ones.
SPARE = (TEAL, WINE, OLIVE, MAGENTA, NAVY, GOLD, GREEN, VERMILLION, BROWN, PURPLE, SKY, GREY)
READINGS = {
    "drafts": VERMILLION, "neuron_noise": ORANGE, "compatible": BLUE, "global_baseline": SKY, "regression": PINK,
    "oracle": GREEN, "permuted": GREY, "untrained": BROWN, "random_direction": INK,
}  # fmt: skip
FORMATS = ("png", "svg", "pdf")
PANEL = (3.6, 2.5)  # inches
# From one label at the edge of a panel to the next.
LABEL_POINTS = 10
# Between the parts of a note, and the width of one of its characters in inches.
BETWEEN, CHARACTER = "   ·   ", 0.062

STYLE = {
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "svg.hashsalt": "subcritic",
    "pdf.fonttype": 42,
}


def styled(draw):
    """Decorate a function that draws a figure, so that it draws in this style."""

    @functools.wraps(draw)
    def wrapper(*args, **kwargs):
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return wrapper


def method_colours(names: Iterable[str]) -> dict[str, str]:
    """One colour per method: the fixed one, or for a name not known here the next spare one, in order, then darker ones."""
    names = list(dict.fromkeys(names))
    taken = {METHODS[name] for name in names if name in METHODS}
    spare = [colour for colour in SPARE if colour not in taken]
    unknown = [name for name in names if name not in METHODS]
    return {
        **METHODS,
        **{name: _darker(spare[i % len(spare)], i // len(spare)) for i, name in enumerate(unknown)},
    }


def _darker(colour: str, times: int) -> str:
    return matplotlib.colors.to_hex(np.array(matplotlib.colors.to_rgb(colour)) * 0.6**times)


def layer_colours(layers: int) -> list[str]:
    """Ordered colours of layers 1..L, dark to light, told apart by lightness alone."""
    return [
        matplotlib.colors.to_hex(matplotlib.colormaps["viridis"](x)) for x in np.linspace(0.1, 0.8, layers)
    ]


def grid(
    panels: int, columns: int, width: float = PANEL[0], height: float = PANEL[1]
) -> tuple[Figure, list[Axes]]:
    """A figure of `panels` axes in rows of at most `columns`; width and height of a panel in inches."""
    columns = min(columns, panels)
    rows = -(-panels // columns)
    figure = Figure(figsize=(width * columns, height * rows + 0.3), layout="constrained")
    axes = [figure.add_subplot(rows, columns, index + 1) for index in range(panels)]
    return figure, axes


def height_for(labels: int) -> float:
    """Inches of a panel with so many labels at its right edge, see `label_ends`; its axes have four fifths of that."""
    return max(PANEL[1], labels * LABEL_POINTS / 72 / 0.8 + 0.4)


def steps_axis(axes: Axes, last: float) -> None:
    """An x axis of environment steps from 0 to `last`."""
    axes.set(xlim=(0, last), xlabel="environment steps")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def label_ends(axes: Axes, labels: list[tuple[float, str, str]]) -> None:
    """Write each (y, text, colour) at the right edge, at its height, moved apart where texts would overlap.

    There is room for them in a panel of `height_for` so many labels.
    """
    low, high = axes.get_ylim()
    points = axes.get_position().height * axes.figure.get_figheight() * 72
    labels = sorted(
        (((y - low) / (high - low), text, colour) for y, text, colour in labels if np.isfinite(y))
    )
    heights = spread([y for y, _, _ in labels], gap=LABEL_POINTS / points)
    for height, (_, text, colour) in zip(heights, labels, strict=True):
        axes.text(1.02, height, text, color=colour, transform=axes.transAxes, va="center", fontsize=8)


def spread(heights: list[float], gap: float) -> list[float]:
    """Sorted heights, moved as little as needed to lie `gap` apart, and within [0, 1] where there is room."""
    if not heights:
        return []
    placed = np.array(heights, dtype=float)
    offsets = gap * np.arange(len(placed))
    # Isotonic regression of the heights less their offsets is the least-squares placement.
    blocks: list[list[float]] = []
    for height in placed - offsets:
        blocks.append([height])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    level = np.concatenate([np.full(len(block), np.mean(block)) for block in blocks])
    return list(np.clip(level, 0.0, max(0.0, 1.0 - offsets[-1])) + offsets)


def draw_estimate(axes: Axes, estimate: tuple[float, float, float], y: float, colour: str) -> None:
    """A diamond at (value, y) on the bar of its interval; `estimate` is (value, low, high), NaN ends draw no bar."""
    value, low, high = estimate
    axes.plot([low, high], [y, y], "|-", color=INK, linewidth=1.4, markersize=9, markeredgewidth=1.4)
    axes.plot(value, y, "D", color=colour, markeredgecolor="white", markersize=6)


def method_legend(figure: Figure, colours: dict[str, str]) -> None:
    """Coloured names above the panels, where there is no room for labels within them: in one line if they fit."""
    lines = [Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
    # A name has a line of its colour beside it, and a gap.
    widths, width = [CHARACTER * len(name) + 0.6 for name in colours], figure.get_size_inches()[0]
    columns = len(lines) if sum(widths) <= width else max(1, int(width / max(widths)))
    figure.legend(handles=lines, loc="outside upper left", ncols=columns, frameon=False, fontsize=8)


@styled
def empty_figure(text: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    figure = Figure(figsize=(5.0, 0.6), layout="constrained")
    figure.text(0.5, 0.5, text, ha="center", va="center")
    return figure


def note(figure: Figure, text: str) -> None:
    """A small line under the figure that says what its marks mean; more than one where its parts would not fit."""
    fitting = int(figure.get_size_inches()[0] / CHARACTER)
    lines: list[str] = []
    for line in text.split("\n"):
        parts = iter(line.split(BETWEEN))
        lines.append(next(parts))
        for part in parts:
            longer = f"{lines[-1]}{BETWEEN}{part}"
            lines[-1:] = [longer] if len(longer) <= fitting else [lines[-1], part]
    figure.supxlabel("\n".join(lines), fontsize=8, color="#555555")


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write `folder`/`name` as PNG (150 dpi), SVG and PDF, the same bytes for the same figure; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    undated = {"png": None, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with matplotlib.rc_context(STYLE):
        # Laid out once for all formats, which takes longer than drawing.
        figure.draw_without_rendering()
        figure.set_layout_engine(None)
        for suffix in FORMATS:
            figure.savefig(folder / f"{name}.{suffix}", metadata=undated[suffix])
    return [folder / f"{name}.{suffix}" for suffix in FORMATS]
