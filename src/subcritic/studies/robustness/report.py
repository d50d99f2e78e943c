"""How the return of every trained policy falls with noise on its observations, and with silenced neurons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from subcritic.config import Profile
from subcritic.reporting import documents, records, style
from subcritic.reporting.estimates import (
    EQUAL_ADDED,
    Estimate,
    described,
    difference,
    over_seeds,
    percent,
)
from subcritic.reporting.normalise import normalise
from subcritic.reporting.pages import bullets, image
from subcritic.studies.robustness import STUDY
from subcritic.studies.robustness.settings import NOISE, NONE, SILENCED, Robustness

KEYS = ["environment", "method", "disturbance", "level"]
COMPARED = (
    "In brackets: whether a method loses more or less return than the first one with backpropagation, paired by seed; "
    "'not told apart' where the interval of the difference includes 0 "
    f"(a t-interval with {EQUAL_ADDED}). A method whose policies are no better than random actions has nothing to lose.\n"
)


def make(profile: Profile, root: Path) -> list[Path]:
    """Write table/robustness.{csv,md} and figures/robustness.{png,svg,pdf}."""
    returns, anchors = records.read(STUDY, "returns", profile, root), records.anchors(profile, root)
    table = summary(profile, returns, anchors)
    return [
        documents.write(root / "table" / "robustness.csv", table),
        documents.write(root / "table" / "robustness.md", markdown(profile, table)),
        *style.save(figure(profile, table), root / "figures", "robustness"),
    ]


def summary(profile: Profile, returns: pd.DataFrame, anchors: pd.DataFrame) -> pd.DataFrame:
    """One row per environment, method, disturbance and level.

    Columns: KEYS, role; score, low, high: mean return over draws and seeds, with its interval over seeds; loss, loss_low,
    loss_high: by how much it is below the same seeds' undisturbed return; lost, lost_low, lost_high: the loss as a share of
    the distance from random actions to the reference, NaN where there is no clear reference; more, more_low, more_high: how
    much more return it loses than the first method with backpropagation, paired by seed; seeds.
    """
    one = ["environment", "method", "seed"]
    seeds = returns.groupby([*KEYS, "role", "seed"], sort=False, as_index=False)["score"].mean()
    plain = seeds.loc[seeds["disturbance"] == NONE, [*one, "score"]].rename(columns={"score": "before"})
    seeds = seeds.merge(plain, on=one).assign(loss=lambda frame: frame["before"] - frame["score"])
    taught = seeds.loc[seeds["role"] == "backpropagation", "method"]
    first = taught.iloc[0] if len(taught) else None
    beside = ["environment", "disturbance", "level", "seed"]
    theirs = seeds.loc[seeds["method"] == first, [*beside, "loss"]].rename(columns={"loss": "theirs"})
    seeds = seeds.merge(theirs, on=beside, how="left")
    rows = []
    for (*keys, role), group in seeds.groupby([*KEYS, "role"], sort=False):
        anchor, undisturbed = anchors.loc[keys[0]], keys[2] == NONE
        share = normalise(group["before"].to_numpy(), anchor) - normalise(group["score"].to_numpy(), anchor)
        row = [*keys, role, *over_seeds(group["score"], profile)]
        # An undisturbed policy loses nothing, and the first method no more than itself.
        for estimate, defined in (
            (over_seeds(group["loss"], profile), not undisturbed),
            (over_seeds(share, profile), not undisturbed),
            (
                difference(group["loss"], group["theirs"], profile),
                not undisturbed and first not in (None, keys[1]),
            ),
        ):
            row += list(estimate) if defined else [np.nan] * 3
        rows.append([*row, len(group)])
    names = [f"{name}{end}" for name in ("loss", "lost", "more") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=[*KEYS, "role", "score", "low", "high", *names, "seeds"])


def markdown(profile: Profile, table: pd.DataFrame) -> str:
    """The sentences, then one row per environment and method."""
    settings = profile.section(Robustness)
    return "\n".join([
        "# Robustness of trained policies\n", bullets(sentences(table)), COMPARED, documents.markdown(readable(table)),
        f"Mean return over {settings.episodes} episodes and seeds "
        f"[{described(profile)}] of the policies of Experiment 2, without learning. "
        "Noise: Gaussian, on every observation, in units of the standard deviation of that component along the "
        f"undisturbed episodes. Silenced: the output of {percent(settings.silenced)} of the neurons of each hidden layer is "
        f"0, mean over {settings.draws} draws of the neurons.\n",
    ])  # fmt: skip


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The table as readers see it: a column for each disturbance."""
    rows = []
    for (environment, method), group in table.groupby(["environment", "method"], sort=False):
        cells = {title(row.disturbance, row.level): str(Estimate(row.score, row.low, row.high))
                 for row in group.itertuples()}  # fmt: skip
        rows.append({"environment": environment, "method": method, "role": group["role"].iloc[0], **cells})
    return pd.DataFrame(rows)


def title(disturbance: str, level: float) -> str:
    """A disturbance in a reader's words."""
    if disturbance == NOISE:
        return f"noise {level:g}"
    return f"{percent(level)} silenced" if disturbance == SILENCED else "undisturbed"


def sentences(table: pd.DataFrame) -> list[str]:
    """For every environment and disturbance, at its strongest: what every method loses, and whether that is more than what
    the first method with backpropagation loses.
    """
    found = []
    for environment in table["environment"].drop_duplicates():
        here = table[(table["environment"] == environment) & (table["disturbance"] != NONE)]
        for disturbance, rows in here.groupby("disturbance", sort=False):
            strongest = rows[rows["level"] == rows["level"].max()]
            scaled = strongest["lost"].notna().any()
            unit = ", as a share of the distance from random actions to the reference" if scaled else ""
            parts = "; ".join(_lost(row) for row in strongest.itertuples())
            level = strongest["level"].iloc[0]
            found.append(f"{environment}, {title(disturbance, level)}: loss of return{unit}: {parts}.")
    return found


def _lost(row) -> str:
    """`linear 0.02 [0.01, 0.03] (less than DDPG's)`."""
    lost = Estimate(row.lost, row.lost_low, row.lost_high)
    value = Estimate(row.loss, row.loss_low, row.loss_high) if np.isnan(lost.value) else lost
    if np.isnan(row.more_low):
        return f"{row.method} {value}"
    verdict = "more" if row.more_low > 0 else "less" if row.more_high < 0 else "not told apart from it"
    return f"{row.method} {value} ({verdict})"


@style.styled
def figure(profile: Profile, table: pd.DataFrame) -> Figure:
    """One row of panels per environment: return against noise on observations, and with silenced neurons."""
    environments = list(table["environment"].drop_duplicates())
    fig, panels = style.grid(2 * len(environments), columns=2, width=4.4, height=2.4)
    colours = style.method_colours(table["method"].drop_duplicates())
    for index, environment in enumerate(environments):
        here = table[table["environment"] == environment]
        _draw_noise(panels[2 * index], here, colours)
        _draw_silenced(panels[2 * index + 1], here, colours)
        panels[2 * index].set(title=f"{environment}: noise on observations", ylabel="mean return")
        panels[2 * index + 1].set(title="hidden neurons silenced")
        low, high = panels[2 * index].get_ylim()
        more, less = panels[2 * index + 1].get_ylim()[::-1]
        for axes in panels[2 * index : 2 * index + 2]:
            axes.set_ylim(min(low, less), max(high, more))
    panels[-2].set_xlabel("standard deviation of the noise, in those of the observation")
    style.note(fig, _note(profile))
    return fig


def _draw_noise(axes: Axes, here: pd.DataFrame, colours: dict[str, str]) -> None:
    labels = []
    for method, rows in here[here["disturbance"] != SILENCED].groupby("method", sort=False):
        rows = rows.sort_values("level")
        axes.plot(rows["level"], rows["score"], color=colours[method], marker="o", markersize=3)
        axes.fill_between(
            rows["level"], rows["low"], rows["high"], color=colours[method], alpha=0.2, linewidth=0
        )
        labels.append((rows["score"].iloc[-1], method, colours[method]))
    axes.set_xscale("symlog", linthresh=0.1)
    levels = sorted(here.loc[here["disturbance"] != SILENCED, "level"].unique())
    axes.set_xticks(levels, [f"{level:g}" for level in levels])
    style.label_ends(axes, labels)


def _draw_silenced(axes: Axes, here: pd.DataFrame, colours: dict[str, str]) -> None:
    methods = list(here["method"].drop_duplicates())
    for place, method in enumerate(methods):
        rows = here[(here["method"] == method) & here["disturbance"].isin([NONE, SILENCED])]
        for offset, row in zip((-0.15, 0.15), rows.itertuples(), strict=True):
            filled = row.disturbance == SILENCED
            face = colours[method] if filled else "white"
            axes.plot(
                [place + offset] * 2, [row.low, row.high], color=colours[method], linewidth=1.5, alpha=0.6
            )
            axes.plot(
                place + offset, row.score, "o", color=colours[method], markerfacecolor=face, markersize=6
            )
    axes.set_xticks(range(len(methods)), methods, rotation=15, fontsize=8)
    axes.set_xlim(-0.6, len(methods) - 0.4)


def _note(profile: Profile) -> str:
    settings = profile.section(Robustness)
    return (
        f"right, hollow: undisturbed   ·   filled: {percent(settings.silenced)} of each hidden layer silenced, mean over "
        f"{settings.draws} draws\nband, bar: {described(profile)}"
    )


def section(folder: Path, link: str) -> list[str]:
    """What the results page says, from the published files of `folder`; link: the folder, seen from the page."""
    table = pd.read_csv(folder / "robustness.csv")
    return [
        bullets(sentences(table)),
        COMPARED,
        image(folder, link, "robustness"),
        f"Every level, and what is disturbed how: [robustness.md]({link}/robustness.md).\n",
    ]


def metrics(tables: Path) -> dict[str, float]:
    """Mean return per environment, method and disturbance, for MLflow."""
    rows = pd.read_csv(tables / "robustness.csv").itertuples()
    return {
        f"return/{row.disturbance}/{row.level:g}/{row.method}/{row.environment}": row.score for row in rows
    }
