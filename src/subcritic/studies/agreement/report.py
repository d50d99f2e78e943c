"""How the directions of every rule agree with the true policy gradient: a table, a figure along training, the headline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from subcritic.config import Profile
from subcritic.reporting import documents, records, style
from subcritic.reporting.estimates import Estimate, over_seeds, percent
from subcritic.reporting.pages import bullets, image
from subcritic.studies.agreement import STUDY
from subcritic.studies.agreement.settings import LED, ORACLE, OWN, RANDOM, Agreement, leads

KEYS = ["environment", "at", "method", "estimate", "granularity", "layer", "measure"]
TITLES = {LED: "At DDPG's actor", OWN: "At each method's own actor"}
# Columns of the readable table: heading → (estimate, granularity, measure).
COLUMNS = {
    "actor, expected": ("expectation", "actor", "cosine"),
    "actor, limit": ("limit", "actor", "cosine"),
    "actor, one minibatch": ("minibatch", "actor", "cosine"),
    "neurons, expected": ("expectation", "neuron", "pearson"),
    "neurons, one minibatch": ("minibatch", "neuron", "pearson"),
    "with the return": ("expectation", "actor", "return_played"),
    "with the return, all starts": ("expectation", "actor", "return_cosine"),
}
NOTE = """Cosine of a method's direction, before the optimiser, with the true policy gradient, that of the mean of Q^μ(s,
μ(s)) over replayed states: 1 is the same direction. Expected: mean over many draws of noise and states. Limit:
what infinitely many would give. One minibatch: one update as in training, against the true gradient at all
states. Neurons: Pearson correlation over the entries of a neuron's weight gradient, median over the neurons
where it is defined; those where it is not are counted. With the return: cosine of the expected update with the
gradient of the return itself, from what the return gains along it, for the start states played, and for all start
states where these agree enough. p: of the whole actor's expected cosine, from permutations of the neurons
within each layer. `oracle` is the true gradient computed another way, `random` a random direction. How each is
measured: docs/agreement.md.
"""


def make(profile: Profile, root: Path) -> list[Path]:
    """Write table/agreement_rules.{csv,md} and figures/agreement_rules.{png,svg,pdf}."""
    frame = records.read(STUDY, "agreement", profile, root)
    table = summary(profile, frame)
    return [
        documents.write(root / "table" / "agreement_rules.csv", table),
        documents.write(root / "table" / "agreement_rules.md", markdown(profile, table)),
        *style.save(figure(profile, frame), root / "figures", "agreement_rules"),
    ]


def summary(profile: Profile, frame: pd.DataFrame) -> pd.DataFrame:
    """One row per environment, actor, method, estimate, granularity, layer and measure.

    value: mean over the snapshots of a seed, then over seeds, with its interval over seeds; of p, twice the mean over seeds
    and snapshots, a valid p-value however these depend on each other (Vovk and Wang 2020). undefined: how many of the
    `values` are NaN, and in no mean; seeds: those with any that is not. A control at the methods' own actors is the mean
    over all of these.
    """
    rows = []
    for keys, group in frame.groupby(KEYS, sort=False, dropna=False):
        seeds = group.groupby("seed")["value"].mean().dropna()
        if keys[-1] == "p":
            estimate = Estimate(min(1.0, 2 * group["value"].mean()), np.nan, np.nan)
        elif seeds.empty:
            estimate = Estimate(np.nan, np.nan, np.nan)
        else:
            estimate = over_seeds(seeds, profile)
        undefined = int(group["value"].isna().sum())
        rows.append([*keys, *estimate, len(seeds), group["step"].nunique(), len(group), undefined])
    names = ["value", "low", "high", "seeds", "snapshots", "values", "undefined"]
    return pd.DataFrame(rows, columns=[*KEYS, *names])


def markdown(profile: Profile, table: pd.DataFrame) -> str:
    """The sentences, then a table for each environment and actor."""
    blocks = ["# Agreement of rules with the true policy gradient\n", bullets(sentences(table))]
    for (environment, at), rows in _tables(table):
        blocks += [f"## {environment}: {TITLES[at]}\n", documents.markdown(readable(rows))]
    settings = profile.section(Agreement)
    blocks.append(
        f"{NOTE}Mean over {settings.snapshots} snapshots of {settings.steps:,} steps and over {profile.seeds} seeds "
        f"[{percent(profile.statistics.confidence)} interval over seeds].\n"
    )
    return "\n".join(blocks)


def _tables(table: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """The rows of each environment, at DDPG's actor first."""
    return [
        ((environment, at), here[here["at"] == at])
        for environment, here in table.groupby("environment", sort=False)
        for at in TITLES
        if (here["at"] == at).any()
    ]


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """One row per method, controls last; empty where nothing was measured."""
    layers = sorted(table["layer"].dropna().unique())
    rows = []
    for method in _methods(table):
        own = table[table["method"] == method]
        cells = {"method": method}
        for heading, chosen in COLUMNS.items():
            cells[heading] = _cell(own, *chosen)
            if heading == "actor, one minibatch":
                cells |= {
                    f"layer {layer:g}, expected": _cell(own, "expectation", "layer", "cosine", layer)
                    for layer in layers
                }
        cells["undefined neurons"] = _undefined(own)
        cells["p"] = _cell(own, "expectation", "actor", "p")
        rows.append(cells)
    found = pd.DataFrame(rows)
    return found.loc[:, (found != "").any()]


def _methods(table: pd.DataFrame) -> list[str]:
    """In the order of the table, controls last."""
    return sorted(dict.fromkeys(table["method"]), key=lambda name: name in (ORACLE, RANDOM))


def _row(own: pd.DataFrame, estimate: str, granularity: str, measure: str, layer: float | None = None):
    chosen = own[
        (own["estimate"] == estimate) & (own["granularity"] == granularity) & (own["measure"] == measure)
    ]
    chosen = chosen[chosen["layer"].isna() if layer is None else chosen["layer"] == layer]
    return chosen.iloc[0] if len(chosen) else None


def _cell(
    own: pd.DataFrame, estimate: str, granularity: str, measure: str, layer: float | None = None
) -> str:
    """`0.30 [0.10, 0.50]`, then ` (5 of 6)` where the others are undefined; empty where nothing was measured."""
    row = _row(own, estimate, granularity, measure, layer)
    if row is None:
        return ""
    known = f" ({row['values'] - row['undefined']} of {row['values']})" if row["undefined"] else ""
    return f"{Estimate(row['value'], row['low'], row['high'])}{known}"


def _undefined(own: pd.DataFrame) -> str:
    """`2.5 of 129`, at all states and draws."""
    counts = [_row(own, "expectation", "neuron", name) for name in ("undefined", "neurons")]
    return " of ".join(f"{row['value']:.3g}" for row in counts if row is not None)


def sentences(table: pd.DataFrame) -> list[str]:
    """For every environment: what all methods' expected directions and minibatches have in common with the true gradient, at
    DDPG's actor if there is one; and how the true gradient of Q^μ itself follows that of the return.
    """
    found = []
    for environment, here in table.groupby("environment", sort=False):
        at = LED if (here["at"] == LED).any() else OWN
        rows = here[here["at"] == at]
        methods = _methods(rows)
        actor = rows[rows["granularity"] == "actor"]
        expected = "; ".join(f"{name} {_of(actor, name, 'expectation', 'cosine')}" for name in methods)
        single = "; ".join(
            f"{name} {_of(actor, name, 'minibatch', 'cosine')}"
            for name in methods
            if name not in (ORACLE, RANDOM)
        )
        count = actor.iloc[0]
        who = TITLES[at][0].lower() + TITLES[at][1:]
        found.append(
            f"{environment}, {who} ({count['seeds']} seeds, {count['snapshots']} snapshots): cosine of the expected update "
            f"with the true policy gradient: {expected}. Of one minibatch: {single}."
        )
        if (actor["measure"] == "return_played").any():
            parts = "; ".join(
                f"{name} {_of(actor, name, 'expectation', 'return_played')}" for name in methods
            )
            corrected = _of(actor, ORACLE, "expectation", "return_cosine")
            found.append(
                f"{environment}: cosine of the same expected updates with the gradient of the return of the episodes "
                f"played, by finite differences: {parts}. Of the true gradient of Q^μ with that of the return from all "
                f"start states: {corrected}."
            )
    return found


def _of(rows: pd.DataFrame, method: str, estimate: str, measure: str) -> str:
    return _cell(rows[rows["method"] == method], estimate, "actor", measure)


@style.styled
def figure(profile: Profile, frame: pd.DataFrame) -> Figure:
    """The whole actor's cosine along training: expected and one minibatch at DDPG's actor, expected at the methods' own."""
    settings = profile.section(Agreement)
    wanted = [(OWN, "expectation"), (OWN, "minibatch")]
    if any(leads(method) for method in settings.methods):
        wanted = [(LED, "expectation"), (LED, "minibatch"), (OWN, "expectation")]
    places = [(e.name, *place) for e in settings.chosen(profile) for place in wanted]
    fig, panels = style.grid(len(places), columns=len(wanted), width=4.2, height=2.8)
    cosines = frame[(frame["granularity"] == "actor") & (frame["measure"] == "cosine")]
    names = [method.name for method in settings.methods]
    colours = style.method_colours(names) | {RANDOM: style.INK}
    for axes, (environment, at, estimate) in zip(panels, places, strict=True):
        here = cosines[
            (cosines["environment"] == environment)
            & (cosines["at"] == at)
            & (cosines["estimate"] == estimate)
        ]
        axes.axhline(0, color=style.INK, linewidth=0.6)
        labels = []
        for name in [*names, RANDOM]:
            height = _draw(axes, here[here["method"] == name], profile, colours[name])
            labels.append((height, name, colours[name]))
        what = "expected update" if estimate == "expectation" else "one minibatch"
        axes.set(ylim=(-0.6, 1.05), title=f"{environment}, {what}", ylabel="cosine with the true gradient")
        style.steps_axis(axes, settings.steps)
        axes.set_xlabel(f"environment steps ({'own actors' if at == OWN else 'actor of DDPG'})")
        style.label_ends(axes, labels)
    ends = (
        "one seed: no interval"
        if profile.seeds == 1
        else f"band: {percent(profile.statistics.confidence)} interval over {profile.seeds} seeds"
    )
    style.note(fig, f"mean over seeds   ·   {ends}   ·   oracle: 1 at all times")
    return fig


def _draw(axes: Axes, rows: pd.DataFrame, profile: Profile, colour: str) -> float:
    """Mean over seeds at each snapshot, with its interval; the last mean."""
    known = rows.dropna(subset="value")
    if known.empty:
        return float("nan")
    seeds = known.groupby(["step", "seed"])["value"].mean().reset_index()
    steps = [step for step, _ in seeds.groupby("step")]
    found = [over_seeds(group["value"], profile) for _, group in seeds.groupby("step")]
    axes.plot(steps, [e.value for e in found], "o-", color=colour, markersize=3)
    axes.fill_between(
        steps, [e.low for e in found], [e.high for e in found], color=colour, alpha=0.12, linewidth=0
    )
    return found[-1].value


def section(folder: Path, link: str) -> list[str]:
    """What the results page says, from the published files of `folder`; link: the folder, seen from the page."""
    table = pd.read_csv(folder / "agreement_rules.csv")
    tables = [
        part
        for (_, at), rows in _tables(table)
        if at == LED
        for part in (documents.markdown(readable(rows)),)
    ]
    return [
        bullets(sentences(table)),
        *tables,
        NOTE,
        image(folder, link, "agreement_rules"),
        f"Every layer, and the methods' own actors: [agreement_rules.md]({link}/agreement_rules.md).\n",
    ]


def headline(root: Path) -> str:
    """What the summary says."""
    return bullets(sentences(pd.read_csv(root / "table" / "agreement_rules.csv")))


def metrics(tables: Path) -> dict[str, float]:
    """Cosine of the expected update with the true gradient, per environment, actor and method, for MLflow."""
    table = pd.read_csv(tables / "agreement_rules.csv")
    chosen = table[
        (table["granularity"] == "actor")
        & (table["measure"] == "cosine")
        & (table["estimate"] == "expectation")
    ]
    return {
        f"cosine/{row.at}/{row.method}/{row.environment}": row.value
        for row in chosen.dropna(subset="value").itertuples()
    }
