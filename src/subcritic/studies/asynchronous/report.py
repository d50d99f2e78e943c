"""Learning in threads: the return against the synchronous learner's, updates per second, and what processes must send."""

from __future__ import annotations

import re
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
from subcritic.studies.asynchronous import STUDY, traffic
from subcritic.studies.asynchronous.settings import WAYS, Asynchronous

BASELINE = ("synchronous",)
AGAINST = ("one_thread", "ddpg")


def make(profile: Profile, root: Path) -> list[Path]:
    """Write table/asynchronous.{csv,md}, table/asynchronous_{speed,messages}.csv and figures/asynchronous.{png,svg,pdf}."""
    curves, scores, lags, rounds, messages = (
        records.read(STUDY, name, profile, root) for name in ("curves", "scores", "lag", "rounds", "messages")
    )
    table, speeds = return_table(scores, profile), speed_table(rounds)
    sent = traffic.table(messages, profile.section(Asynchronous).distributed)
    folder = root / "table"
    return [
        documents.write(folder / "asynchronous.csv", table),
        documents.write(folder / "asynchronous_speed.csv", speeds),
        documents.write(folder / "asynchronous_messages.csv", sent),
        documents.write(folder / "asynchronous.md", markdown(profile, table, speeds, lags, sent)),
        *style.save(figure(profile, curves, speeds), root / "figures", "asynchronous"),
    ]


def return_table(scores: pd.DataFrame, profile: Profile) -> pd.DataFrame:
    """`comparison.score_table` of each rule; the column rule stands before method: synchronous or asynchronous."""
    tables = []
    split = scores["method"].str.rpartition("-")
    for rule in split[0].drop_duplicates():
        ours = scores[split[0] == rule].assign(method=split[2])
        table = comparison.score_table(ours, BASELINE, profile)
        table.insert(1, "rule", rule)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def speed_table(rounds: pd.DataFrame) -> pd.DataFrame:
    """Median updates per second, and median and quartiles of the ratios within a round.

    Columns: hidden, batch, learner, updates_per_second; over_one_thread, of the same rule (of ddpg 1), and over_ddpg, each
    with _quartile_1 and _quartile_3; rounds.
    """
    wide = rounds.pivot(index=[*SETTING, "round"], columns="learner", values="updates_per_second")
    rows = []
    for setting in settings(rounds):
        here = wide.loc[setting]
        for learner in rounds["learner"].drop_duplicates():
            row = [*setting, learner, here[learner].median()]
            for other in (rule_of(learner), "ddpg"):
                row += list((here[learner] / here[other]).quantile([0.5, 0.25, 0.75]))
            rows.append([*row, len(here)])
    columns = [*SETTING, "learner", "updates_per_second"]
    for name in AGAINST:
        columns += [f"over_{name}{end}" for end in ("", "_quartile_1", "_quartile_3")]
    return pd.DataFrame(rows, columns=[*columns, "rounds"])


def rule_of(learner: str) -> str:
    """The learner in one thread that this one is a version of: `linear` of `linear-threads-2`."""
    return re.sub(r"-(threads|layers|copies)-\d+$", "", learner)


def sentences(table: pd.DataFrame) -> list[str]:
    """For every environment and rule: does the asynchronous mean lie in the synchronous learner's interval?"""
    found = []
    for (environment, rule), rows in table.groupby(["environment", "rule"], sort=False):
        here = rows.set_index("method")
        ours, theirs = (here.loc[way] for way in reversed(WAYS))
        if np.isnan(theirs["low"]):
            verdict = "cannot be compared with an interval from one seed"
        else:
            inside = theirs["low"] <= ours["score"] <= theirs["high"]
            ends = f"[{number(theirs['low'])}, {number(theirs['high'])}]"
            verdict = f"lies {'within' if inside else 'outside'} the synchronous learner's interval {ends}"
            paired = [number(ours[f"minus_synchronous{end}"]) for end in ("", "_low", "_high")]
            verdict += f"; paired by seed, they differ by {paired[0]} [{paired[1]}, {paired[2]}]"
        found.append(
            f"{environment}, {rule}: the asynchronous learner's return, {number(ours['score'])}, {verdict}."
        )
    return found


def cost(speeds: pd.DataFrame) -> list[str]:
    """What threads make of the speed of each rule, over all sizes, beside copies that share nothing."""
    found, learners = [], list(speeds["learner"].drop_duplicates())
    for learner in learners:
        rule, threads, number_of_threads = learner.rpartition("-threads-")
        copies = f"{rule}-copies-{number_of_threads}"
        if not threads or copies not in learners:
            continue
        here, bound = (
            speeds[speeds["learner"] == name].set_index(SETTING)["over_one_thread"]
            for name in (learner, copies)
        )
        parts = ", ".join(
            f"{number(ratio)} at {hidden}/{batch} (copies {number(bound[hidden, batch])})"
            for (hidden, batch), ratio in here.items()
        )
        found.append(
            f"Updates per second of {rule} in {number_of_threads} threads, over those in one (hidden neurons/batch; in "
            f"brackets those of learners that share nothing): {parts}. Below 1, threads cost more than they save."
        )
    return found or ["No threads were timed."]


def markdown(
    profile: Profile, table: pd.DataFrame, speeds: pd.DataFrame, lags: pd.DataFrame, sent: pd.DataFrame
) -> str:
    """All tables for readers."""
    shown = pd.DataFrame([{
        "hidden": row.hidden, "batch": row.batch, "learner": row.learner,
        "updates/s": number(row.updates_per_second),
        "over one thread": _ratio(row.over_one_thread, row.over_one_thread_quartile_1, row.over_one_thread_quartile_3),
        "over ddpg": _ratio(row.over_ddpg, row.over_ddpg_quartile_1, row.over_ddpg_quartile_3),
    } for row in speeds.itertuples()])  # fmt: skip
    behind = "; ".join(
        f"{row.method} on {row.environment} {number(row.mean)} on average, {row.largest} at most"
        for row in lags.itertuples()
    )
    returns = comparison.readable(table, BASELINE)
    returns.insert(1, "rule", table["rule"])
    return (
        "# Learning in threads without a lock\n\n"
        + bullets([*sentences(table), *cost(speeds)])
        + f"\n{documents.markdown(returns)}\n"
        f"Return: mean over seeds of the last, noise-free evaluation [{described(profile)}]; differences are paired by "
        f"seed [{described(profile, EQUAL_ADDED)}]. Updates the slowest thread was behind acting: {behind}.\n\n"
        f"## Speed\n\n{documents.markdown(shown)}\n"
        "Medians over interleaved rounds, ratios within a round with quartiles. `ddpg` and each rule by its name learn on "
        "one thread; `over one thread` compares with the same rule there. `<rule>-threads-n`: in n threads; of the linear "
        "rule each has a share of the neurons, of other rules one has the global critic and the others the neurons. "
        "`linear-layers-n`: whole layers dealt to n threads. `<rule>-copies-n`: n whole learners in n threads that share "
        "nothing, the most that n threads can do.\n\n"
        f"{traffic.markdown(sent, profile.section(Asynchronous).distributed)}"
    )


def _ratio(middle: float, low: float, high: float) -> str:
    return f"{number(middle)} ({number(low)} to {number(high)})"


@style.styled
def figure(profile: Profile, curves: pd.DataFrame, speeds: pd.DataFrame) -> Figure:
    """Learning both ways, one panel per task; last, updates per second over the same rule's in one thread."""
    settings = profile.section(Asynchronous)
    fig, panels = style.grid(len(settings.environments) + 1, columns=2, width=6.0)
    for axes, environment in zip(panels, settings.environments, strict=False):
        labels = comparison.draw_learning(axes, curves, environment, settings.training, profile)
        style.label_ends(axes, labels)
    _draw_speeds(panels[-1], speeds)
    style.note(fig, f"{curve_note(profile)}\nspeed: medians and quartiles of ratios within a round")
    return fig


def _draw_speeds(axes: Axes, speeds: pd.DataFrame) -> None:
    measured = settings(speeds)
    learners = [name for name in speeds["learner"].drop_duplicates() if name != rule_of(name)]
    colours, labels = style.method_colours(learners), []
    for index, learner in enumerate(learners):
        rows = speeds[speeds["learner"] == learner].set_index(SETTING).reindex(measured)
        places = np.arange(len(measured)) + (index - (len(learners) - 1) / 2) * 0.1
        middle = rows["over_one_thread"]
        whiskers = [middle - rows["over_one_thread_quartile_1"], rows["over_one_thread_quartile_3"] - middle]
        axes.errorbar(
            places, middle, yerr=whiskers, color=colours[learner], marker="o", linewidth=1, markersize=4
        )
        labels.append((middle.iloc[-1], learner, colours[learner]))
    axes.axhline(1, color=style.INK, linewidth=0.6)
    axes.set(ylabel="updates/s, ratio to one thread", title="Speed", ylim=(0, None))
    axes.set_xticks(
        range(len(measured)), [f"{hidden}\nbatch {batch}" for hidden, batch in measured], fontsize=6
    )
    style.label_ends(axes, labels)


def section(folder: Path, link: str) -> list[str]:
    """What the results page says, from the published files of `folder`; link: the folder, seen from the page."""
    found = [
        *sentences(pd.read_csv(folder / "asynchronous.csv")),
        *cost(pd.read_csv(folder / "asynchronous_speed.csv")),
    ]
    found += traffic.sentences(pd.read_csv(folder / "asynchronous_messages.csv"))
    return [
        bullets(found),
        image(folder, link, "asynchronous"),
        f"Tables: [asynchronous.md]({link}/asynchronous.md).\n",
    ]


def metrics(tables: Path) -> dict[str, float]:
    """Mean return per rule, method and environment, for MLflow."""
    table = pd.read_csv(tables / "asynchronous.csv")
    return comparison.metrics(table.assign(method=table["rule"] + "-" + table["method"]))
