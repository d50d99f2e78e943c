"""Neurons with clocks: what a slow network costs, and what its neurons know of the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from subcritic.config import Profile
from subcritic.reporting import comparison, documents, records, style
from subcritic.reporting.estimates import (
    EQUAL_ADDED,
    Estimate,
    described,
    difference,
    number,
    over_seeds,
)
from subcritic.reporting.pages import bullets, image
from subcritic.studies.clocks import STUDY
from subcritic.studies.clocks.settings import AT_ONCE, CLOCKS, LEARNERS, Clocks, method_of

LEARNED, THROUGH_TICKS = "learned-feedback", "backpropagation"
NAMES = {"common": "a common clock", "own": "a clock for each neuron"}
# Cosines with backpropagation through all ticks: by feedback of all lags, and of the same step alone.
KINDS = {"agreement": "all lags", "agreement_at_once": "the same step"}
LINES = {"common": "-", "own": "--"}


def make(profile: Profile, root: Path) -> list[Path]:
    """Write table/clocks.{csv,md} and figures/clocks.{png,svg,pdf}."""
    curves, scores, reach = (
        records.read(STUDY, name, profile, root) for name in ("curves", "scores", "reach")
    )
    table = results(profile, curves, scores, reach)
    return [
        documents.write(root / "table" / "clocks.csv", table),
        documents.write(root / "table" / "clocks.md", markdown(profile, table)),
        *style.save(figure(profile, table), root / "figures", "clocks"),
    ]


def results(
    profile: Profile, curves: pd.DataFrame, scores: pd.DataFrame, reach: pd.DataFrame
) -> pd.DataFrame:
    """One row for each environment, clock, ℓ and learner.

    score, low, high: mean over seeds of the last evaluation. minus_backpropagation…, minus_fastest…: differences paired by
    seed, to backpropagation with the same clock and ℓ, and to the same clock and learner with the largest ℓ. agreement_l…,
    agreement_at_once_l…: cosines of layer l, see `GraphLearner.metrics`, mean over training. reach_l: of its neurons, the
    share that can change the action of the same step. diverged, seeds (with a score), failed (without one).
    """
    settings, rows = profile.section(Clocks), []
    layers = range(1, len(settings.agent.hidden) + 1)
    cosines = curves[curves["metric"].str.startswith("agreement")]
    cosines = cosines.groupby(["environment", "method", "metric", "seed"])["value"].mean()
    share = reach.set_index(["environment", "method", "layer"])["share"]
    for environment in scores["environment"].drop_duplicates():
        here = scores[scores["environment"] == environment]
        wide = here.pivot(index="seed", columns="method", values="score")
        diverged = here.set_index("method")["diverged_at"].notna().groupby(level=0).sum()
        for clock in CLOCKS:
            for ticks in settings.ticks:
                for learner in LEARNERS:
                    method = method_of(clock, ticks, learner)
                    if method not in wide:
                        continue
                    row: list = [environment, clock, ticks, learner, *over_seeds(wide[method], profile)]
                    for other in (
                        method_of(clock, ticks, THROUGH_TICKS),
                        method_of(clock, max(settings.ticks), learner),
                    ):
                        same = other == method
                        row += [np.nan] * 3 if same else list(difference(wide[method], wide[other], profile))
                    for kind in KINDS:
                        for layer in layers:
                            key = (environment, method, f"{kind}/layer_{layer}")
                            known = key in cosines.index.droplevel("seed")
                            row += list(over_seeds(cosines[key], profile)) if known else [np.nan] * 3
                    row += [share[environment, method, layer] for layer in layers]
                    failed = int(wide[method].isna().sum())
                    rows.append([*row, int(diverged[method]), len(wide) - failed, failed])
    ends = ("", "_low", "_high")
    names = ["environment", "clock", "ticks", "learner", "score", "low", "high"]
    names += [f"minus_{other}{end}" for other in ("backpropagation", "fastest") for end in ends]
    names += [f"{kind}_{layer}{end}" for kind in KINDS for layer in layers for end in ends]
    names += [f"reach_{layer}" for layer in layers] + ["diverged", "seeds", "failed"]
    return pd.DataFrame(rows, columns=names)


def layers_of(table: pd.DataFrame) -> list[int]:
    """Numbers of the hidden layers, from the names of columns."""
    return [int(name.removeprefix("reach_")) for name in table.columns if name.startswith("reach_")]


def markdown(profile: Profile, table: pd.DataFrame) -> str:
    """The table for readers, with sentences."""
    layers = layers_of(table)
    shown = table[["environment", "clock", "ticks", "learner"]].copy()
    shown["return"] = _estimates(table, "score", ("low", "high"))
    shown["minus backpropagation"] = _estimates(table, "minus_backpropagation")
    shown["minus largest ℓ"] = _estimates(table, "minus_fastest")
    for layer in layers:
        for kind, name in KINDS.items():
            shown[f"layer {layer}: {name}"] = _estimates(table, f"{kind}_{layer}")
        shown[f"layer {layer}: reach"] = [number(share) for share in table[f"reach_{layer}"]]
    shown["diverged"] = [comparison.diverged(row) for row in table.itertuples()]
    return (
        "# Neurons with clocks\n\n"
        + "".join(f"- {sentence}\n" for sentence in sentences(table))
        + f"\n{documents.markdown(shown)}\n"
        "*Ticks*: ℓ, how often a neuron updates in an environment step; with own clocks, on average. *Return*: mean "
        "over seeds "
        f"of the last evaluation, without noise [{described(profile)}]; differences are paired by seed "
        f"[{described(profile, EQUAL_ADDED)}], to backpropagation through all ticks with the same clocks, and to the "
        "largest ℓ. "
        "*All lags*, *the same step*: cosine between the update of a layer's connections and that of backpropagation, by "
        "feedback of all lags, and by that of the same environment step alone; mean over training. *Reach*: the share "
        "of the "
        "layer's neurons whose voltage can change the action of the same step.\n"
    )


def _estimates(table: pd.DataFrame, name: str, ends: tuple[str, str] | None = None) -> list[str]:
    low, high = ends or (f"{name}_low", f"{name}_high")
    parts = table[[name, low, high]].to_numpy()
    return ["" if np.isnan(values[0]) else str(Estimate(*values)) for values in parts]


def sentences(table: pd.DataFrame) -> list[str]:
    """For every environment: what few ticks cost, whether own clocks learn, what the same step alone tells a neuron."""
    found = []
    for environment in table["environment"].drop_duplicates():
        here = table[table["environment"] == environment]
        for clock in CLOCKS:
            mine = here[(here["clock"] == clock) & (here["learner"] == LEARNED)].sort_values("ticks")
            found.append(
                f"{environment}, {NAMES[clock]}: {_cost(mine)} {_beside_backpropagation(mine)}".strip()
            )
        found.append(f"{environment}: {_at_once(here)}")
    return found


def _cost(mine: pd.DataFrame) -> str:
    returns = ", ".join(
        f"{Estimate(row.score, row.low, row.high)} with ℓ = {row.ticks}" for row in mine.itertuples()
    )
    if mine["minus_fastest_low"].isna().all():
        return f"learned feedback returns {returns}, without intervals from one seed."
    worse = [str(row.ticks) for row in mine.itertuples() if row.minus_fastest_high < 0]
    most = int(mine["ticks"].max())
    verdict = f"worse than ℓ = {most} with ℓ = {' and '.join(worse)}"
    if not worse:
        verdict = f"none is shown to be worse than ℓ = {most}"
    return f"learned feedback returns {returns}; {verdict}, paired by seed."


def _beside_backpropagation(mine: pd.DataFrame) -> str:
    if mine["minus_backpropagation_low"].isna().all():
        return ""
    better = [str(row.ticks) for row in mine.itertuples() if row.minus_backpropagation_low > 0]
    worse = [str(row.ticks) for row in mine.itertuples() if row.minus_backpropagation_high < 0]
    parts = [
        f"{word} with ℓ = {' and '.join(which)}"
        for word, which in (("better", better), ("worse", worse))
        if which
    ]
    if not parts:
        return "It is not told apart from backpropagation through all ticks with any ℓ."
    if len(better) + len(worse) < len(mine):
        parts.append("not told apart with the others")
    return f"Against backpropagation through all ticks it is {', '.join(parts)}."


def _at_once(here: pd.DataFrame) -> str:
    """What feedback of the same step says to layers that reach the action in it, and to those that do not."""
    common = here[(here["clock"] == "common") & (here["learner"] == LEARNED)]
    below, above = _split(common)
    trained = here[(here["clock"] == "common") & (here["learner"] == AT_ONCE)]
    returns = ", ".join(
        f"{number(row.score)} with ℓ = {row.ticks}" for row in trained.sort_values("ticks").itertuples()
    )
    return (
        f"feedback of the same step alone has a cosine with the true gradient of {_span(below)} in layers that do not "
        "reach the "
        f"action in it, and of {_span(above)} in those that do; trained with it alone, returns are {returns}."
    )


def _split(rows: pd.DataFrame) -> tuple[list[float], list[float]]:
    """Cosines at once of layers without reach, and of those with."""
    found: tuple[list[float], list[float]] = ([], [])
    for layer in layers_of(rows):
        for reach, cosine in zip(rows[f"reach_{layer}"], rows[f"agreement_at_once_{layer}"], strict=True):
            found[reach > 0].append(cosine)
    return found


def _span(values: Sequence[float]) -> str:
    if not values:
        return "none"
    return f"{number(min(values))} to {number(max(values))}" if len(values) > 1 else number(values[0])


@style.styled
def figure(profile: Profile, table: pd.DataFrame) -> Figure:
    """Against ℓ: above, the return on every environment; below, the agreement of each layer with backpropagation."""
    environments = list(table["environment"].drop_duplicates())
    fig, panels = style.grid(2 * len(environments), columns=len(environments), width=4.6)
    ticks = profile.section(Clocks).ticks
    for column, environment in enumerate(environments):
        here = table[table["environment"] == environment]
        _draw_returns(panels[column], here, environment)
        _draw_agreement(panels[len(environments) + column], here)
    for axes in panels:
        axes.set_xticks(np.log2(ticks), [str(number) for number in ticks])
        axes.set_xlabel("ticks of a neuron in an environment step, ℓ")
        if axes.lines:
            axes.legend(fontsize=6, frameon=False)
    style.note(
        fig, f"solid: a common clock   ·   dashed: a clock for each neuron   ·   bars: {described(profile)}"
    )
    return fig


def _draw_returns(axes: Axes, here: pd.DataFrame, environment: str) -> None:
    colours = style.method_colours(LEARNERS)
    for clock in CLOCKS:
        for learner in LEARNERS:
            mine = here[(here["clock"] == clock) & (here["learner"] == learner)].sort_values("ticks")
            _draw(axes, mine, "score", ("low", "high"), colours[learner], clock, learner)
    axes.set(title=environment, ylabel="return")


def _draw_agreement(axes: Axes, here: pd.DataFrame) -> None:
    layers = layers_of(here)
    colours = style.method_colours([f"layer {layer}: {name}" for layer in layers for name in KINDS.values()])
    for clock in CLOCKS:
        mine = here[(here["clock"] == clock) & (here["learner"] == LEARNED)].sort_values("ticks")
        for layer in layers:
            for kind, name in KINDS.items():
                column, label = f"{kind}_{layer}", f"layer {layer}: {name}"
                _draw(axes, mine, column, (f"{column}_low", f"{column}_high"), colours[label], clock, label)
    axes.axhline(0, color=style.INK, linewidth=0.6)
    axes.set(ylabel="cosine with backpropagation", ylim=(-0.4, 1.05))


def _draw(
    axes: Axes, rows: pd.DataFrame, name: str, ends: tuple[str, str], colour: str, clock: str, label: str
) -> None:
    if rows.empty:
        return
    whiskers = [rows[name] - rows[ends[0]], rows[ends[1]] - rows[name]]
    axes.errorbar(
        np.log2(rows["ticks"]), rows[name], yerr=whiskers, color=colour, linestyle=LINES[clock], marker="o", markersize=3,
        linewidth=1, label=label if clock == CLOCKS[0] else None,
    )  # fmt: skip


def section(folder: Path, link: str) -> list[str]:
    """What the results page says, from the published files of `folder`; link: the folder, seen from the page."""
    return [
        bullets(sentences(pd.read_csv(folder / "clocks.csv"))),
        image(folder, link, "clocks"),
        f"Tables: [clocks.md]({link}/clocks.md).\n",
    ]


def metrics(tables: Path) -> dict[str, float]:
    """Mean return per method and environment, for MLflow."""
    table = pd.read_csv(tables / "clocks.csv")
    return {
        f"return/{method_of(row.clock, row.ticks, row.learner)}/{row.environment}": row.score
        for row in table.itertuples()
    }
