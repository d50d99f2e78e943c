"""Experiment 1: how alike the sub-critics' values are to the critic's, along training, and how soon."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from subcritic.config import Profile
from subcritic.reporting import documents, records, style
from subcritic.reporting.curves import curve_note, draw_curve, over_steps
from subcritic.reporting.estimates import ORDER, described, median_over_seeds
from subcritic.reporting.pages import image
from subcritic.studies.experiment1 import STUDY
from subcritic.studies.experiment1.settings import Experiment1

PHASES = {"phase1": "phase 1", "phase2": "phase 2"}
PHASE_NOTE = "phase 2: a new actor, with the critic of phase 1"
THRESHOLD = 0.9


def make(profile: Profile, root: Path) -> list[Path]:
    """Write figures/similarity.*, figures/values.* (png, svg, pdf) and table/steps_to_similar.{csv,md}."""
    curves = records.read(STUDY, "curves", profile, root)
    table = steps_table(profile, records.read(STUDY, "steps", profile, root))
    return [
        *style.save(similarity_figure(profile, curves), root / "figures", "similarity"),
        *style.save(values_figure(profile, curves), root / "figures", "values"),
        documents.write(root / "table" / "steps_to_similar.csv", table),
        documents.write(root / "table" / "steps_to_similar.md", steps_markdown(profile, table)),
    ]


@style.styled
def similarity_figure(profile: Profile, curves: pd.DataFrame) -> Figure:
    """Pearson correlation with Q^mu across held-out states, one row per environment, one column per phase."""
    fig, panels = style.grid(2 * len(profile.environments), columns=2, width=4.4)
    for axes, (environment, phase) in zip(panels, _panels(profile), strict=True):
        axes.axhline(THRESHOLD, color=style.INK, linewidth=0.9, linestyle=":")
        axes.text(
            0.01, THRESHOLD, f"{THRESHOLD}", transform=axes.get_yaxis_transform(), va="bottom", fontsize=8
        )
        labels = []
        for layer, colour in _layers(curves, environment):
            neurons = over_steps(curves, environment, phase, f"similarity/neurons_{layer}/pearson")
            draw_curve(axes, neurons, profile, colour, linestyle="--")
            whole = over_steps(curves, environment, phase, f"similarity/layer_{layer}/pearson")
            labels.append((draw_curve(axes, whole, profile, colour), f"$Q_{layer}$", colour))
        _finish(axes, profile, environment, phase, "Pearson with $Q^\\mu$", labels)
    lines = "solid: critic of a whole layer   ·   dashed: median of a layer's neurons' critics"
    style.note(fig, f"{lines}   ·   {PHASE_NOTE}\n{curve_note(profile)}")
    return fig


@style.styled
def values_figure(profile: Profile, curves: pd.DataFrame) -> Figure:
    """Average value of Q^mu and of each layer's critic, averaged over a window of records."""
    fig, panels = style.grid(2 * len(profile.environments), columns=2, width=4.4)
    for axes, (environment, phase) in zip(panels, _panels(profile), strict=True):
        critics = [("main", "$Q^\\mu$", style.INK)]
        critics += [(f"layer_{n}", f"$Q_{n}$", colour) for n, colour in _layers(curves, environment)]
        labels = []
        for critic, text, colour in critics:
            wide = over_steps(curves, environment, phase, f"value_window/{critic}")
            labels.append((draw_curve(axes, wide, profile, colour), text, colour))
        _finish(axes, profile, environment, phase, "average value (discounted return)", labels)
    style.note(
        fig,
        f"mean over held-out states and {profile.section(Experiment1).window} records\n{curve_note(profile)}",
    )
    return fig


def steps_table(profile: Profile, steps: pd.DataFrame) -> pd.DataFrame:
    """Median over seeds of the step at which windowed Pearson first reached 0.9, with its interval.

    Columns: environment, phase, critic, median, low, high (steps; inf: later than the run's end), reached, seeds.
    A seed that never got there counts as later than any that did, so that the slow ones are not forgotten.
    """
    rows = []
    for (environment, phase, critic), group in steps.groupby(["environment", "method", "critic"], sort=False):
        later = 1e12  # so far off that no mean of two with it lies inside the run
        estimate = median_over_seeds(group["step"].fillna(later), profile)
        ends = [np.inf if end > profile.section(Experiment1).steps else end for end in estimate]
        ends = [np.nan if np.isnan(raw) else end for raw, end in zip(estimate, ends, strict=True)]
        rows.append([environment, phase, critic, *ends, int(group["step"].notna().sum()), len(group)])
    return pd.DataFrame(
        rows, columns=["environment", "phase", "critic", "median", "low", "high", "reached", "seeds"]
    )


def steps_markdown(profile: Profile, table: pd.DataFrame) -> str:
    """The table of steps for readers."""

    def shown(step: float) -> str:
        return (
            "n/a"
            if np.isnan(step)
            else f"> {profile.section(Experiment1).steps}"
            if np.isinf(step)
            else f"{step:.0f}"
        )

    printed = pd.DataFrame({
        "environment": table["environment"], "phase": table["phase"], "critic": table["critic"],
        "steps, median": table["median"].map(shown),
        "interval": [f"{shown(low)} to {shown(high)}" for low, high in zip(table["low"], table["high"], strict=True)],
        "seeds that reached it": [f"{a} of {b}" for a, b in zip(table["reached"], table["seeds"], strict=True)],
    })  # fmt: skip
    return (
        f"# Steps until the windowed Pearson correlation reaches {THRESHOLD}\n\n"
        f"{documents.markdown(printed)}\n"
        f"Median over seeds ({described(profile, kind=ORDER)}; of few seeds, from the first to the last); a seed that never "
        "reached it counts as later than the run's end.\n"
    )


def _panels(profile: Profile) -> list[tuple[str, str]]:
    return [(environment.name, phase) for environment in profile.environments for phase in PHASES]


def _layers(curves: pd.DataFrame, environment: str) -> list[tuple[int, str]]:
    """(layer, colour) of every layer that has a curve."""
    metrics = curves.loc[curves["environment"] == environment, "metric"].drop_duplicates()
    layers = sorted(metrics.str.extract(r"^similarity/layer_(\d+)/pearson$")[0].dropna().astype(int))
    return list(zip(layers, style.layer_colours(len(layers)), strict=True))


def _finish(axes, profile: Profile, environment: str, phase: str, ylabel: str, labels: list) -> None:
    axes.set(title=f"{environment}, {PHASES[phase]}", ylabel=ylabel)
    style.steps_axis(axes, profile.section(Experiment1).steps)
    style.label_ends(axes, labels)


def section(folder: Path, link: str) -> list[str]:
    """What the results page says, from the published files of `folder`; link: the folder, seen from the page."""
    return [
        image(folder, link, "similarity"),
        image(folder, link, "values"),
        f"Steps until a critic's values correlate at {THRESHOLD}: [steps_to_similar.md]({link}/steps_to_similar.md).\n",
    ]
