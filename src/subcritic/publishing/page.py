"""Publishing: the tables and figures of a finished profile kept in the repository, and docs/results.md made from them."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from subcritic import config, provenance
from subcritic.config import Profile
from subcritic.publishing import check as finished
from subcritic.reporting import documents
from subcritic.reporting.estimates import Estimate
from subcritic.studies.asynchronous import report as asynchronous
from subcritic.studies.gradients import readings
from subcritic.studies.gradients import report as agreement
from subcritic.studies.lab_book import report as lab_book
from subcritic.studies.recurrent import report as recurrent
from subcritic.studies.scaling import report as scaling
from subcritic.studies.table import report as table
from subcritic.studies.throughput import report as throughput

ORDER = ("quick", "standard", "paper", "suite")
PAGE = "results.md"
HEADER = """# Results

Made by `subcritic publish` from the files in [results/published]({published}), and from nothing else; do not edit it.
[reading.md](reading.md) says what the words mean, [paper-map.md](paper-map.md) which code made which number, and what of
the paper is not built yet.
"""
NOT_ABLATED = "- Of the local rules: any but the drafts' linear one, and anything between it and DDPG.\n"
NO_PLANNER = """\
- Scores against a planner, as in Lillicrap et al. 2016, whose environments were never released: ours are normalised by
  the reference returns that the config names.
"""
NOT_MEASURED = """\
- Speed on a GPU, or over several processes: ours are updates per second of one process.
"""


def publish(name: str, results: Path, published: Path, docs: Path) -> list[Path]:
    """Copy the tables and figures of profile `name` to published/<name>/, and make docs/results.md anew.

    A profile that keeps a lab book goes to docs/local-rules.md instead, between the markers there.

    provenance.json beside them says which code, packages, config and machine they come from. Nothing is changed unless
    everything is there. Returns the files written.

    Raises:
        MissingResult: a file is missing or older than what it was made from, or a run is not FINISHED or not of this config.
    """
    folder = published / name
    profile, sources, runs = finished.check(results / name)
    new = published / f".{name}.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for source in sources:
        shutil.copyfile(source, new / source.name)
    documents.write(new / "provenance.json", describe(profile, runs))
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)
    if profile.purpose == "lab_book":
        written = lab_book.insert(folder, docs)
    else:
        written = documents.write(docs / PAGE, page(published, docs))
    return [*sorted(folder.iterdir()), written]


def describe(profile: Profile, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """What the numbers depend on; `commit` is that of publishing, `run_commits` are those the runs were made with."""
    runs = [run for run in runs if run["identity"]["method"] != "results"]
    starts, ends = [run["start_ms"] for run in runs], [run["end_ms"] for run in runs]
    return {
        "published": date.today().isoformat(),
        **_commit(),
        "run_commits": sorted({run["tags"]["commit"] for run in runs}),
        "config_digest": config.digest(config.dump(profile)),
        "versions": provenance.versions(),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "system": platform.system(),
            "python": platform.python_version(),
        },
        "made_on_this_machine": {run["process"]["host"] for run in runs} == {socket.gethostname()},
        "minutes_from_first_start_to_last_end": round((max(ends) - min(starts)) / 60_000, 1),
        "share_of_time_spent_logging": round(_logging_share(runs), 4),
    }


def _logging_share(runs: list[dict[str, Any]]) -> float:
    """Seconds spent writing records and MLflow, of all seconds of the trainings."""
    timings = [run["timing"] for run in runs if run["timing"]]
    wall = sum(timing["wall_seconds"] for timing in timings)
    return sum(timing["logging_seconds"] for timing in timings) / wall if wall else 0.0


def page(published: Path, docs: Path) -> str:
    """The page of all published profiles but lab books, with links relative to `docs`."""
    found = (path.parent for path in published.glob("*/provenance.json"))
    folders = sorted(
        (folder for folder in found if _purpose(folder) != "lab_book"),
        key=lambda folder: (ORDER.index(folder.name) if folder.name in ORDER else len(ORDER), folder.name),
    )
    blocks = [HEADER.format(published=os.path.relpath(published, docs))]
    for folder in folders:
        section = _suite_section if _purpose(folder) == "suite" else _profile_section
        blocks.append(section(folder, os.path.relpath(folder, docs)))
    return "\n".join([*blocks, "## What was not measured\n", _not_measured(folders)])


def _purpose(folder: Path) -> str:
    return config.load(folder / "config.yaml", recorded=True).purpose


def _commit() -> dict[str, Any]:
    """Commit of the source, and whether tracked files differ from it, what publishing itself writes left aside."""

    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(provenance.PACKAGE), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    written = ("results", *(f"docs/{name}" for name in (PAGE, lab_book.PAGE, "gallery.md", "gallery")))
    outside = (":(top)", *(f":(top,exclude){name}" for name in written))
    changes = git("status", "--porcelain", "--untracked-files=no", "--", *outside)
    return {
        "commit": git("rev-parse", "HEAD") or "unknown",
        "dirty": None if changes is None else bool(changes),
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _profile_section(folder: Path, link: str) -> str:
    profile = config.load(folder / "config.yaml", recorded=True)
    made = json.loads((folder / "provenance.json").read_text())
    value = json.loads((folder / "empirical_value.json").read_text())
    results, aggregates = pd.read_csv(folder / "table.csv"), pd.read_csv(folder / "aggregates.csv")
    speeds, ratios = pd.read_csv(folder / "throughput.csv"), pd.read_csv(folder / "throughput_ratios.csv")
    return "\n".join([
        f"## Profile {profile.profile}\n", _measured(profile, made, link, _both_experiments(profile)),
        "### Do local gradients agree with the true one?\n", value["sentence"] + "\n",
        _figure("agreement", link), documents.markdown(_correlations(value)),
        _correlation_note(value, link), _readings(folder, link), _scaling(folder, link),
        "### Do sub-critics learn the values of the whole agent's critic?\n",
        _figure("similarity", link), _figure("values", link),
        f"Steps until a critic's values correlate at 0.9: [steps_to_similar.md]({link}/steps_to_similar.md).\n",
        "### When does the theorem hold?\n", _figure("theorem", link),
        f"Both sides of Theorem 2.2.4 on trained agents, by reading: [theorem.md]({link}/theorem.md).\n",
        "### Does the whole policy learn when every neuron learns by itself?\n",
        documents.markdown(table.readable(results)), documents.markdown(table.readable_aggregates(aggregates)),
        f"All columns, the anchors, and Table 1 of Lillicrap et al. 2016 beside them: [table.md]({link}/table.md).\n",
        _figure("learning", link), _figure("cosine", link), _figure("table", link),
        *_local_rules(folder, link),
        "### How fast is an update?\n", throughput.headline(speeds, ratios) + "\n",
        _figure("throughput", link), f"All sizes: [throughput.md]({link}/throughput.md).\n",
        "### Do neurons learn in threads without a lock, and in recurrent networks without unrolling?\n",
        _bullets(asynchronous.sentences(pd.read_csv(folder / "asynchronous.csv"))), _figure("asynchronous", link),
        _bullets(recurrent.sentences(pd.read_csv(folder / "recurrent.csv"))), _figure("recurrent", link),
        f"Tables: [asynchronous.md]({link}/asynchronous.md), [recurrent.md]({link}/recurrent.md).\n",
    ])  # fmt: skip


def _suite_section(folder: Path, link: str) -> str:
    """How the tasks of the suite are learned, between random actions and the planner."""
    profile = config.load(folder / "config.yaml", recorded=True)
    made = json.loads((folder / "provenance.json").read_text())
    results, aggregates = pd.read_csv(folder / "table.csv"), pd.read_csv(folder / "aggregates.csv")
    steps = sorted({profile.steps_for(environment) for environment in profile.environments})
    trained = (
        f"- {', '.join(method.name for method in profile.methods)} on {len(profile.environments)} tasks, "
        f"{' or '.join(f'{count:,}' for count in steps)} steps each."
    )
    return "\n".join([
        f"## Profile {profile.profile}\n", _measured(profile, made, link, [trained]),
        "### How are the tasks of Lillicrap et al. 2016 learned?\n",
        "Random actions score 0, the planner 1: what it is and what it scores on each task stands in "
        f"[references.md]({link}/references.md), films of it in [gallery.md](gallery.md).\n",
        _bullets(reached(results)), _figure("learning", link),
        documents.markdown(table.readable(results)), documents.markdown(table.readable_aggregates(aggregates)),
        f"All columns and the anchors: [table.md]({link}/table.md).\n", _figure("table", link),
    ])  # fmt: skip


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


def _measured(profile: Profile, made: dict[str, Any], link: str, trained: list[str]) -> str:
    """What was trained, on what, with which code."""
    seeds, machine = profile.seed_list(), made["machine"]
    where = (
        f"{machine['cores']} cores of {machine['processor']}"
        if made["made_on_this_machine"]
        else "another machine"
    )
    return "\n".join([
        *trained,
        f"- Seeds {seeds[0]} to {seeds[-1]}; intervals are over these {len(seeds)} seeds." if len(seeds) > 1
        else f"- One seed ({seeds[0]}): no intervals.",
        f"- Code: {', '.join(commit[:12] + commit[40:] for commit in made['run_commits'])}. Machine: {where}, "
        f"{made['minutes_from_first_start_to_last_end']} minutes from the first start to the last end; logging took "
        f"{100 * made['share_of_time_spent_logging']:.1f} % of the runs' time.",
        f"- Everything a number depends on: [config.yaml]({link}/config.yaml), [provenance.json]({link}/provenance.json).",
        "",
    ])  # fmt: skip


def _both_experiments(profile: Profile) -> list[str]:
    steps = ", ".join(f"{e.name} ({profile.steps_for(e):,} steps)" for e in profile.environments)
    settings = profile.experiment1
    layers = " and ".join(map(str, settings.agent.hidden))
    return [
        f"- Experiment 2: {', '.join(method.name for method in profile.methods)} on {steps}.",
        f"- Experiment 1: {settings.steps:,} steps on the same environments, an actor with {layers} hidden neurons, critics "
        f"for every layer and for up to {settings.neurons_per_layer} neurons of each.",
    ]  # fmt: skip


def _correlations(value: dict[str, Any]) -> pd.DataFrame:
    """Pearson correlations with Q^mu: values and gradients side by side, a column per part of the network."""
    more = value.get("better", {}) | value["controls"]
    parts_of = {"values": value["q_value_similarity"], "drafts": value["parts"], **more}
    columns = {"all": "all layers", "hidden": "hidden layers", "output": "output layer"}
    return pd.DataFrame([
        {"correlation with the true": label}
        | {title: _estimate(parts_of[name][part]) for part, title in columns.items()}
        for name, label in agreement.ROWS.items()
        if name in parts_of
    ])  # fmt: skip


def _correlation_note(value: dict[str, Any], link: str) -> str:
    return (
        "Median over neurons (values: over layers), mean over seeds and environments, with intervals over seeds. Every "
        f"measure, per environment, neuron, layer and whole actor: [agreement.md]({link}/agreement.md).\n"
    )


def _readings(folder: Path, link: str) -> str:
    """Every reading under better and better conditions; empty for a profile published without them."""
    path = folder / "agreement_readings.csv"
    if not path.is_file():
        return ""
    return "\n".join([
        "### Do they agree under better conditions?\n",
        documents.markdown(readings.readable(pd.read_csv(path, dtype={"expected": str}))), agreement.READINGS_NOTE,
        _figure("agreement_training", link),
    ])  # fmt: skip


def _scaling(folder: Path, link: str) -> str:
    """How many draws it takes; empty for a profile published without it."""
    if not (folder / "scaling.csv").is_file():
        return ""
    found = [pd.read_csv(folder / f"{name}.csv") for name in ("scaling", "scaling_slopes", "scaling_fits")]
    return "\n".join([
        "### How many draws does the policy gradient take?\n",
        _bullets(scaling.sentences(*found)), _figure("scaling", link),
        f"By width, noise scale and layer: [scaling.md]({link}/scaling.md); how it is measured: "
        "[agreement.md](agreement.md#scaling).\n",
    ])  # fmt: skip


def _estimate(data: dict[str, float | None]) -> str:
    return str(Estimate(*[float("nan") if data[key] is None else data[key] for key in Estimate._fields]))


def _not_measured(folders: list[Path]) -> str:
    ablated = any((folder / "ablation_answer.json").is_file() for folder in folders)
    planned = any((folder / "references.csv").is_file() for folder in folders)
    return ("" if planned else NO_PLANNER) + NOT_MEASURED + ("" if ablated else NOT_ABLATED)


def _local_rules(folder: Path, link: str) -> list[str]:
    """What a local rule needs; nothing for a profile that was published before there was an ablation."""
    if not (folder / "ablation_answer.json").is_file():
        return []
    found = json.loads((folder / "ablation_answer.json").read_text())
    return [
        "### What does a local rule need?\n", found["sentence"] + "\n", _figure("ablation", link),
        f"The table: [ablation.md]({link}/ablation.md). Why rules fail or work:\n", _figure("diagnostics", link),
    ]  # fmt: skip


def _bullets(sentences: list[str]) -> str:
    return "".join(f"- {sentence}\n" for sentence in sentences)


def _figure(name: str, link: str) -> str:
    return f"![{name}]({link}/{name}.png)\n"
