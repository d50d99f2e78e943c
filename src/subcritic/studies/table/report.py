"""The results table: what every method scores on every environment, raw and normalised, and the aggregates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from subcritic.config import Profile
from subcritic.reporting import documents, records, style
from subcritic.reporting.estimates import (
    FAILED_ADDED,
    JACKKNIFE,
    MISSING,
    Estimate,
    described,
    interval,
    number,
    over_environments,
    over_seeds,
)
from subcritic.reporting.normalise import normalise, why_raw_only
from subcritic.reporting.pages import bullets, image
from subcritic.stats import interquartile_mean, probability_of_improvement
from subcritic.studies import experiment2
from subcritic.studies.table import lillicrap


def make(profile: Profile, root: Path) -> list[Path]:
    """Write table/table.{csv,md,tex}, table/aggregates.csv and figures/table.{png,svg,pdf}."""
    scores = records.read(experiment2.STUDY, "scores", profile, root)
    anchors = records.anchors(profile, root)
    table = results(profile, scores, anchors)
    aggregates = aggregate(profile, scores, anchors)
    folder = root / "table"
    return [
        documents.write(folder / "table.csv", table),
        documents.write(folder / "table.md", markdown(profile, table, aggregates)),
        documents.write(folder / "table.tex", latex(profile, table)),
        documents.write(folder / "aggregates.csv", aggregates),
        *style.save(figure(profile, table), root / "figures", "table"),
    ]


def results(profile: Profile, scores: pd.DataFrame, anchors: pd.DataFrame) -> pd.DataFrame:
    """One row per environment and method.

    `average`, `best`, `low`, `high`: mean, maximum and interval over seeds of the raw score (return per episode);
    `normalised_...`: the same with random at 0 and the reference at 1, NaN where `note` says why; `seeds`,
    `diverged` (runs stopped), `steps` (of the longest run), and the two anchors.
    """
    return pd.DataFrame([
        _row(profile, environment.name, method.name, scores, anchors.loc[environment.name])
        for environment in profile.environments
        for method in profile.methods
    ])  # fmt: skip


def aggregate(profile: Profile, scores: pd.DataFrame, anchors: pd.DataFrame) -> pd.DataFrame:
    """Aggregates over environments (Agarwal et al. 2021), with jackknife intervals over seeds.

    Columns: method, statistic, value, low, high, environments, seeds. `interquartile_mean` is of the normalised
    scores, on the environments that have them; `probability_of_improvement` compares raw scores with those of
    the first method with backpropagation, on all environments. A run is added before the interval is computed: one that
    fails everywhere, and one that ties with all others.
    """
    matrices = {method.name: _matrix(profile, scores, method.name) for method in profile.methods}
    normalised = {name: _normalised(profile, matrix, anchors) for name, matrix in matrices.items()}
    taught = set(scores.loc[scores["role"] == "backpropagation", "method"])
    baseline = next((method.name for method in profile.methods if method.name in taught), None)
    rows = []
    for name, matrix in matrices.items():
        rows.append(
            [name, "interquartile_mean", *_estimate(profile, interquartile_mean, 0.0, normalised[name])]
        )
        if baseline and name != baseline:
            statistic = f"probability_of_improvement_over_{baseline}"
            value, *ends = _estimate(profile, probability_of_improvement, np.nan, matrix, matrices[baseline])
            rows.append([name, statistic, value, *np.clip(ends[:2], 0, 1), *ends[2:]])
    return pd.DataFrame(
        rows, columns=["method", "statistic", "value", "low", "high", "environments", "seeds"]
    )


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The table as readers see it: strings, an interval in one cell."""
    rows = table.itertuples()
    return pd.DataFrame([{
        "environment": row.environment, "method": row.method, "average": number(row.average),
        "interval": interval(row.low, row.high), "best": number(row.best),
        "normalised": number(row.normalised_average),
        "normalised interval": interval(row.normalised_low, row.normalised_high),
        "normalised best": number(row.normalised_best),
        "seeds": row.seeds, "diverged": row.diverged, "steps": row.steps,
    } for row in rows])  # fmt: skip


def markdown(profile: Profile, table: pd.DataFrame, aggregates: pd.DataFrame) -> str:
    """The results, the anchors, the aggregates, and Lillicrap's Table 1 as a labelled reference."""
    return "\n".join([
        f"# Results of the profile {profile.profile}\n",
        documents.markdown(readable(table)),
        _explanation(profile),
        "## Anchors\n", documents.markdown(readable_anchors(table)),
        "## Aggregates over environments\n", documents.markdown(readable_aggregates(aggregates)),
        _aggregates_explanation(profile),
        lillicrap.markdown([environment.name for environment in profile.environments]),
    ])  # fmt: skip


def latex(profile: Profile, table: pd.DataFrame) -> str:
    """The results and Lillicrap's Table 1 as two booktabs tables."""
    names = [environment.name for environment in profile.environments]
    results_table = documents.latex(readable(table), _explanation(profile).replace("`", ""), "tab:results")
    return results_table + "\n" + lillicrap.latex(names)


def readable_anchors(table: pd.DataFrame) -> pd.DataFrame:
    """One row per environment: what scores 0, what scores 1, and why not where it does not."""
    first = table.drop_duplicates("environment")
    return pd.DataFrame([{
        "environment": row.environment, "random policy (0)": number(row.random_mean),
        "standard error": number(row.random_standard_error), "reference (1)": number(row.reference_return),
        "source of the reference": row.reference_source, "note": row.note,
    } for row in first.itertuples()])  # fmt: skip


def readable_aggregates(aggregates: pd.DataFrame) -> pd.DataFrame:
    """The aggregates with their names spelled out."""
    return pd.DataFrame([{
        "method": row.method, "statistic": row.statistic.replace("_", " "), "value": number(row.value),
        "interval": interval(row.low, row.high), "environments": row.environments, "seeds": row.seeds,
    } for row in aggregates.itertuples()])  # fmt: skip


@style.styled
def figure(profile: Profile, table: pd.DataFrame) -> Figure:
    """Normalised score of every method, one group of rows per environment; raw-only environments say so."""
    methods = [method.name for method in profile.methods]
    colours = style.method_colours(methods)
    names = [environment.name for environment in profile.environments]
    pitch = len(methods) + 0.8
    fig, (axes,) = style.grid(1, 1, width=8.0, height=0.24 * pitch * len(names) + 0.7)
    for place, text in ((0, "random"), (1, "reference")):
        axes.axvline(place, color=style.INK, linewidth=0.9, linestyle=":" if place == 0 else "--")
        axes.text(place, 1.01, text, transform=axes.get_xaxis_transform(), ha="center", fontsize=8)
    axes.text(1.01, 1.01, "average return", transform=axes.transAxes, fontsize=8)
    for group, name in enumerate(names):
        rows = table[table["environment"] == name]
        for index, row in enumerate(rows.itertuples()):
            _draw_score(axes, group * pitch + index, row, colours[row.method])
        _draw_why_raw_only(axes, group * pitch + (len(methods) - 1) / 2, rows["note"].iloc[0])
    axes.set_yticks([group * pitch + (len(methods) - 1) / 2 for group in range(len(names))], names)
    low, high = axes.get_xlim()
    axes.set(xlabel="normalised score", xlim=(min(low, -0.15), max(high, 1.15)))
    axes.set_ylim(pitch * len(names) - 0.9, -0.9)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x")
    style.note(fig, _figure_note(profile))
    return fig


def _row(profile: Profile, environment: str, method: str, scores: pd.DataFrame, anchor: pd.Series) -> dict:
    runs = scores[(scores["environment"] == environment) & (scores["method"] == method)]
    raw = runs["score"].to_numpy(dtype=float)
    normalised = normalise(raw, anchor)
    average = over_seeds(raw, profile, added=anchor["random_mean"])
    scaled = over_seeds(normalised, profile, added=0.0)
    return {
        "environment": environment, "method": method,
        "average": average.value, "low": average.low, "high": average.high, "best": raw.max(),
        "normalised_average": scaled.value, "normalised_low": scaled.low, "normalised_high": scaled.high,
        "normalised_best": normalised.max(),
        "seeds": len(runs), "diverged": int(runs["diverged_at"].notna().sum()), "steps": int(runs["steps"].max()),
        "random_mean": anchor["random_mean"], "random_standard_error": anchor["random_standard_error"],
        "reference_return": anchor["reference_return"], "reference_source": anchor["reference_source"],
        "note": why_raw_only(anchor),
    }  # fmt: skip


def _matrix(profile: Profile, scores: pd.DataFrame, method: str) -> np.ndarray:
    """Raw scores (seeds, environments) of a method, in the config's order."""
    wide = scores[scores["method"] == method].pivot(index="seed", columns="environment", values="score")
    return wide[[environment.name for environment in profile.environments]].to_numpy(dtype=float)


def _normalised(profile: Profile, matrix: np.ndarray, anchors: pd.DataFrame) -> np.ndarray:
    """Normalised scores (seeds, environments that have them)."""
    names = [environment.name for environment in profile.environments]
    columns = [normalise(matrix[:, index], anchors.loc[name]) for index, name in enumerate(names)
               if not why_raw_only(anchors.loc[name])]  # fmt: skip
    return np.stack(columns, axis=1) if columns else np.empty((len(matrix), 0))


def _estimate(profile: Profile, statistic, added: float, *matrices: np.ndarray) -> tuple:
    """Value, low, high, environments, seeds of a statistic over environments; see `over_environments`."""
    seeds, environments = matrices[0].shape
    missing = Estimate(*[float("nan")] * 3)
    estimate = over_environments(profile, statistic, *matrices, added=added) if environments else missing
    return *estimate, environments, seeds


def _explanation(profile: Profile) -> str:
    return (
        "Average and best return per episode over seeds, with the interval of the average "
        f"[{described(profile, FAILED_ADDED)}]. Normalised: the uniform random policy scores 0, the "
        f"reference return 1; {MISSING} where there is no clear reference, or no interval from one seed. Best is a "
        "maximum over runs, never the headline. Diverged runs were stopped and are counted with the score of the "
        "policy they had then.\n"
    )


def _aggregates_explanation(profile: Profile) -> str:
    return (
        "Interquartile mean: of the normalised scores. Probability of improvement: of the raw scores. In brackets: "
        f"{described(profile, 'one added run, which fails everywhere or ties with all others', JACKKNIFE)}; seeds are left "
        "out in all environments at once.\n"
    )


def _figure_note(profile: Profile) -> str:
    if profile.seeds == 1:
        return "diamond: the one seed   ·   no interval"
    return f"diamond: mean over seeds   ·   dot: best seed   ·   bar: {described(profile, FAILED_ADDED)}"


def _draw_score(axes, y: float, row, colour: str) -> None:
    label = f"{row.method}  {number(row.average)} {interval(row.low, row.high)}"
    if row.diverged:
        label += f"  {row.diverged} of {row.seeds} diverged"
    axes.text(1.01, y, label, transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=colour)
    if not row.note:
        style.draw_estimate(
            axes, (row.normalised_average, row.normalised_low, row.normalised_high), y, colour
        )
        axes.plot(row.normalised_best, y, ".", color=colour, markersize=7)


def _draw_why_raw_only(axes, y: float, note: str) -> None:
    """The reason, in the middle of the row, over a white patch that hides the lines behind it."""
    patch = {"facecolor": "white", "edgecolor": "none"}
    if note:
        axes.text(
            0.5,
            y,
            note,
            transform=axes.get_yaxis_transform(),
            ha="center",
            va="center",
            fontsize=8,
            bbox=patch,
        )


def section(folder: Path, link: str) -> list[str]:
    """What the results page says, from the published files of `folder`; link: the folder, seen from the page."""
    results, aggregates = pd.read_csv(folder / "table.csv"), pd.read_csv(folder / "aggregates.csv")
    return [
        bullets(reached(results)),
        documents.markdown(readable(results)),
        documents.markdown(readable_aggregates(aggregates)),
        f"All columns, the anchors, and Table 1 of Lillicrap et al. 2016 beside them: [table.md]({link}/table.md).\n",
        image(folder, link, "table"),
    ]


def headline(root: Path) -> str:
    """What the summary says."""
    results = pd.read_csv(root / "table" / "table.csv", dtype={"note": str})
    results["note"] = results["note"].fillna("")
    return documents.markdown(readable(results))


def metrics(tables: Path) -> dict[str, float]:
    """Normalised average per method and environment, where there is one, for MLflow."""
    rows = pd.read_csv(tables / "table.csv").dropna(subset="normalised_average")
    return {f"score/{row.method}/{row.environment}": row.normalised_average for row in rows.itertuples()}


def reached(results: pd.DataFrame) -> list[str]:
    """A sentence per method: on how many tasks its average comes half of the way to the reference, and on which it stays
    within a tenth of random; from the results table.
    """
    sentences = []
    for method, rows in results.dropna(subset="normalised_average").groupby("method", sort=False):
        half, near = rows["normalised_average"] >= 0.5, rows["normalised_average"] < 0.1
        left = f"; below 0.1: {', '.join(rows['environment'][near])}" if near.any() else ""
        sentences.append(f"{method} reaches 0.5 or more on {half.sum()} of {len(rows)} tasks{left}.")
    return sentences
