"""Updates per second of the local rule, of our DDPG and of Stable-Baselines3, against the machine's limit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from subcritic.config import Profile
from subcritic.reporting import documents, records, style
from subcritic.reporting.estimates import number
from subcritic.reporting.pages import image
from subcritic.reporting.rounds import SETTING, settings
from subcritic.studies.throughput import STUDY

RATIOS = (
    ("ddpg", "stable-baselines3"),
    ("linear", "ddpg"),
    ("ddpg", "ddpg-limit"),
    ("linear", "linear-limit"),
)
GPU, NO_GPU = "## On a GPU", "Not measured: there was no GPU."
# Learners whose speed is drawn at every size; the others, local rules, beside DDPG only.
SHOWN = ("ddpg", "linear", "stable-baselines3")
# Rules besides the linear one whose ratio to DDPG is part of the headline: those that learn in published comparisons.
NAMED = ("coagent", "node-perturbation", "learned-feedback", "learned-feedback-gradient")
HEADLINE = ("256-256", 64)
LIMIT = "-limit"
PEER = "stable-baselines3"


def make(profile: Profile, root: Path) -> list[Path]:
    """Write table/throughput.{csv,md}, table/throughput_{ratios,training}.csv and figures/throughput.{png,svg,pdf}."""
    rounds, operations, trained, gpu = (
        records.read(STUDY, name, profile, root) for name in ("rounds", "operations", "training", "gpu")
    )
    whole = training_table(trained)
    speeds, ratios = speed_table(rounds, operations), ratio_table(rounds, operations)
    folder = root / "table"
    return [
        documents.write(folder / "throughput.csv", speeds),
        documents.write(folder / "throughput_ratios.csv", ratios),
        documents.write(folder / "throughput_training.csv", whole),
        documents.write(
            folder / "throughput.md", markdown(speeds, ratios) + training_markdown(whole) + gpu_markdown(gpu)
        ),
        *style.save(figure(speeds, ratios), root / "figures", "throughput"),
    ]


def speed_table(rounds: pd.DataFrame, operations: pd.DataFrame) -> pd.DataFrame:
    """Median and quartiles over rounds, one row per setting and learner.

    Columns: hidden, batch, learner, updates_per_second, quartile_1, quartile_3, samples_per_second (updates times
    batch), rounds, multiply_adds (of one update; NaN where not counted), gigaflops (2 operations per multiply-add).
    """
    keys = [*SETTING, "learner"]
    speeds = rounds.groupby(keys, sort=False)["updates_per_second"]
    table = speeds.agg(
        updates_per_second="median", quartile_1=lambda v: v.quantile(0.25), quartile_3=lambda v: v.quantile(0.75),
        rounds="size",
    ).reset_index()  # fmt: skip
    table.insert(6, "samples_per_second", table["updates_per_second"] * table["batch"])
    table = table.merge(operations[[*keys, "multiply_adds"]], on=keys, how="left")
    return table.assign(gigaflops=2e-9 * table["multiply_adds"] * table["updates_per_second"])


def ratio_table(rounds: pd.DataFrame, operations: pd.DataFrame) -> pd.DataFrame:
    """Speed ratios within the same round, so that what slows the machine down slows both sides: RATIOS, every rule / ddpg.

    Columns: ratio, hidden, batch, median, quartile_1, quartile_3, rounds, operations (the ratio of multiply-adds;
    NaN where not counted).
    """
    wide = rounds.pivot(index=[*SETTING, "round"], columns="learner", values="updates_per_second")
    counted = operations.pivot(index=SETTING, columns="learner", values="multiply_adds")
    rows = []
    for above, below in (*RATIOS, *((rule, "ddpg") for rule in rules(rounds))):
        if above in wide and below in wide:
            for setting in settings(rounds):
                ratio = (wide.loc[setting, above] / wide.loc[setting, below]).dropna()
                if ratio.empty:
                    continue
                operations_ratio = _operations(counted, setting, above, below)
                quartiles = ratio.quantile([0.5, 0.25, 0.75])
                rows.append([f"{above} / {below}", *setting, *quartiles, len(ratio), operations_ratio])
    columns = ["ratio", *SETTING, "median", "quartile_1", "quartile_3", "rounds", "operations"]
    return pd.DataFrame(rows, columns=columns)


def training_table(trained: pd.DataFrame) -> pd.DataFrame:
    """Whole training, one row per environment, learner and number of seeds.

    Columns: environment, learner, seeds, microseconds (CPU time per step of one agent, median), quartile_1, quartile_3, and
    faster: by how often than Stable-Baselines3 with one seed in the same round, median with faster_1 and faster_3.
    """
    peer = trained[trained["learner"] == PEER].set_index(["environment", "round"])["microseconds"]
    beside = pd.MultiIndex.from_frame(trained[["environment", "round"]])
    trained = trained.assign(faster=peer.reindex(beside).to_numpy() / trained["microseconds"])
    rows = []
    for key, found in trained.groupby(["environment", "learner", "seeds"], sort=False):
        values = [found[name].quantile(q) for name in ("microseconds", "faster") for q in (0.5, 0.25, 0.75)]
        rows.append([*key, *values])
    columns = ["environment", "learner", "seeds", "microseconds", "quartile_1", "quartile_3"]
    return pd.DataFrame(rows, columns=[*columns, "faster", "faster_1", "faster_3"])


def training_sentence(whole: pd.DataFrame) -> str:
    """How often faster than the peer's loop every learner trains, with one seed and with several."""
    parts = []
    for environment, here in whole[whole["learner"] != PEER].groupby("environment", sort=False):
        learners = [
            f"{name} "
            + " and ".join(
                f"{number(row.faster)} ({number(row.faster_1)} to {number(row.faster_3)}) with {row.seeds} "
                f"seed{'s' if row.seeds > 1 else ''}"
                for row in rows.itertuples()
            )
            for name, rows in here.groupby("learner", sort=False)
        ]
        parts.append(f"{environment}: {', '.join(learners)}")
    return (
        f"Whole training at 64-64, batch 64, CPU time per agent step, times faster than {PEER} with one seed: "
        f"{'; '.join(parts) or 'nothing to compare'}."
    )


def training_markdown(whole: pd.DataFrame) -> str:
    """The same for readers."""
    rows = pd.DataFrame([{
        "environment": row.environment, "learner": row.learner, "seeds": row.seeds,
        "µs per agent step": number(row.microseconds),
        "quartiles": f"{number(row.quartile_1)} to {number(row.quartile_3)}",
        f"times {PEER}": f"{number(row.faster)} ({number(row.faster_1)} to {number(row.faster_3)})",
    } for row in whole.itertuples()])  # fmt: skip
    return (
        f"\n## Whole training\n\n{training_sentence(whole)}\n\n{documents.markdown(rows)}\n"
        "CPU time of one environment step and one update, for one agent: environment, acting, replay and learning, 64-64, "
        f"batch 64. Ratios are those of one round, to {PEER} with one seed. Evaluation and logging are left out.\n"
    )


def gpu_table(gpu: pd.DataFrame) -> pd.DataFrame:
    """Updates of all seeds at once on a GPU: one row per hidden, batch, learner, seeds and part.

    Columns besides: captured, milliseconds (median, of one update of all seeds), seeds_ratio (time over that of the fewest
    seeds in the same round, median), ddpg_ratio (speed over DDPG's with as many seeds in the same round, median).
    """
    setting, keys = [*SETTING, "part"], ["learner", "seeds", "round"]
    speeds = gpu.set_index([*setting, *keys])["updates_per_second"].sort_index()
    rows = []
    for key, found in gpu.groupby([*setting, "learner", "seeds"], sort=False):
        *where, learner, seeds = key
        here = found.set_index("round")["updates_per_second"]
        fewest = speeds[(*where, learner, gpu["seeds"].min())]
        ddpg = speeds[(*where, "ddpg", seeds)]
        medians = 1e3 / here.median(), (fewest / here).median(), (here / ddpg).median()
        rows.append([*key, bool(found["captured"].all()), *medians])
    columns = [*setting, "learner", "seeds", "captured", "milliseconds", "seeds_ratio", "ddpg_ratio"]
    return pd.DataFrame(rows, columns=columns)


def gpu_markdown(gpu: pd.DataFrame) -> str:
    """For readers; where nothing was measured, why."""
    if gpu.empty:
        return f"\n{GPU}\n\n{NO_GPU}\n"
    table = gpu_table(gpu)
    rows = pd.DataFrame([{
        "hidden": row.hidden, "batch": row.batch, "learner": row.learner, "seeds": row.seeds, "part": row.part,
        "CUDA graph": "yes" if row.captured else "no", "ms": number(row.milliseconds),
        f"times {table['seeds'].min()} seed": number(row.seeds_ratio), "speed / ddpg": number(row.ddpg_ratio),
    } for row in table.itertuples()])  # fmt: skip
    return (
        f"\n{GPU}\n\n{documents.markdown(rows)}\n"
        "One update of all seeds: `update`, on the device alone; `prepared`, with minibatches and noise drawn on the CPU "
        "and sent. With `streams` each layer of a local rule learns in a stream of its own. Ratios are those of a round.\n"
    )


def rules(rounds: pd.DataFrame) -> list[str]:
    """The local rules measured besides the linear one."""
    names = rounds["learner"].drop_duplicates()
    return [name for name in names if name not in SHOWN and not name.endswith(LIMIT)]


def markdown(speeds: pd.DataFrame, ratios: pd.DataFrame) -> str:
    """Both tables for readers."""
    speed_rows = pd.DataFrame([{
        "hidden": row.hidden, "batch": row.batch, "learner": row.learner,
        "updates/s": number(row.updates_per_second),
        "quartiles": f"{number(row.quartile_1)} to {number(row.quartile_3)}",
        "samples/s": number(row.samples_per_second),
        "multiply-adds per update": "" if np.isnan(row.multiply_adds) else f"{row.multiply_adds / 1e6:.2f} M",
        "GFLOP/s": "" if np.isnan(row.gigaflops) else number(row.gigaflops),
    } for row in speeds.itertuples()])  # fmt: skip
    ratio_rows = pd.DataFrame([{
        "speed ratio": row.ratio, "hidden": row.hidden, "batch": row.batch, "median": number(row.median),
        "quartiles": f"{number(row.quartile_1)} to {number(row.quartile_3)}",
        "multiply-adds ratio": "" if np.isnan(row.operations) else number(row.operations),
    } for row in ratios.itertuples()])  # fmt: skip
    return (
        f"# Throughput\n\n{sentence(speeds, ratios)}\n\n{documents.markdown(speed_rows)}\n"
        f"## Ratios within a round\n\n{documents.markdown(ratio_rows)}\n"
        "Medians and quartiles over interleaved rounds on one thread. A `-limit` is the bare matrix products of that "
        "learner's update, by torch, which compiled updates can exceed; samples/s are updates/s times the batch.\n"
    )


def sentence(speeds: pd.DataFrame, ratios: pd.DataFrame) -> str:
    """One sentence: the ratios at 256-256, batch 64, or at the last setting measured."""
    measured = settings(speeds)
    hidden, batch = HEADLINE if HEADLINE in measured else measured[-1]
    here = ratios[(ratios["hidden"] == hidden) & (ratios["batch"] == batch)]
    names = [f"{above} / {below}" for above, below in (*RATIOS, *((rule, "ddpg") for rule in NAMED))]
    here = here[here["ratio"].isin(names)]
    parts = [
        f"{row.ratio} = {number(row.median)} ({number(row.quartile_1)} to {number(row.quartile_3)})"
        + (
            ""
            if np.isnan(row.operations) or LIMIT in row.ratio
            else f" at {number(row.operations)} of the multiply-adds"
        )
        for row in here.itertuples()
    ]
    return f"Updates per second at {hidden}, batch {batch}: {'; '.join(parts) or 'nothing to compare'}."


@style.styled
def figure(speeds: pd.DataFrame, ratios: pd.DataFrame) -> Figure:
    """Updates per second with quartiles, the limit as a tick above; ratios within a round; every local rule beside DDPG."""
    fig, (left, right, last) = style.grid(3, columns=3, width=4.8, height=3.6)
    measured = settings(speeds)
    _draw_speeds(left, speeds, measured)
    _draw_ratios(right, ratios, measured)
    _draw_rules(last, ratios, measured)
    labels = [f"{hidden}\nbatch {batch}" for hidden, batch in measured]
    for axes in (left, right):
        axes.set_xticks(range(len(measured)), labels, fontsize=7)
    style.note(
        fig,
        "bars and marks: medians over rounds   ·   whiskers: quartiles   ·   black lines: matrix products by torch   ·   "
        "right: dots at the other sizes",
    )
    return fig


def _draw_speeds(axes, speeds: pd.DataFrame, measured: list) -> None:
    learners = [name for name in speeds["learner"].drop_duplicates() if name in SHOWN]
    colours = style.method_colours(learners)
    width = 0.8 / len(learners)
    for index, learner in enumerate(learners):
        places = np.arange(len(measured)) + (index - (len(learners) - 1) / 2) * width
        rows = _of(speeds, learner, measured)
        middle = rows["updates_per_second"]
        whiskers = [middle - rows["quartile_1"], rows["quartile_3"] - middle]
        axes.bar(
            places,
            middle,
            width * 0.9,
            color=colours[learner],
            yerr=whiskers,
            ecolor=style.INK,
            label=learner,
        )
        limit = _of(speeds, learner + LIMIT, measured)["updates_per_second"]
        axes.hlines(limit, places - width * 0.45, places + width * 0.45, color=style.INK, linewidth=1.5)
    axes.set(yscale="log", ylabel="updates per second", title="Speed")
    axes.legend(frameon=False, fontsize=8, loc="upper right")


def _draw_ratios(axes, ratios: pd.DataFrame, measured: list) -> None:
    looks = {
        "ddpg / stable-baselines3": ("D", style.PINK), "linear / ddpg": ("o", style.ORANGE),
        "ddpg / ddpg-limit": ("^", style.BLUE), "linear / linear-limit": ("v", style.BROWN),
    }  # fmt: skip
    labels = []
    names = [name for name in ratios["ratio"].drop_duplicates() if name in looks]
    for index, name in enumerate(names):
        marker, colour = looks[name]
        rows = ratios[ratios["ratio"] == name].set_index(SETTING).reindex(measured)
        places = np.arange(len(measured)) + (index - (len(names) - 1) / 2) * 0.1
        whiskers = [rows["median"] - rows["quartile_1"], rows["quartile_3"] - rows["median"]]
        axes.errorbar(
            places, rows["median"], yerr=whiskers, color=colour, marker=marker, linewidth=1, markersize=6
        )
        labels.append((rows["median"].iloc[-1], name, colour))
    axes.axhline(1, color=style.INK, linewidth=0.6)
    axes.set(ylabel="ratio of updates per second", title="Ratios", yscale="log")
    style.label_ends(axes, labels)


def _draw_rules(axes, ratios: pd.DataFrame, measured: list) -> None:
    """Local rules over DDPG at every size: the fastest on top, at the size of the headline as a diamond."""
    rows = ratios[ratios["ratio"].str.endswith("/ ddpg")]
    hidden, batch = HEADLINE if HEADLINE in measured else measured[-1]
    head = (rows["hidden"] == hidden) & (rows["batch"] == batch)
    order = rows[head].sort_values("median", ascending=False)["ratio"].tolist()
    order += [name for name in rows["ratio"].drop_duplicates() if name not in order]
    places = {name: y for y, name in enumerate(order)}
    for row, is_head in zip(rows.itertuples(), head, strict=True):
        y, colour = places[row.ratio], style.ORANGE if row.ratio.startswith("linear") else style.GREEN
        if is_head:
            style.draw_estimate(axes, (row.median, row.quartile_1, row.quartile_3), y, colour)
        else:
            axes.plot(row.median, y, ".", color=colour, alpha=0.5, markersize=6)
    axes.axvline(1, color=style.INK, linewidth=0.6)
    axes.set_yticks(range(len(order)), [name.removesuffix(" / ddpg") for name in order])
    axes.set(xscale="log", ylim=(len(order) - 0.5, -0.5), xlabel="updates per second / DDPG's")
    axes.set_title(f"Local rules beside DDPG, {hidden}, batch {batch}")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def _of(speeds: pd.DataFrame, learner: str, measured: list) -> pd.DataFrame:
    """The learner's rows in the order of `measured`; NaN where it was not measured."""
    return speeds[speeds["learner"] == learner].set_index(SETTING).reindex(measured)


def _operations(counted: pd.DataFrame, setting: tuple, above: str, below: str) -> float:
    if above not in counted or below not in counted or setting not in counted.index:
        return float("nan")
    return float(counted.loc[setting, above] / counted.loc[setting, below])


def section(folder: Path, link: str) -> list[str]:
    """What the results page says, from the published files of `folder`; link: the folder, seen from the page."""
    page, text = f"[throughput.md]({link}/throughput.md)", (folder / "throughput.md").read_text()
    others = (
        f"All sizes, and updates on a GPU: {page}. Speed over several processes was not measured: "
        if GPU in text and NO_GPU not in text
        else f"All sizes: {page}. Speed on a GPU, or over several processes, was not measured: "
    )
    return [
        said(folder),
        image(folder, link, "throughput"),
        f"{others}these are updates per second of one process.\n",
    ]


def headline(root: Path) -> str:
    """What the summary says."""
    return said(root / "table")


def said(tables: Path) -> str:
    """The sentences on updates and on whole training, from the tables in a folder."""
    names = ("throughput", "throughput_ratios", "throughput_training")
    speeds, ratios, whole = (pd.read_csv(tables / f"{name}.csv") for name in names)
    return f"{sentence(speeds, ratios)}\n\n{training_sentence(whole)}\n"


def metrics(tables: Path) -> dict[str, float]:
    """Median ratio of updates per second at every setting, for MLflow."""
    rows = pd.read_csv(tables / "throughput_ratios.csv")
    return {f"{row.ratio.replace(' ', '')}/{row.hidden}/{row.batch}": row.median for row in rows.itertuples()}
