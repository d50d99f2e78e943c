"""Is a profile finished? All its files are there, all its runs FINISHED, of its config, and shown by its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from subcritic import config
from subcritic.config import Environment, Profile
from subcritic.reporting.records import MissingResult
from subcritic.studies.experiment1.report import PHASES
from subcritic.tracking import Identity, record


class Kept(NamedTuple):
    """What publishing a profile of one purpose keeps, and the stages whose results must be recorded."""

    tables: tuple[str, ...]
    figures: tuple[str, ...]
    stages: tuple[str, ...]


TABLES = (
    "table.csv", "table.md", "aggregates.csv", "agreement.csv", "agreement.md", "empirical_value.json",
    "steps_to_similar.csv", "steps_to_similar.md", "throughput.csv", "throughput.md", "throughput_ratios.csv",
    "agreement_readings.csv", "scaling.csv", "scaling.md", "scaling_slopes.csv", "scaling_fits.csv",
    "theorem.csv", "theorem.md", "asynchronous.csv", "asynchronous.md", "asynchronous_speed.csv", "recurrent.csv",
    "recurrent.md", "ablation.csv", "ablation.md", "ablation_answer.json",
)  # fmt: skip
FIGURES = (
    "agreement_training", "scaling",
    "agreement", "learning", "similarity", "values", "cosine", "table", "throughput", "theorem", "asynchronous",
    "recurrent", "ablation", "diagnostics",
)  # fmt: skip
OF_THE_SUITE = ("references", "gallery")
KEPT = {
    "results": Kept(TABLES, FIGURES, tuple(name for name in config.STAGES if name not in OF_THE_SUITE)),
    "lab_book": Kept(
        ("ablation.csv", "ablation.md", "ablation_answer.json", "lab_book.csv", "lab_book.md"),
        ("ablation", "diagnostics"),
        ("ablation",),
    ),
    "suite": Kept(
        ("table.csv", "table.md", "aggregates.csv", "references.csv", "references.md"),
        ("learning", "table", "gallery"),
        ("experiment2", "table", *OF_THE_SUITE),
    ),
}
ASYNCHRONOUS = ("synchronous", "asynchronous")
RECURRENT = ("recurrent", "leaky", "feedforward", "ddpg")


class Training(NamedTuple):
    """A run that must be there: `config` is what its config must hold, `table` the table that shows it."""

    identity: Identity
    config: dict[str, Any]
    table: str


def check(root: Path) -> tuple[Profile, list[Path], list[dict[str, Any]]]:
    """The profile of results/<profile>, its config, tables and figures, and the content of all its run records.

    Raises:
        MissingResult: a file is missing or older than what it was made from, or a run is not FINISHED or not of this
            config.
    """
    path = root / "config.yaml"
    if not path.is_file():
        raise MissingResult(f"{path} is missing: run the profile first, `make reproduce PROFILE={root.name}`")
    profile = config.load(path)
    return profile, [path, *_made(profile, root)], [*_trained(profile, root), *_reported(profile, root)]


def trainings(profile: Profile) -> Iterator[Training]:
    """Every training that a finished profile has recorded."""
    if profile.purpose != "suite":
        yield from _attempts(profile)
    if profile.purpose != "lab_book":
        yield from _compared(profile)
    if profile.purpose == "results":
        yield from _studied(profile)


def _compared(profile: Profile) -> Iterator[Training]:
    for environment in profile.environments:
        training = _training(profile.training, environment)
        methods = {method.name: {"agent": config.dump(method), **training} for method in profile.methods}
        yield from _of(profile, "experiment2", [environment], methods, "table.csv")


def _studied(profile: Profile) -> Iterator[Training]:
    shared = {"experiment1": config.dump(profile.experiment1)}
    first = shared | {"training": config.dump(profile.training)}
    theorem = shared | {"theorem": config.dump(profile.theorem)}
    scaling = shared | {"scaling": config.dump(profile.scaling)}
    environments = profile.environments
    yield from _of(
        profile, "experiment1", environments, dict.fromkeys((*PHASES, "neuron_noise"), first), "agreement.csv"
    )
    yield from _of(profile, "gradients", environments, {"agreement": shared}, "agreement.csv")
    yield from _of(profile, "theorem", environments, {"theorem": theorem}, "theorem.csv")
    yield from _of(profile, "scaling", environments, {"scaling": scaling}, "scaling.csv")
    for stage, names in (("asynchronous", ASYNCHRONOUS), ("recurrent", RECURRENT)):
        settings = getattr(profile, stage)
        for environment in settings.environments:
            held = {"agent": config.dump(settings.agent), **_training(settings.training, environment)}
            yield from _of(profile, stage, [environment], dict.fromkeys(names, held), f"{stage}.csv")


def _of(
    profile: Profile, stage: str, environments: Sequence[Environment], methods: Mapping[str, dict], table: str
) -> Iterator[Training]:
    for environment in environments:
        # The reference return is not among what a training depends on.
        task = {"environment": {"id": environment.id, "kwargs": environment.kwargs}}
        for method, held in methods.items():
            for seed in profile.seed_list():
                identity = Identity(profile.profile, stage, environment.name, method, seed)
                yield Training(identity, task | held, table)


def _attempts(profile: Profile) -> Iterator[Training]:
    for environment in profile.ablated_environments():
        steps = {"steps": profile.ablation_steps(environment)}
        training = {"training": config.dump(profile.training) | steps}
        methods = {
            method.name: {"agent": config.dump(method), **training} for method in profile.ablation.methods
        }
        yield from _of(profile, "ablation", [environment], methods, "ablation.csv")


def _training(training: config.Training, environment: Environment) -> dict[str, Any]:
    return {"training": config.dump(training) | {"steps": environment.steps or training.steps}}


def _made(profile: Profile, root: Path) -> list[Path]:
    kept = KEPT[profile.purpose]
    tables = [root / "table" / name for name in kept.tables]
    paths = tables + [root / "figures" / f"{name}.png" for name in kept.figures]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise MissingResult(
            f"{', '.join(missing)} missing: the profile {root.name!r} has not been run to its end"
        )
    return paths


def _trained(profile: Profile, root: Path) -> Iterator[dict[str, Any]]:
    for training in trainings(profile):
        key, run = training.identity.key, _finished(training.identity, root)
        if not record.flatten(training.config).items() <= run["params"].items():
            raise MissingResult(
                f"{key}: was made with another config than {root / 'config.yaml'}; run the profile again"
            )
        path = root / "table" / training.table
        if path.stat().st_mtime * 1000 < run["end_ms"]:
            raise MissingResult(f"{path} is older than the run {key}; run the profile again")
        yield run


def _reported(profile: Profile, root: Path) -> Iterator[dict[str, Any]]:
    for stage in KEPT[profile.purpose].stages:
        yield _finished(Identity(profile.profile, stage, record.RESULTS, record.RESULTS, 0), root)


def _finished(identity: Identity, root: Path) -> dict[str, Any]:
    path = identity.folder(root.parent) / "run.json"
    if not path.is_file():
        raise MissingResult(f"{path} is missing: run the profile to its end before publishing it")
    run = record.read(path.parent)
    if run["status"] != "FINISHED":
        raise MissingResult(
            f"{path}: the run is {run['status']}, only FINISHED runs are published; run the profile again"
        )
    return run
