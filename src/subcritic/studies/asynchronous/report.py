"""Learning in threads: the return against the synchronous learner's, and updates per second against DDPG's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from subcritic.config import Profile
from subcritic.reporting import comparison, documents, records, style
from subcritic.reporting.curves import curve_note
from subcritic.reporting.estimates import EQUAL_ADDED, described, number
from subcritic.reporting.pages import bullets, image
from subcritic.reporting.rounds import SETTING, settings
from subcritic.studies.asynchronous import STUDY
from subcritic.studies.asynchronous.settings import Asynchronous

BASELINE = ("synchronous",)
AGAINST = ("linear", "ddpg")


def make(profile: Profile, root: Path) -> list[Path]:
    """Write table/asynchronous.{csv,md}, table/asynchronous_speed.csv and figures/asynchronous.{png,svg,pdf}."""
    curves, scores, lags, rounds = (
        records.read(STUDY, name, profile, root) for name in ("curves", "scores", "lag", "rounds")
    )
    table, speeds = comparison.score_table(scores, BASELINE, profile), speed_table(rounds)
    folder = root / "table"
    return [
        documents.write(folder / "asynchronous.csv", table),
        documents.write(folder / "asynchronous_speed.csv", speeds),
        documents.write(folder / "asynchronous.md", markdown(profile, table, speeds, lags)),
        *style.save(figure(profile, curves, speeds), root / "figures", "asynchronous"),
    ]


def speed_table(rounds: pd.DataFrame) -> pd.DataFrame:
    """Median updates per second, and median and quartiles of the ratios within a round.

    Columns: hidden, batch, learner, updates_per_second, and for linear and ddpg over_<name>, over_<name>_quartile_1,
    over_<name>_quartile_3; rounds.
    """
    wide = rounds.pivot(index=[*SETTING, "round"], columns="learner", values="updates_per_second")
    rows = []
    for setting in settings(rounds):
        here = wide.loc[setting]
        for learner in rounds["learner"].drop_duplicates():
            row = [*setting, learner, here[learner].median()]
            for other in AGAINST:
                row += list((here[learner] / here[other]).quantile([0.5, 0.25, 0.75]))
            rows.append([*row, len(here)])
    columns = [*SETTING, "learner", "updates_per_second"]
    for other in AGAINST:
        columns += [f"over_{other}{end}" for end in ("", "_quartile_1", "_quartile_3")]
    return pd.DataFrame(rows, columns=[*columns, "rounds"])


def sentences(table: pd.DataFrame) -> list[str]:
    """For every environment: does the asynchronous mean lie in the synchronous learner's interval?"""
    found = []
    for environment in table["environment"].drop_duplicates():
        here = table[table["environment"] == environment].set_index("method")
        ours, theirs = here.loc["asynchronous"], here.loc["synchronous"]
        if np.isnan(theirs["low"]):
            verdict = "cannot be compared with an interval from one seed"
        else:
            inside = theirs["low"] <= ours["score"] <= theirs["high"]
            ends = f"[{number(theirs['low'])}, {number(theirs['high'])}]"
            verdict = f"lies {'within' if inside else 'outside'} the synchronous learner's interval {ends}"
            paired = [number(ours[f"minus_synchronous{end}"]) for end in ("", "_low", "_high")]
            verdict += f"; paired by seed, they differ by {paired[0]} [{paired[1]}, {paired[2]}]"
        found.append(f"{environment}: the asynchronous learner's return, {number(ours['score'])}, {verdict}.")
    return found


def markdown(profile: Profile, table: pd.DataFrame, speeds: pd.DataFrame, lags: pd.DataFrame) -> str:
    """Both tables for readers."""
    shown = pd.DataFrame([{
        "hidden": row.hidden, "batch": row.batch, "learner": row.learner,
        "updates/s": number(row.updates_per_second),
        "over linear": _ratio(row.over_linear, row.over_linear_quartile_1, row.over_linear_quartile_3),
        "over ddpg": _ratio(row.over_ddpg, row.over_ddpg_quartile_1, row.over_ddpg_quartile_3),
    } for row in speeds.itertuples()])  # fmt: skip
    behind = "; ".join(
        f"{row.environment} {number(row.mean)} on average, {row.largest} at most" for row in lags.itertuples()
    )
    return (
        "# Learning in threads without a lock\n\n"
        + "".join(f"- {sentence}\n" for sentence in sentences(table))
        + f"\n{documents.markdown(comparison.readable(table, BASELINE))}\n"
        f"Return: mean over seeds of the last, noise-free evaluation [{described(profile)}]; differences are paired by "
        f"seed [{described(profile, EQUAL_ADDED)}]. Updates the slowest thread was behind acting: {behind}.\n\n"
        f"## Speed\n\n{documents.markdown(shown)}\n"
        "Medians over interleaved rounds, ratios within a round with quartiles. `linear` and `ddpg` learn on one thread; "
        "`threads-n`: the linear rule's neurons dealt to n threads; `layers-n`: whole layers dealt to n threads; "
        "`copies-n`: n whole learners in n threads, the most that n threads can do.\n"
    )


def _ratio(middle: float, low: float, high: float) -> str:
    return f"{number(middle)} ({number(low)} to {number(high)})"


@style.styled
def figure(profile: Profile, curves: pd.DataFrame, speeds: pd.DataFrame) -> Figure:
    """Learning both ways, one panel per task; last, updates per second over the synchronous learner's."""
    settings = profile.section(Asynchronous)
    fig, panels = style.grid(len(settings.environments) + 1, columns=3, width=4.0)
    for axes, environment in zip(panels, settings.environments, strict=False):
        labels = comparison.draw_learning(axes, curves, environment, settings.training, profile)
        style.label_ends(axes, labels)
    _draw_speeds(panels[-1], speeds)
    style.note(fig, f"{curve_note(profile)}\nspeed: medians and quartiles of ratios within a round")
    return fig


def _draw_speeds(axes: Axes, speeds: pd.DataFrame) -> None:
    measured = settings(speeds)
    learners = [name for name in speeds["learner"].drop_duplicates() if name != "linear"]
    colours, labels = style.method_colours(learners), []
    for index, learner in enumerate(learners):
        rows = speeds[speeds["learner"] == learner].set_index(SETTING).reindex(measured)
        places = np.arange(len(measured)) + (index - (len(learners) - 1) / 2) * 0.1
        middle = rows["over_linear"]
        whiskers = [middle - rows["over_linear_quartile_1"], rows["over_linear_quartile_3"] - middle]
        axes.errorbar(
            places, middle, yerr=whiskers, color=colours[learner], marker="o", linewidth=1, markersize=4
        )
        labels.append((middle.iloc[-1], learner, colours[learner]))
    axes.axhline(1, color=style.INK, linewidth=0.6)
    axes.set(ylabel="updates/s, ratio to linear", title="Speed", ylim=(0, None))
    axes.set_xticks(
        range(len(measured)), [f"{hidden}\nbatch {batch}" for hidden, batch in measured], fontsize=6
    )
    style.label_ends(axes, labels)


def section(folder: Path, link: str) -> list[str]:
    """What the results page says, from the published files of `folder`; link: the folder, seen from the page."""
    return [
        bullets(sentences(pd.read_csv(folder / "asynchronous.csv"))),
        image(folder, link, "asynchronous"),
        f"Tables: [asynchronous.md]({link}/asynchronous.md).\n",
    ]


def metrics(tables: Path) -> dict[str, float]:
    """Mean return per method and environment, for MLflow."""
    return comparison.metrics(pd.read_csv(tables / "asynchronous.csv"))
