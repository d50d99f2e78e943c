"""Learning without unrolling: do recurrent networks learn by the local rule, and does their memory help?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from subcritic.config import Profile
from subcritic.reporting import comparison, documents, records, style
from subcritic.reporting.curves import curve_note
from subcritic.reporting.estimates import (
    EQUAL_ADDED,
    Estimate,
    described,
    difference,
    number,
    over_seeds,
)
from subcritic.reporting.pages import bullets, image
from subcritic.studies.recurrent import STUDY
from subcritic.studies.recurrent.settings import (
    LEARNED,
    OBSERVED,
    RANDOM,
    THROUGH_TIME,
    Recurrent,
)

BASELINES = (RANDOM, THROUGH_TIME, "feedforward")
AGREEMENT = "agreement/hidden"
# What a rule should reach of the return that backpropagation through time has over random actions.
AIM = 0.9
# The methods whose curves are drawn; the others are in the table.
DRAWN = (LEARNED, THROUGH_TIME, "no-lags", "action-only", "feedforward", OBSERVED)
NOTHING = Estimate(np.nan, np.nan, np.nan)
# A task counts as remembered from this share of the largest possible return.
REMEMBERED = 0.9


def make(profile: Profile, root: Path) -> list[Path]:
    """Write table/recurrent.{csv,md} and figures/recurrent.{png,svg,pdf}."""
    curves, scores = (records.read(STUDY, name, profile, root) for name in ("curves", "scores"))
    table = results(profile, curves, scores)
    return [
        documents.write(root / "table" / "recurrent.csv", table),
        documents.write(root / "table" / "recurrent.md", markdown(profile, table)),
        *style.save(figure(profile, curves, table), root / "figures", "recurrent"),
    ]


def results(profile: Profile, curves: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """The score table; and maze: the steps to remember, NaN where it is no maze.

    share: of the return over random actions that backpropagation through time has, NaN where that is not shown to have any.
    minus_aim…: the return less that at 0.9 of it, paired by seed. agreement…: of the hidden neurons' updates with
    backpropagation through time, mean over training.
    """
    table, settings = comparison.score_table(scores, BASELINES, profile), profile.section(Recurrent)
    mazes = {task.name: settings.maze(task) for task in settings.environments}
    table["maze"] = [float(mazes[name] or np.nan) for name in table["environment"]]
    cosines = curves[curves["metric"] == AGREEMENT].groupby(["environment", "method", "seed"])["value"].mean()
    learned = table[table["method"] == THROUGH_TIME].set_index("environment")[f"minus_{RANDOM}_low"] > 0
    rows = []
    for row in table.itertuples():
        here = scores[scores["environment"] == row.environment]
        wide = here.pivot(index="seed", columns="method", values="score")
        floor = wide[RANDOM].mean()
        span = wide[THROUGH_TIME] - floor
        share, beyond = np.nan, NOTHING
        if learned[row.environment]:
            share = (row.score - floor) / span.mean()
            beyond = difference(wide[row.method], floor + AIM * span, profile)
        agreement = NOTHING
        if (row.environment, row.method) in cosines.index.droplevel("seed"):
            agreement = over_seeds(cosines[row.environment, row.method].to_numpy(), profile)
        rows.append([share, *beyond, *agreement])
    names = ["share"] + [
        f"{name}{end}" for name in ("minus_aim", "agreement") for end in ("", "_low", "_high")
    ]
    return table.assign(**dict(zip(names, np.array(rows, float).T, strict=True)))


def markdown(profile: Profile, table: pd.DataFrame) -> str:
    """The table for readers, with a sentence per environment."""
    shown = comparison.readable(table, BASELINES)
    shown.insert(
        3, "of backpropagation's", ["" if np.isnan(share) else number(share) for share in table["share"]]
    )
    shown["agreement"] = [
        "" if np.isnan(row.agreement) else str(Estimate(row.agreement, row.agreement_low, row.agreement_high))
        for row in table.itertuples()
    ]
    return (
        "# Learning without unrolling\n\n"
        + "".join(f"- {sentence}\n" for sentence in sentences(table))
        + f"\n{documents.markdown(shown)}\n"
        "All but `linear` and `random` have the same critic, which remembers by decaying sums of what was observed and "
        "done. "
        "`learned-feedback`: neurons learn from their own noise how they move the action now and some steps later. "
        "`backpropagation`: the same actor through time, over the same sequences. `no-lags`: learned feedback that "
        "counts what "
        "a neuron does to the action of the same step alone. `action-only`: only the action's neurons learn. "
        "`random-graph`: "
        "learned feedback, on a random graph of as many neurons. `feedforward`: learned feedback without recurrent "
        "connections. "
        "`observed`: this, with nothing hidden. `linear`: the drafts' rule in a recurrent network. "
        "`random`: uniform random actions.\n\n"
        f"Return: mean over seeds of the last evaluation, without noise [{described(profile)}]; differences are paired "
        "by seed "
        f"[{described(profile, EQUAL_ADDED)}]. *Of backpropagation's*: the share of the return over random actions that "
        "backpropagation through time has. *Agreement*: cosine between the hidden neurons' update and that of "
        "backpropagation "
        f"through time, mean over training [{described(profile)}].\n"
    )


def sentences(table: pd.DataFrame) -> list[str]:
    """For every environment: what learned feedback reaches; and how far memory reaches in the maze."""
    found = []
    for environment in table["environment"].drop_duplicates():
        here = table[table["environment"] == environment].set_index("method")
        mine, through = here.loc[LEARNED], here.loc[THROUGH_TIME]
        said = f"{environment}: learned feedback without unrolling returns {_score(mine)}"
        if np.isnan(mine["share"]):
            found.append(
                f"{said}, backpropagation through time {_score(through)}, which is not shown to be better than random "
                "actions."
            )
            continue
        found.append(
            f"{said}, {number(mine['share'])} of what backpropagation through time has over random actions, "
            f"{_aim(mine)}. It is "
            f"{_against(mine, 'feedforward')} the same rule without recurrent connections{_observed(here)}. "
            f"{_controls(here)}"
        )
    return [*found, *_reach(table)]


def _score(row: pd.Series) -> str:
    return str(Estimate(row["score"], row["low"], row["high"]))


def _aim(row: pd.Series) -> str:
    low, high = row["minus_aim_low"], row["minus_aim_high"]
    if low > 0:
        return f"more than {AIM:g} of it"
    if high < 0:
        return f"less than {AIM:g} of it"
    return f"which is not told apart from {AIM:g} of it"


def _against(row: pd.Series, baseline: str) -> str:
    low, high = row[f"minus_{baseline}_low"], row[f"minus_{baseline}_high"]
    if np.isnan(low):
        return "not compared, from one seed, with"
    return "better than" if low > 0 else "worse than" if high < 0 else "not told apart from"


def _observed(here: pd.DataFrame) -> str:
    if OBSERVED not in here.index:
        return ""
    return f", which returns {number(here.loc[OBSERVED, 'score'])} where nothing is hidden"


def _controls(here: pd.DataFrame) -> str:
    names = {
        "random-graph": "learned feedback on a random graph",
        "no-lags": "counting the same step alone",
        "action-only": "learning in the action's neurons alone",
        "linear": "the drafts' rule",
    }
    said = [f"{what} returns {_score(here.loc[name])}" for name, what in names.items() if name in here.index]
    return f"Beside it, {', '.join(said)}." if said else ""


def _reach(table: pd.DataFrame) -> list[str]:
    """How far memory reaches in the maze: the longest of which `REMEMBERED` is reached, and every shorter one."""
    mazes = table[table["maze"].notna()]
    if mazes.empty:
        return []
    said = []
    for method, name in ((LEARNED, "learned feedback"), (THROUGH_TIME, "backpropagation through time")):
        mine = mazes[mazes["method"] == method].sort_values("maze")
        reached = [row.maze for row in mine.itertuples() if row.score >= REMEMBERED]
        failed = [row.maze for row in mine.itertuples() if row.score < REMEMBERED]
        far = max((length for length in reached if all(length < other for other in failed)), default=0)
        said.append(f"{name} {far:.0f}" if far else f"{name} none of them")
    lengths = ", ".join(f"{length:.0f}" for length in sorted(mazes["maze"].unique()))
    return [
        f"T-maze with {lengths} steps between cue and junction: the longest that is remembered, with a mean return of "
        f"{REMEMBERED:g} or more there and at every shorter one: {'; '.join(said)}."
    ]


@style.styled
def figure(profile: Profile, curves: pd.DataFrame, table: pd.DataFrame) -> Figure:
    """Evaluation return against environment steps, one panel per task; dotted: the uniform random policy. Last, the maze."""
    settings = profile.section(Recurrent)
    mazes = table["maze"].nunique()
    fig, panels = style.grid(len(settings.environments) + (mazes > 1), columns=3, width=4.0)
    drawn = curves[curves["method"].isin(DRAWN)]
    for axes, environment in zip(panels, settings.environments, strict=False):
        labels = comparison.draw_learning(axes, drawn, environment, settings.training, profile)
        here = table[(table["environment"] == environment.name) & (table["method"] == RANDOM)]
        height = float(here["score"].iloc[0])
        axes.axhline(height, color=style.INK, linewidth=0.9, linestyle=":")
        style.label_ends(axes, [*labels, (height, RANDOM, style.INK)])
    if mazes > 1:
        _draw_reach(panels[len(settings.environments)], table)
    style.note(fig, curve_note(profile))
    return fig


def _draw_reach(axes: Axes, table: pd.DataFrame) -> None:
    """Return against the length of the maze, with intervals."""
    colours, labels = style.method_colours(DRAWN), []
    # Side by side, so that no interval hides another.
    beside = 0.01 * table["maze"].max()
    for place, method in enumerate(DRAWN):
        mine = table[(table["method"] == method) & table["maze"].notna()].sort_values("maze")
        whiskers = [mine["score"] - mine["low"], mine["high"] - mine["score"]]
        axes.errorbar(
            mine["maze"] + beside * (place - len(DRAWN) / 2),
            mine["score"],
            yerr=whiskers,
            color=colours[method],
            marker="o",
            markersize=4,
            linewidth=1,
        )
        if len(mine):
            labels.append((float(mine["score"].iloc[-1]), method, colours[method]))
    axes.set(xlabel="steps between cue and junction", ylabel="return", title="How far memory reaches")
    # No return lies beyond 1, but intervals do.
    axes.set_ylim(-1.05, 1.55)
    axes.axhline(1.0, color=style.INK, linewidth=0.9, linestyle="--")
    style.label_ends(axes, labels)


def section(folder: Path, link: str) -> list[str]:
    """What the results page says, from the published files of `folder`; link: the folder, seen from the page."""
    return [
        bullets(sentences(pd.read_csv(folder / "recurrent.csv"))),
        image(folder, link, "recurrent"),
        f"Tables: [recurrent.md]({link}/recurrent.md).\n",
    ]


def metrics(tables: Path) -> dict[str, float]:
    """Mean return per method and environment, for MLflow."""
    return comparison.metrics(pd.read_csv(tables / "recurrent.csv"))
