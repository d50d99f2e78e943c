"""How many draws of noise does the policy gradient take? Against width, noise scale, and what a neuron's critic is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from subcritic.config import Profile
from subcritic.reporting import documents, records, style
from subcritic.reporting.estimates import Estimate, described, number, over_seeds
from subcritic.reporting.pages import bullets, image
from subcritic.studies.scaling import STUDY, drawing
from subcritic.studies.scaling.drawing import ACTOR, COSINE, MAIN, stage
from subcritic.studies.scaling.settings import Scaling

# The mean of N draws has a cosine of 1/√(1 + c/N): N for COSINE, in units of c.
PER_NOISE = COSINE**2 / (1 - COSINE**2)
KEYS = ["environment", "actor_steps", "estimator", "layer", "width", "neurons", "noise_scale"]
SERIES = ["environment", "actor_steps", "estimator", "layer"]


def make(profile: Profile, root: Path) -> list[Path]:
    """Write table/scaling.{csv,md}, table/scaling_slopes.csv, table/scaling_fits.csv and figures/scaling.{png,svg,pdf}."""
    frame = records.read(STUDY, "scaling", profile, root)
    frame["layer"] = [ACTOR if pd.isna(layer) else f"layer {int(layer)}" for layer in frame["layer"]]
    table, slopes = needed(profile, frame), slopes_table(profile, frame)
    fits = linear_fits(profile, frame)
    folder = root / "table"
    return [
        documents.write(folder / "scaling.csv", table),
        documents.write(folder / "scaling_slopes.csv", slopes),
        documents.write(folder / "scaling_fits.csv", fits),
        documents.write(folder / "scaling.md", markdown(profile, table, slopes, fits)),
        *style.save(drawing.figure(profile, frame, table, slopes, fits), root / "figures", "scaling"),
    ]


def needed(profile: Profile, frame: pd.DataFrame) -> pd.DataFrame:
    """Draws for a cosine of 0.9, one row per KEYS.

    `draws` with interval: from the noise of single draws, geometric mean over seeds (empty for fitted critics). `crossed`:
    where the measured cosine crossed 0.9, median over seeds (empty unless most seeds got there); `reached` of `seeds` did.
    `largest` is the largest number of draws tried, `cosine` with its interval that reached there.
    """
    noise = frame[frame["measure"] == "noise_to_signal"].groupby(KEYS)["value"]
    rows = []
    cosines = frame[(frame["measure"] == "cosine") & ~frame["estimator"].str.startswith("linear")]
    for keys, group in cosines.groupby(KEYS, sort=False):
        values = noise.get_group(keys) * PER_NOISE if keys in noise.groups else pd.Series(dtype=float)
        law = _geometric(profile, values)
        crossed = np.array([crossing(one) for _, one in group.groupby("seed")])
        reached, largest = int(np.isfinite(crossed).sum()), int(group["draws"].max())
        median = np.median(crossed) if reached > len(crossed) / 2 else np.nan
        best = over_seeds(group[group["draws"] == largest]["value"], profile)
        rows.append([*keys, *law, median, reached, len(crossed), largest, *best])
    columns = [
        "draws",
        "low",
        "high",
        "crossed",
        "reached",
        "seeds",
        "largest",
        "cosine",
        "cosine_low",
        "cosine_high",
    ]
    return pd.DataFrame(rows, columns=[*KEYS, *columns])


def crossing(rows: pd.DataFrame) -> float:
    """The number of draws at which one seed's cosine first reaches 0.9, interpolated in log draws; inf when never."""
    rows = rows.sort_values("draws")
    draws, cosine = np.log(rows["draws"].to_numpy(float)), rows["value"].to_numpy(float)
    above = np.flatnonzero(cosine >= COSINE)
    if len(above) == 0:
        return np.inf
    first = above[0]
    if first == 0:
        return float(np.exp(draws[0]))
    share = (COSINE - cosine[first - 1]) / (cosine[first] - cosine[first - 1])
    return float(np.exp(draws[first - 1] + share * (draws[first] - draws[first - 1])))


def seed_slopes(profile: Profile, frame: pd.DataFrame) -> pd.DataFrame:
    """The slope of log draws against log neurons of every seed, over the widths at one noise scale."""
    noise = frame[(frame["measure"] == "noise_to_signal") & (frame["value"] > 0)]
    noise = noise[
        (noise["noise_scale"] == profile.section(Scaling).noise_scale)
        & noise["width"].isin(profile.section(Scaling).widths)
    ]
    rows = []
    for keys, group in noise.groupby([*SERIES, "seed"], sort=False):
        if group["neurons"].nunique() > 1:
            slope = np.polyfit(np.log(group["neurons"]), np.log(group["value"]), 1)[0]
            rows.append([*keys, slope])
    return pd.DataFrame(rows, columns=[*SERIES, "seed", "slope"])


def slopes_table(profile: Profile, frame: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds with interval, columns SERIES, slope, low, high; `all` environments together come first."""
    slopes, rows = seed_slopes(profile, frame), []
    for keys, group in slopes.groupby(SERIES[1:], sort=False):
        matrix = group.pivot_table(index="seed", columns="environment", values="slope").dropna(axis="columns")
        if not matrix.empty:
            rows.append(["all", *keys, *over_seeds(matrix.mean(axis="columns"), profile)])
    for keys, group in slopes.groupby(SERIES, sort=False):
        rows.append([*keys, *over_seeds(group["slope"], profile)])
    return pd.DataFrame(rows, columns=[*SERIES, "slope", "low", "high"])


def linear_fits(profile: Profile, frame: pd.DataFrame) -> pd.DataFrame:
    """The drafts' linear critics at the noise scale of the widths: agreement of values and of gradients with the true."""
    rows = []
    linear = frame[
        frame["estimator"].str.startswith("linear")
        & (frame["noise_scale"] == profile.section(Scaling).noise_scale)
    ]
    for keys, group in linear.groupby([*KEYS, "measure"], sort=False):
        known = group["value"].dropna()
        rows.append([*keys, *(over_seeds(known, profile) if len(known) else [np.nan] * 3)])
    return pd.DataFrame(rows, columns=[*KEYS, "measure", "value", "low", "high"])


def sentences(table: pd.DataFrame, slopes: pd.DataFrame, fits: pd.DataFrame) -> list[str]:
    """What the numbers say of three earlier measurements on toys."""
    return [*_values_without_gradients(fits), *_reaching(table), *_growth(slopes)]


def _values_without_gradients(fits: pd.DataFrame) -> list[str]:
    """Noise on the action alone, at the widest actor's upper hidden layer, where values are fitted best."""
    wide = fits[
        (fits["estimator"] == "linear_action")
        & (fits["width"] == fits["width"].max())
        & (fits["layer"] == "layer 2")
    ]
    found = []
    for steps, group in wide.groupby("actor_steps"):
        value = group[group["measure"] == "value_pearson"]["value"].mean()
        cosine = group[group["measure"] == "cosine"]["value"].mean()
        said = value > 0.95 and abs(cosine) < 0.2
        neurons, verdict = group["neurons"].iloc[0], "confirmed" if said else "not met in full"
        found.append(
            f"With noise on the action alone, linear critics of hidden neurons (layer 2 of {neurons} neurons, "
            f"{stage(steps)}) fit Q-values at a correlation of {number(value)}, while their gradients have a cosine "
            f"of {number(cosine)} with the true one: the earlier measurement (above 0.95, near 0) is {verdict}."
        )
    return found


def _reaching(table: pd.DataFrame) -> list[str]:
    """Which widths the neurons' own compatible critics took to 0.9."""
    own = table[(table["estimator"] == "compatible") & (table["layer"] == "layer 2")]
    found = []
    for steps, group in own.groupby("actor_steps"):
        cosines = group.groupby("width")["cosine"].mean()
        got, best = cosines[cosines >= COSINE].index, cosines.iloc[-1]
        widths = f"at a width of {', '.join(map(str, got))}" if len(got) else "at no width"
        found.append(
            f"Compatible critics with noise on every neuron reach 0.9 in layer 2 within {table['largest'].max():,} draws "
            f"{widths} ({stage(steps)}); the widest, {group['width'].max()}, has {number(best)} there."
        )
    return found


def _growth(slopes: pd.DataFrame) -> list[str]:
    """Whether the draws grow in proportion to the number of neurons, in layer 2 and for the whole actor."""
    own = slopes[(slopes["estimator"] == MAIN) & (slopes["environment"] == "all")]
    own = own[own["layer"].isin(["layer 2", ACTOR])]
    found = []
    for row in own.itertuples():
        if np.isnan(row.low):
            verdict = "one seed tells no more"
        elif row.low <= 1 <= row.high:
            verdict = "proportion, an exponent of 1, lies within the interval"
        else:
            verdict = f"{'more' if row.low > 1 else 'less'} than in proportion"
        whose = "the whole actor" if row.layer == ACTOR else row.layer
        found.append(
            f"For {whose}, {stage(row.actor_steps)}, the draws that a cosine of 0.9 takes grow with the number of neurons "
            f"to the power {Estimate(row.slope, row.low, row.high)}: {verdict}."
        )
    return found


def markdown(profile: Profile, table: pd.DataFrame, slopes: pd.DataFrame, fits: pd.DataFrame) -> str:
    """The sentences, then draws by width, exponents, and the drafts' critics."""
    blocks = ["# Draws that the policy gradient takes\n"]
    blocks += [f"- {sentence}" for sentence in sentences(table, slopes, fits)]
    blocks += [
        "\n## Draws for a cosine of 0.9, by width\n",
        f"At noise of {profile.section(Scaling).noise_scale}, antithetic draws. "
        "From the noise of single draws (geometric mean over "
        f"seeds [{described(profile)}]), and where the measured cosine crossed 0.9 (median over seeds; `> N`: "
        "not by most seeds within N draws).\n",
        documents.markdown(_by_width(profile, table)),
        "## Exponents: draws ∝ neurons^exponent\n",
        documents.markdown(_wide_slopes(slopes)),
        "## Cosine at the largest number of draws, by noise scale\n",
        documents.markdown(_by_scale(profile, table)),
        "## The drafts' linear critic: values and gradients\n",
        "Least squares of Q(s, a) on each neuron's own (v, α); correlation of values, cosine of gradients.\n",
        documents.markdown(_fits(fits[fits["width"].isin([fits["width"].min(), fits["width"].max()])])),
        "How each is estimated: docs/agreement.md.\n",
    ]
    return "\n".join(blocks)


def _by_width(profile: Profile, table: pd.DataFrame) -> pd.DataFrame:
    rows = table[
        (table["estimator"] == MAIN) & (table["noise_scale"] == profile.section(Scaling).noise_scale)
    ]
    cells = []
    for row in rows.itertuples():
        measured = f"{row.crossed:,.0f}" if np.isfinite(row.crossed) else f"> {row.largest:,}"
        cells.append(f"{_count(row.draws, row.low, row.high)}; {measured}")
    rows = rows.assign(cell=cells, actors=[stage(steps) for steps in rows["actor_steps"]])
    return _pivot(rows, ["environment", "actors", "width", "neurons"], "layer")


def _by_scale(profile: Profile, table: pd.DataFrame) -> pd.DataFrame:
    rows = table[(table["estimator"] == MAIN) & (table["width"] == profile.section(Scaling).width)]
    estimates = zip(rows["cosine"], rows["cosine_low"], rows["cosine_high"], strict=True)
    rows = rows.assign(
        cell=[str(Estimate(*one)) for one in estimates],
        actors=[stage(steps) for steps in rows["actor_steps"]],
    )
    return _pivot(rows, ["environment", "actors", "noise_scale"], "layer")


def _wide_slopes(slopes: pd.DataFrame) -> pd.DataFrame:
    rows = slopes[slopes["estimator"] == MAIN]
    estimates = zip(rows["slope"], rows["low"], rows["high"], strict=True)
    rows = rows.assign(
        cell=[str(Estimate(*one)) for one in estimates],
        actors=[stage(steps) for steps in rows["actor_steps"]],
    )
    return _pivot(rows, ["environment", "actors"], "layer")


def _fits(fits: pd.DataFrame) -> pd.DataFrame:
    names = {"linear_action": "action", "linear_neuron": "every neuron"}
    measures = {"value_pearson": "values", "cosine": "gradients"}
    estimates = zip(fits["value"], fits["low"], fits["high"], strict=True)
    rows = fits.assign(
        cell=[str(Estimate(*one)) for one in estimates],
        noise=fits["estimator"].map(names),
        actors=[stage(steps) for steps in fits["actor_steps"]],
        column=fits["layer"] + ", " + fits["measure"].map(measures),
    )
    return _pivot(rows, ["environment", "actors", "noise", "width"], "column")


def _pivot(rows: pd.DataFrame, index: list[str], column: str) -> pd.DataFrame:
    wide = rows.pivot_table(index=index, columns=column, values="cell", aggfunc="first", sort=False)
    return wide.fillna("").reset_index()


def _count(value: float, low: float, high: float) -> str:
    ends = "" if np.isnan(low) else f" [{low:,.0f}, {high:,.0f}]"
    return f"{value:,.0f}{ends}"


def _geometric(profile: Profile, values: pd.Series) -> Estimate:
    known = values[values > 0]
    if known.empty:
        return Estimate(*[np.nan] * 3)
    return Estimate(*np.exp(over_seeds(np.log(known), profile)))


def section(folder: Path, link: str) -> list[str]:
    """What the results page says, from the published files of `folder`; link: the folder, seen from the page."""
    found = [pd.read_csv(folder / f"{name}.csv") for name in ("scaling", "scaling_slopes", "scaling_fits")]
    return [
        bullets(sentences(*found)),
        image(folder, link, "scaling"),
        f"By width, noise scale and layer: [scaling.md]({link}/scaling.md); how it is measured: "
        "[agreement.md](agreement.md#scaling).\n",
    ]
