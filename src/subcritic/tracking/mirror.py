"""Writes run records to MLflow. One idempotent function serves live logging, resumed runs and a full rebuild."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import store, views
from .record import RESULTS, Identity, Point, read, read_metrics

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

IDENTITY, RECORD, SUPERSEDED = "subcritic.identity", "subcritic.record", "superseded"
BATCH, LONGEST_PARAM, LONGEST_TAG = 1000, 6000, 8000
SECONDS_BETWEEN = 5.0
# The largest share of the time that mirroring to a slow store may take.
SHARE = 0.05


@dataclass(frozen=True)
class Held:
    """What MLflow has of one record, as far as this process knows."""

    run_id: str
    record: str
    offset: int = 0
    status: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    params: frozenset[str] = frozenset()
    artifacts: dict[str, str] = field(default_factory=dict)
    points: dict[tuple[str, int], float] = field(default_factory=dict)


def agree(client: MlflowClient, results: Path, folder: Path, held: Held | None = None) -> Held:
    """Bring MLflow up to date with the record in `folder`; returns what MLflow then has of it.

    Only what is missing is written, also after an earlier call that was interrupted. `held`, the result of an earlier call,
    saves asking MLflow what it has. MLflow runs of the same identity that belong to an older record, or whose points
    contradict this one, are deleted (MLflow keeps deleted runs in its trash), with the tag `superseded`.
    """
    content = read(folder)
    if held is None or held.record != content["record"]:
        held = _find_or_create(client, results, folder, content)
    points, offset = read_metrics(folder, held.offset)
    ahead = _ahead(held.points, points, content["status"])
    if ahead is None:
        return agree(client, results, folder)
    fresh = [point for point in points if (point.metric, point.step) not in held.points]
    _write_batches(client, held, content, fresh)
    _write_artifacts(client, held, content, folder)
    if content["status"] != held.status:
        _write_status(client, held.run_id, content)
    return replace(
        held,
        offset=offset,
        status=content["status"],
        tags=_tags(content),
        params=frozenset(_params(content)),
        artifacts=content["artifacts"],
        points=ahead,
    )


class Mirror:
    """Live mirroring in one process. When MLflow fails, one warning goes to stderr and training continues without it."""

    def __init__(self, results: Path):
        self._results = Path(results)
        self._client: MlflowClient | None = None
        self._held: dict[Path, Held] = {}
        self._next = 0.0
        self._failed = False

    def synchronise(self, folders: Sequence[Path], now: bool = False) -> None:
        """Bring MLflow up to date with the records in `folders`; unless `now`, at most once every few seconds."""
        start = time.monotonic()
        if self._failed or (start < self._next and not now):
            return
        try:
            self._client = self._client or store.connect(self._results)
            connected = time.monotonic()
            for folder in folders:
                # Removed during the update, so that after an interruption MLflow is asked what it has.
                held = self._held.pop(folder, None)
                self._held[folder] = agree(self._client, self._results, folder, held)
        except Exception as error:
            self._failed = True
            reason = f"{type(error).__name__}: {error}".strip().split("\n")[0]
            print(
                f"warning: stopped mirroring to MLflow ({reason}). The results on disk are complete; "
                "`subcritic tracking rebuild` brings MLflow up to date.",
                file=sys.stderr,
                flush=True,
            )
        else:
            end = time.monotonic()
            self._next = end + max(SECONDS_BETWEEN, (end - connected) / SHARE)


def _find_or_create(client: MlflowClient, results: Path, folder: Path, content: dict[str, Any]) -> Held:
    experiment_id = store.experiment(client, results, Identity.of(content).study)
    points, _ = read_metrics(folder)
    found = None
    for run in _runs_of(client, experiment_id, content):
        held = _held(client, run)
        if (
            found is None
            and held.record == content["record"]
            and _ahead(held.points, points, content["status"]) is not None
        ):
            found = held
        else:
            client.set_tag(run.info.run_id, SUPERSEDED, "true")
            client.delete_run(run.info.run_id)
    return found or _create(client, experiment_id, content)


def _runs_of(client: MlflowClient, experiment_id: str, content: dict[str, Any]) -> list[MlflowRun]:
    key = Identity.of(content).key
    return client.search_runs([experiment_id], filter_string=f"tags.`{IDENTITY}` = '{key}'")


def _held(client: MlflowClient, run: MlflowRun) -> Held:
    return Held(
        run_id=run.info.run_id,
        record=run.data.tags.get(RECORD, ""),
        status=run.info.status,
        tags=run.data.tags,
        params=frozenset(run.data.params),
        artifacts=artifact_digests(run.data.tags),
        points={
            (name, metric.step): metric.value
            for name in run.data.metrics
            for metric in client.get_metric_history(run.info.run_id, name)
        },
    )


def _ahead(
    held: dict[tuple[str, int], float], points: list[Point], status: str
) -> dict[tuple[str, int], float] | None:
    """The points that MLflow has and the record does not (yet), or None where the two contradict each other.

    After a resume MLflow may be ahead of the record, which catches up. For a finished record, any such point contradicts.
    """
    recorded = {(point.metric, point.step): point.value for point in points}
    if any(key in held and not _same(value, held[key]) for key, value in recorded.items()):
        return None
    ahead = {key: value for key, value in held.items() if key not in recorded}
    return None if ahead and status == "FINISHED" else ahead


def _same(recorded: float, held: float) -> bool:
    """Equality after storage: NaN equals NaN, and MLflow's databases may store infinity as the largest float."""
    if math.isnan(recorded) or math.isnan(held):
        return math.isnan(recorded) == math.isnan(held)
    if math.isinf(recorded):
        recorded = math.copysign(sys.float_info.max, recorded)
    return recorded == held or (math.isinf(held) and math.copysign(sys.float_info.max, held) == recorded)


def _create(client: MlflowClient, experiment_id: str, content: dict[str, Any]) -> Held:
    tags = _tags(content)
    identity = Identity.of(content)
    _offer_view(client, experiment_id, identity)
    run = client.create_run(
        experiment_id, start_time=content["start_ms"], tags=tags, run_name=_run_name(identity)
    )
    return Held(run.info.run_id, content["record"], status="RUNNING", tags=tags)


def _offer_view(client: MlflowClient, experiment_id: str, identity: Identity) -> None:
    view = views.view_of(identity.study)
    if view.charts and identity.environment != RESULTS:
        for name, value in views.environment_view(view, identity.environment).items():
            client.set_experiment_tag(experiment_id, name, value)


def _run_name(identity: Identity) -> str:
    return f"results ({identity.profile})" if identity.environment == RESULTS else identity.name


def _params(content: dict[str, Any]) -> dict[str, str]:
    identity = Identity.of(content)
    if identity.environment == RESULTS:
        return {**content["params"], "profile": identity.profile}
    curve = f"{identity.method} {identity.environment} ({identity.profile})"
    return {
        **content["params"],
        **{name: str(value) for name, value in content["identity"].items()},
        views.CURVE: curve,
    }


def _tags(content: dict[str, Any]) -> dict[str, str]:
    identity = Identity.of(content)
    tags = {
        **content["tags"],
        IDENTITY: identity.key,
        RECORD: content["record"],
        "mlflow.source.name": f"subcritic {identity.study}",
        "mlflow.source.git.commit": content["tags"]["commit"].removesuffix("-dirty"),
        **({"mlflow.note.content": content["note"]} if content["note"] else {}),
        **{f"timing.{name}": f"{seconds:.3f}" for name, seconds in content["timing"].items()},
    }
    return {name: value[:LONGEST_TAG] for name, value in tags.items()}


def artifact_digests(tags: dict[str, str]) -> dict[str, str]:
    """The artifacts of a run in MLflow, name to digest, read from its tags."""
    prefix = "artifact."
    return {name.removeprefix(prefix): value for name, value in tags.items() if name.startswith(prefix)}


def _write_batches(client: MlflowClient, held: Held, content: dict[str, Any], points: list[Point]) -> None:
    from mlflow.entities import Metric, Param, RunTag

    tags = [RunTag(k, v) for k, v in _tags(content).items() if held.tags.get(k) != v]
    params = [Param(k, v[:LONGEST_PARAM]) for k, v in _params(content).items() if k not in held.params]
    for start in range(0, len(params), 100):
        client.log_batch(held.run_id, params=params[start : start + 100])
    if tags:
        client.log_batch(held.run_id, tags=tags)
    if "error" in held.tags and "error" not in content["tags"]:
        client.delete_tag(held.run_id, "error")
    for start in range(0, len(points), BATCH):
        metrics = [Metric(p.metric, p.value, p.timestamp_ms, p.step) for p in points[start : start + BATCH]]
        client.log_batch(held.run_id, metrics=metrics)


def _write_artifacts(client: MlflowClient, held: Held, content: dict[str, Any], folder: Path) -> None:
    for name, digest in content["artifacts"].items():
        if held.artifacts.get(name) != digest:
            client.log_artifact(held.run_id, str(folder / "artifacts" / name))
            client.set_tag(held.run_id, f"artifact.{name}", digest)


def _write_status(client: MlflowClient, run_id: str, content: dict[str, Any]) -> None:
    if content["status"] == "RUNNING":
        client.update_run(run_id, status="RUNNING")
    else:
        client.set_terminated(run_id, content["status"], content["end_ms"])
