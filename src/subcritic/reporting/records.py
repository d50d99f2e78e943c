"""Reading what the stages recorded under results/<profile>/: long-form frames, and clear errors for missing files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from subcritic.config import Environment, Profile

CURVES = ("environment", "method", "seed", "step", "metric", "value")
STEPS_TO_SIMILAR = ("environment", "method", "seed", "critic", "step")
AGREEMENT = (
    "environment", "seed", "step", "reading", "critic", "granularity", "layer", "neuron", "measure", "value",
)  # fmt: skip
SCORES = ("environment", "method", "seed", "score", "steps", "diverged_at")
THROUGHPUT = ("learner", "hidden", "batch", "round", "updates_per_second")
THEOREM = ("environment", "seed", "reading", "layer", "measure", "value")
SCALING = (
    "environment", "seed", "actor_steps", "estimator", "width", "neurons", "noise_scale", "draws", "layer", "measure",
    "value",
)  # fmt: skip
OPERATIONS = ("learner", "hidden", "batch", "multiply_adds")
ANCHORS = (
    "environment", "random_mean", "random_standard_error", "random_episodes", "reference_return", "reference_source",
)  # fmt: skip


class MissingResult(FileNotFoundError):
    """A recorded file that a report needs is not there, or is not what it should be."""


def experiment1_curves(profile: Profile, root: Path) -> pd.DataFrame:
    """All environments' curves of Experiment 1; `method` is phase1 or phase2."""
    return _over_environments(profile, root, "experiment1", "curves.csv", CURVES)


def steps_to_similar(profile: Profile, root: Path) -> pd.DataFrame:
    """The step at which each critic first reached a windowed Pearson of 0.9; NaN when it never did."""
    return _over_environments(profile, root, "experiment1", "steps_to_similar.csv", STEPS_TO_SIMILAR)


def gradient_agreement(profile: Profile, root: Path) -> pd.DataFrame:
    """All environments' gradient agreement, every snapshot."""
    return _over_environments(profile, root, "gradients", "agreement.csv", AGREEMENT)


def experiment2_curves(profile: Profile, root: Path) -> pd.DataFrame:
    """All learning curves of Experiment 2."""
    return _over_methods(profile, root, "{}.csv", CURVES)


def scores(profile: Profile, root: Path) -> pd.DataFrame:
    """Final score of every seed of Experiment 2; `diverged_at` is NaN for a seed that did not diverge."""
    return _over_methods(profile, root, "{}.scores.csv", SCORES)


def ablation_curves(profile: Profile, root: Path) -> pd.DataFrame:
    """All learning curves and diagnostics of the ablation."""
    return _ablated(profile, root, "{}.csv", CURVES)


def ablation_scores(profile: Profile, root: Path) -> pd.DataFrame:
    """Final score of every seed of the ablation; `diverged_at` is NaN for a seed that did not diverge."""
    return _ablated(profile, root, "{}.scores.csv", SCORES)


def theorem(profile: Profile, root: Path) -> pd.DataFrame:
    """All environments' differences between the two sides of Theorem 2.2.4."""
    return _over_environments(profile, root, "theorem", "theorem.csv", THEOREM)


def scaling(profile: Profile, root: Path) -> pd.DataFrame:
    """All environments' agreement of estimates from noise, against width, noise scale and draws."""
    return _over_environments(profile, root, "scaling", "scaling.csv", SCALING)


def throughput(root: Path) -> pd.DataFrame:
    """Updates per second of every learner, setting and round."""
    return _read(root / "throughput" / "throughput.csv", "throughput", THROUGHPUT)


def operations(root: Path) -> pd.DataFrame:
    """Multiply-adds of one update of every learner and setting."""
    return _read(root / "throughput" / "operations.csv", "throughput", OPERATIONS)


def compared_curves(root: Path, stage: str) -> pd.DataFrame:
    """Learning curves of the stage `asynchronous` or `recurrent`."""
    return _read(root / stage / "curves.csv", stage, CURVES)


def compared_scores(root: Path, stage: str) -> pd.DataFrame:
    """Final score of every seed of the stage `asynchronous` or `recurrent`."""
    return _read(root / stage / "scores.csv", stage, SCORES)


def random_scores(root: Path) -> pd.DataFrame:
    """Mean return of the uniform random policy on the tasks of the stage `recurrent`, one row per seed."""
    played = _read(root / "recurrent" / "random.csv", "recurrent", ("environment", "seed", "score"))
    return played.assign(diverged_at=float("nan"))


def asynchronous_speed(root: Path) -> pd.DataFrame:
    """Updates per second in threads and without, every setting and round."""
    return _read(root / "asynchronous" / "throughput.csv", "asynchronous", THROUGHPUT)


def lags(root: Path) -> pd.DataFrame:
    """How far learning in threads was behind acting."""
    return _read(
        root / "asynchronous" / "lag.csv", "asynchronous", ("environment", "updates", "mean", "largest")
    )


def anchors(profile: Profile, root: Path, environments: Sequence[Environment] | None = None) -> pd.DataFrame:
    """Random-policy return and reference return per environment (the index); NaN where there is no reference.

    environments: None is all of the profile's.
    """
    chosen = profile.environments if environments is None else environments
    return pd.DataFrame([_anchor(root, e.name) for e in chosen]).set_index("environment")


def _anchor(root: Path, environment: str) -> dict:
    path = root / "anchors" / f"{environment}.json"
    _must_exist(path, "anchors")
    anchor = json.loads(path.read_text())
    _must_have(path, ANCHORS, anchor)
    reference = anchor["reference_return"]
    return {**{name: anchor[name] for name in ANCHORS},
            "reference_return": float("nan") if reference is None else float(reference),
            "reference_standard_error": float(anchor.get("reference_standard_error") or 0.0),
            "reference_source": anchor["reference_source"] or ""}  # fmt: skip


def _over_environments(profile: Profile, root: Path, stage: str, name: str, columns: tuple) -> pd.DataFrame:
    paths = [root / stage / environment.name / name for environment in profile.environments]
    return pd.concat([_read(path, stage, columns) for path in paths], ignore_index=True)


def _over_methods(profile: Profile, root: Path, name: str, columns: tuple) -> pd.DataFrame:
    paths = [
        root / "experiment2" / environment.name / name.format(method.name)
        for environment in profile.environments
        for method in profile.methods
    ]
    return pd.concat([_read(path, "experiment2", columns) for path in paths], ignore_index=True)


def _ablated(profile: Profile, root: Path, name: str, columns: tuple) -> pd.DataFrame:
    paths = [
        root / "ablation" / environment.name / name.format(method.name)
        for environment in profile.ablated_environments()
        for method in profile.ablation.methods
    ]
    return pd.concat([_read(path, "ablation", columns) for path in paths], ignore_index=True)


def _read(path: Path, stage: str, columns: tuple) -> pd.DataFrame:
    _must_exist(path, stage)
    text = {
        name: str for name in ("environment", "method", "metric", "critic", "learner", "hidden", "reading")
    }
    frame = pd.read_csv(path, dtype={k: v for k, v in text.items() if k in columns})
    _must_have(path, columns, frame.columns)
    return frame


def _must_exist(path: Path, stage: str) -> None:
    if not path.is_file():
        raise MissingResult(
            f"{path} is missing: the stage {stage!r} makes it; run that stage, then the report"
        )


def _must_have(path: Path, columns: tuple, given) -> None:
    missing = [name for name in columns if name not in given]
    if missing:
        raise MissingResult(f"{path} lacks {', '.join(missing)}; expected: {', '.join(columns)}")
