"""Learning curves of Experiment 2: does a policy whose neurons learn on their own improve as a whole?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from subcritic.config import Profile
from subcritic.reporting import records, style
from subcritic.reporting.curves import RETURN, curve_note, draw_curve, over_steps
from subcritic.reporting.estimates import number
from subcritic.reporting.normalise import normalise, why_raw_only
from subcritic.reporting.pages import image
from subcritic.studies.experiment2 import STUDY

# With more environments than this, panels are small, normalised, and share their axes. With more pairs of an environment and
# a method, cosines are those of the whole actor, in one panel per method.
LARGE_PANELS = 12
# With more methods than this, only their means are drawn.
SINGLE_SEEDS = 8
NOT_PROBED = (
    "No cosines to show: updates were not compared with the true gradient,\n"
    "or the runs were taken from published ones, which keep only returns."
)


def make(profile: Profile, root: Path) -> list[Path]:
    """Write figures/learning.* and figures/cosine.* (png, svg, pdf)."""
    curves, scores = (records.read(STUDY, name, profile, root) for name in ("curves", "scores"))
    few = len(profile.environments) <= LARGE_PANELS
    learning = (figure if few else small_figure)(profile, curves, scores, records.anchors(profile, root))
    pairs = len(profile.environments) * len(profile.methods)
    cosines = (cosine_figure if pairs <= LARGE_PANELS else small_cosine_figure)(profile, curves)
    return [
        *style.save(learning, root / "figures", "learning"),
        *style.save(cosines, root / "figures", "cosine"),
    ]


@style.styled
def figure(profile: Profile, curves: pd.DataFrame, scores: pd.DataFrame, anchors: pd.DataFrame) -> Figure:
    """Evaluation return against environment steps, one panel per environment, from long-form curves."""
    # Beside the methods, two labels for what scores 0 and 1.
    height, few = style.height_for(len(profile.methods) + 2), len(profile.methods) <= SINGLE_SEEDS
    fig, panels = style.grid(len(profile.environments), columns=3, width=4.0, height=height)
    colours = style.method_colours(method.name for method in profile.methods)
    for axes, environment in zip(panels, profile.environments, strict=True):
        labels = _anchor_lines(axes, anchors.loc[environment.name])
        for method in profile.methods:
            wide = over_steps(curves, environment.name, method.name, RETURN)
            end = draw_curve(axes, wide, profile, colours[method.name], single=few)
            _mark_diverged(axes, wide, scores, environment.name, method.name, colours[method.name])
            labels.append((end, method.name, colours[method.name]))
        axes.set(title=environment.name, ylabel="evaluation return")
        style.steps_axis(axes, profile.steps_for(environment))
        style.label_ends(axes, labels)
    style.note(fig, curve_note(profile, single=few) + "   ·   ×: run stopped because it diverged")
    return fig


@style.styled
def small_figure(
    profile: Profile, curves: pd.DataFrame, scores: pd.DataFrame, anchors: pd.DataFrame
) -> Figure:
    """The same with random actions at 0 and the reference at 1, in small panels that share one axis of scores."""
    fig, panels = style.grid(len(profile.environments), columns=6, width=1.75, height=1.4)
    colours = style.method_colours(method.name for method in profile.methods)
    heights: list[float] = [0.0, 1.0]
    # Of many methods there is room for the means alone.
    single_seeds = len(profile.methods) <= 2
    for axes, environment in zip(panels, profile.environments, strict=True):
        anchor = anchors.loc[environment.name]
        for method in profile.methods:
            wide = over_steps(curves, environment.name, method.name, RETURN)
            wide = pd.DataFrame(normalise(wide.to_numpy(), anchor), wide.index, wide.columns)
            draw_curve(
                axes,
                wide,
                profile,
                colours[method.name],
                single=single_seeds,
                linewidth=1.8 if single_seeds else 1.2,
            )
            _mark_diverged(axes, wide, scores, environment.name, method.name, colours[method.name])
            heights += wide.mean(axis=1).dropna().tolist()
        for height, line in ((0, ":"), (1, "--")):
            axes.axhline(height, color=style.INK, linewidth=0.7, linestyle=line)
        if why_raw_only(anchor):
            axes.text(0.5, 0.5, "no clear reference", transform=axes.transAxes, ha="center", va="center")
        style.steps_axis(axes, profile.steps_for(environment))
        axes.set_title(environment.name.removesuffix("-v0"), fontsize=8)
        axes.set_xlabel("")
    low, high = max(-1.0, min(heights)), min(2.0, max(heights))
    for index, axes in enumerate(panels):
        axes.set(ylim=(low - 0.1, high + 0.1), ylabel="" if index % 6 else "score")
        axes.tick_params(labelsize=7, labelleft=index % 6 == 0)
    style.method_legend(fig, {method.name: colours[method.name] for method in profile.methods})
    style.note(
        fig,
        "score against environment steps: 0 (dotted) is random actions, 1 (dashed) the reference   ·   "
        f"×: run stopped because it diverged\n{curve_note(profile, single=single_seeds)}",
    )
    return fig


@style.styled
def cosine_figure(profile: Profile, curves: pd.DataFrame) -> Figure:
    """Cosine of a local rule's update to the true policy gradient, one panel per environment and probed method."""
    probed = curves[curves["metric"].str.startswith("cosine/")]
    found = probed[["environment", "method"]].drop_duplicates().itertuples(index=False, name=None)
    pairs = list(found)
    if not pairs:
        return style.empty_figure(NOT_PROBED)
    fig, panels = style.grid(len(pairs), columns=3, width=4.0)
    for axes, (environment, method) in zip(panels, pairs, strict=True):
        labels = []
        for metric, text, colour in _cosines(probed):
            labels.append(
                (
                    draw_curve(axes, over_steps(probed, environment, method, metric), profile, colour),
                    text,
                    colour,
                )
            )
        axes.axhline(0, color=style.INK, linewidth=0.6)
        axes.set(title=f"{environment}, {method}", ylabel="cosine to the true gradient")
        # Intervals of few seeds reach beyond what a cosine can be.
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, -1.05), min(high, 1.05))
        steps = [profile.steps_for(entry) for entry in profile.environments if entry.name == environment]
        style.steps_axis(axes, steps[0] if steps else profile.training.steps)
        style.label_ends(axes, labels)
    style.note(
        fig, f"1: the update is the policy gradient   ·   0: it has nothing of it\n{curve_note(profile)}"
    )
    return fig


@style.styled
def small_cosine_figure(profile: Profile, curves: pd.DataFrame) -> Figure:
    """Cosine of the whole actor's update to the true policy gradient, one panel per method: a line for every environment."""
    probed = curves[curves["metric"] == "cosine/actor"]
    methods = [name for name in (m.name for m in profile.methods) if name in set(probed["method"])]
    if not methods:
        return style.empty_figure(NOT_PROBED)
    fig, panels = style.grid(len(methods), columns=3, width=3.4)
    for axes, method in zip(panels, methods, strict=True):
        means = []
        for environment in profile.environments:
            wide = over_steps(probed, environment.name, method, "cosine/actor")
            if wide.empty:
                continue
            tenth = np.ceil(10 * wide.index / profile.steps_for(environment)) / 10
            means.append(wide.groupby(tenth).mean().mean(axis=1))
            axes.plot(means[-1].index, means[-1], color=style.BLUE, alpha=0.35, linewidth=0.9)
        over = pd.concat(means, axis=1).mean(axis=1).sort_index()
        axes.plot(over.index, over, color=style.INK)
        axes.axhline(0, color=style.INK, linewidth=0.6)
        axes.set(title=method, xlabel="share of the training", ylabel="cosine of single updates")
        axes.set(xlim=(0, 1), ylim=(-0.3, 1.02))
    style.note(
        fig,
        "mean over tenths of the training   ·   thin: one environment, black: over all\n"
        "1: the update is the policy gradient, 0: it has nothing of it",
    )
    return fig


def _cosines(probed: pd.DataFrame) -> list[tuple[str, str, str]]:
    """(metric, label, colour) of the whole actor and of every layer that was probed."""
    layers = sorted(probed["metric"].str.extract(r"^cosine/layer_(\d+)$")[0].dropna().astype(int).unique())
    colours = style.layer_colours(len(layers))
    whole = [("cosine/actor", "actor", style.INK)] if (probed["metric"] == "cosine/actor").any() else []
    return whole + [
        (f"cosine/layer_{n}", f"layer {n}", colour) for n, colour in zip(layers, colours, strict=True)
    ]


def _mark_diverged(
    axes: Axes, wide: pd.DataFrame, scores: pd.DataFrame, environment: str, method: str, colour: str
):
    """A cross on the curve of every diverged seed, where it was stopped."""
    runs = scores[(scores["environment"] == environment) & (scores["method"] == method)].set_index("seed")
    for seed, step in runs["diverged_at"].dropna().items():
        known = wide[seed].dropna() if seed in wide else []
        if len(known):
            axes.plot(
                step, np.interp(step, known.index, known), "x", color=colour, markersize=7, markeredgewidth=2
            )


def _anchor_lines(axes: Axes, anchor: pd.Series) -> list[tuple[float, str, str]]:
    lines = {"random": anchor["random_mean"], "reference": anchor["reference_return"]}
    known = {name: height for name, height in lines.items() if np.isfinite(height)}
    for name, height in known.items():
        axes.axhline(height, color=style.INK, linewidth=0.9, linestyle="--" if name == "reference" else ":")
    return [(height, f"{name} {number(height)}", style.INK) for name, height in known.items()]


def section(folder: Path, link: str) -> list[str]:
    """What the results page says, from the published files of `folder`; link: the folder, seen from the page."""
    return [image(folder, link, "learning"), image(folder, link, "cosine")]
