"""Learning without unrolling: do recurrent networks learn by the local rule, and does their memory help?"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from subcritic.config import Profile
from subcritic.reporting import comparison, documents, records, style
from subcritic.reporting.curves import curve_note
from subcritic.reporting.estimates import EQUAL_ADDED, described, interval, number
from subcritic.reporting.pages import bullets, image
from subcritic.studies.recurrent import STUDY
from subcritic.studies.recurrent.settings import Recurrent

BASELINES = ("random", "feedforward")
LOCAL = ("recurrent", "leaky")


def make(profile: Profile, root: Path) -> list[Path]:
    """Write table/recurrent.{csv,md} and figures/recurrent.{png,svg,pdf}."""
    curves, scores, played = (
        records.read(STUDY, name, profile, root) for name in ("curves", "scores", "random")
    )
    played["diverged_at"] = float("nan")
    table = comparison.score_table(pd.concat([scores, played.assign(method="random")]), BASELINES, profile)
    return [
        documents.write(root / "table" / "recurrent.csv", table),
        documents.write(root / "table" / "recurrent.md", markdown(profile, table)),
        *style.save(figure(profile, curves, played), root / "figures", "recurrent"),
    ]


def markdown(profile: Profile, table: pd.DataFrame) -> str:
    """The table for readers, with a sentence per environment."""
    return (
        "# Learning without unrolling\n\n"
        + "".join(f"- {sentence}\n" for sentence in sentences(table))
        + f"\n{documents.markdown(comparison.readable(table, BASELINES))}\n"
        "`recurrent`, `leaky` and `feedforward` have equally many neurons and learn by the same local rule, step by step; "
        "`ddpg` is feed-forward and learns by backpropagation; `random` acts uniformly. Return: mean over seeds of the last "
        f"evaluation, without noise [{described(profile)}]; differences are paired by seed "
        f"[{described(profile, EQUAL_ADDED)}].\n"
    )


def sentences(table: pd.DataFrame) -> list[str]:
    """For every environment and recurrent learner: is it better than random, and than the feed-forward network?"""
    found = []
    for environment in table["environment"].drop_duplicates():
        here = table[table["environment"] == environment].set_index("method")
        for method in LOCAL:
            parts = [
                f"{_verdict(here.loc[method], baseline)} {baseline} "
                f"({number(here.loc[method, f'minus_{baseline}'])} "
                f"{interval(here.loc[method, f'minus_{baseline}_low'], here.loc[method, f'minus_{baseline}_high'])})"
                for baseline in BASELINES
            ]
            fails = not here.loc[method, "minus_random_low"] > 0
            note = ", so that it is not shown to have learned the task" if fails else ""
            found.append(f"{environment}: `{method}` is {' and '.join(parts)}{note}.")
    return found


def _verdict(row: pd.Series, baseline: str) -> str:
    low, high = row[f"minus_{baseline}_low"], row[f"minus_{baseline}_high"]
    if low > 0:
        return "better than"
    return "worse than" if high < 0 else "not told apart from"


@style.styled
def figure(profile: Profile, curves: pd.DataFrame, played: pd.DataFrame) -> Figure:
    """Evaluation return against environment steps, one panel per task; dotted: the random policy."""
    settings = profile.section(Recurrent)
    fig, panels = style.grid(len(settings.environments), columns=3, width=4.0)
    for axes, environment in zip(panels, settings.environments, strict=True):
        labels = comparison.draw_learning(axes, curves, environment, settings.training, profile)
        height = float(played.loc[played["environment"] == environment.name, "score"].mean())
        axes.axhline(height, color=style.INK, linewidth=0.9, linestyle=":")
        style.label_ends(axes, [*labels, (height, "random", style.INK)])
    style.note(fig, curve_note(profile))
    return fig


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
