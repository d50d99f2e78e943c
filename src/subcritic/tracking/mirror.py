"""Writes run records to MLflow. One idempotent function serves live runs, resumed runs and a full rebuild."""

from __future__ import annotations

import contextlib
import math
import socket
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import store, views
from .claim import claimed
from .inputs import as_mlflow
from .record import (
    METRICS,
    RESULTS,
    SYSTEM,
    Identity,
    Point,
    RecordError,
    mark_killed,
    params,
    read,
    read_metrics,
    records,
)
from .store import IDENTITY, RECORD, RESULTS_ID

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

# Tags of a run: it was replaced; the address of its policy.
SUPERSEDED, MODEL = "superseded", "model"
BATCH, LONGEST_PARAM, LONGEST_TAG = 1000, 6000, 8000
# When run.json was written and its inode, and the sizes of metrics.csv and system.csv.
Stamp = tuple[int, int, int, int]
# Bytes of these two that were read.
Offsets = tuple[int, int]


@dataclass(frozen=True)
class Held:
    """What MLflow has of one record."""

    run_id: str
    record: str
    offsets: Offsets = (0, 0)
    status: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    params: frozenset[str] = frozenset()
    artifacts: dict[str, str] = field(default_factory=dict)
    model: str = ""
    points: dict[tuple[str, int], float] = field(default_factory=dict)


def agree(client: MlflowClient, results: Path, folder: Path, held: Held | None = None) -> Held:
    """Bring MLflow up to date with the record in `folder`; returns what MLflow then has of it.

    Only what is missing is written, also after an earlier call that was interrupted. `held`, the result of an earlier call,
    saves asking MLflow what it has. MLflow runs of the same identity that belong to an older record, or whose points
    contradict this one, are deleted (MLflow keeps deleted runs in its trash), with the tag `superseded`. Those of other
    results folders are left alone.
    """
    content = read(folder)
    if held is None or held.record != content["record"]:
        held = _find_or_create(client, results, folder, content)
    points, offsets = _points(folder, content, held.offsets)
    ahead = _ahead(held.points, points, content["status"])
    if ahead is None:
        return agree(client, results, folder)
    fresh = [point for point in points if (point.metric, point.step) not in held.points]
    _write_batches(client, held, content, fresh)
    if fresh and Identity.of(content).environment == RESULTS:
        _offer(client, store.experiment(client, results, Identity.of(content).study), views.profiles_view())
    _write_artifacts(client, held, content, folder)
    _write_inputs(client, held, content)
    model = held.model or _write_model(client, held, content, folder)
    if content["status"] != held.status:
        _write_status(client, held.run_id, content)
    return replace(
        held,
        offsets=offsets,
        status=content["status"],
        tags=_tags(content),
        params=frozenset(_params(content)),
        artifacts=content["artifacts"],
        model=model,
        points=ahead,
    )


class Mirror:
    """Brings MLflow up to date with all records under `results`: in each pass those that have changed since the last."""

    def __init__(self, client: MlflowClient, results: Path):
        self._client, self._results = client, Path(results)
        # What MLflow has of records that are RUNNING, and the machine that writes them.
        self._held: dict[Path, tuple[Held, str]] = {}
        self._seen: dict[Path, Stamp] = {}
        # What MLflow has in full already, from an earlier process.
        self._complete = store.ended(client)

    def catch_up(self) -> bool:
        """Write what is new; returns whether a record has changed, or is held by a process that writes it.

        Runs of this machine whose process has ended are marked as KILLED.
        """
        changed = self._pass()
        here = socket.gethostname()
        dead = [f for f, (_, host) in self._held.items() if host == here and not claimed(f.parent)]
        if any([mark_killed(folder) for folder in dead]):
            self._pass()
        return changed or any(claimed(folder.parent) for folder in self._held)

    def _pass(self) -> bool:
        found = False
        for folder, stamp in self._changed():
            # One that cannot be read, such as one that is just being started anew, is left to the next pass.
            with contextlib.suppress(RecordError):
                self._update(folder)
                self._seen[folder] = stamp
                found = True
        return found

    def _update(self, folder: Path) -> None:
        content = read(folder)
        if self._complete.pop(content["record"], None) == (content["status"], content["end_ms"]):
            return
        # Removed during the update, so that after an interruption MLflow is asked what it has.
        held, _ = self._held.pop(folder, (None, ""))
        held = agree(self._client, self._results, folder, held)
        if content["status"] == "RUNNING":
            self._held[folder] = held, content["process"]["host"]

    def left(self) -> bool:
        """Whether a record has ended since the last pass: nobody else will ask for it to be mirrored."""
        for folder, _ in self._changed():
            with contextlib.suppress(RecordError):
                if read(folder)["status"] != "RUNNING":
                    return True
        return False

    def _changed(self) -> list[tuple[Path, Stamp]]:
        """Records that changed since they were mirrored, the newest first."""
        stamps = [(folder, _stamp(folder)) for folder in records(self._results)]
        changed = [(folder, stamp) for folder, stamp in stamps if self._seen.get(folder) != stamp]
        return sorted(changed, key=lambda pair: pair[1], reverse=True)


def _stamp(folder: Path) -> Stamp:
    """Changes whenever run.json is written, which every start, end and resumption does, or one of the others grows."""
    try:
        content, system = (folder / "run.json").stat(), folder / SYSTEM
        grown = (folder / METRICS).stat().st_size, system.stat().st_size if system.exists() else 0
        return content.st_mtime_ns, content.st_ino, *grown
    except FileNotFoundError:
        return 0, 0, 0, 0


def _points(folder: Path, content: dict[str, Any], offsets: Offsets = (0, 0)) -> tuple[list[Point], Offsets]:
    """What MLflow is to have of metrics.csv and system.csv from these offsets on, and the offsets to continue from."""
    study = Identity.of(content).study
    measured, first = read_metrics(folder, offsets[0])
    system, second = read_metrics(folder, offsets[1], SYSTEM)
    return [point for point in measured if views.shows(study, point.metric)] + system, (first, second)


def _find_or_create(client: MlflowClient, results: Path, folder: Path, content: dict[str, Any]) -> Held:
    experiment_id = store.experiment(client, results, Identity.of(content).study)
    points, _ = _points(folder, content)
    found, own = None, store.results_id(results)
    for run in _runs_of(client, experiment_id, content):
        if run.data.tags.get(RECORD) != content["record"] and run.data.tags.get(RESULTS_ID, own) != own:
            continue
        held = _held(client, run)
        if (
            found is None
            and held.record == content["record"]
            and _ahead(held.points, points, content["status"]) is not None
        ):
            found = held
        else:
            client.set_tag(run.info.run_id, SUPERSEDED, "true")
            _delete_models(client, experiment_id, run.info.run_id)
            client.delete_run(run.info.run_id)
    return found or _create(client, experiment_id, content, own)


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
        model=run.data.tags.get(MODEL, "").removeprefix("models:/"),
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


def _create(client: MlflowClient, experiment_id: str, content: dict[str, Any], results_id: str) -> Held:
    tags = {**_tags(content), RESULTS_ID: results_id}
    identity = Identity.of(content)
    _offer_view(client, experiment_id, identity)
    run = client.create_run(
        experiment_id, start_time=content["start_ms"], tags=tags, run_name=_run_name(identity)
    )
    return Held(run.info.run_id, content["record"], status="RUNNING", tags=tags)


def _offer_view(client: MlflowClient, experiment_id: str, identity: Identity) -> None:
    view = views.view_of(identity.study)
    if view.charts and identity.environment != RESULTS:
        _offer(client, experiment_id, views.environment_view(view, identity.environment))


def _offer(client: MlflowClient, experiment_id: str, saved: dict[str, str]) -> None:
    for name, value in saved.items():
        store.set_experiment_tag(client, experiment_id, name, value)


def _run_name(identity: Identity) -> str:
    return f"results ({identity.profile})" if identity.environment == RESULTS else identity.name


def _params(content: dict[str, Any]) -> dict[str, str]:
    identity = Identity.of(content)
    if identity.environment == RESULTS:
        return {**params(content), "profile": identity.profile}
    curve = f"{identity.method} {identity.environment} ({identity.profile})"
    return {
        **params(content),
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
    settings = [Param(k, v[:LONGEST_PARAM]) for k, v in _params(content).items() if k not in held.params]
    for start in range(0, len(settings), 100):
        client.log_batch(held.run_id, params=settings[start : start + 100])
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


def _write_inputs(client: MlflowClient, held: Held, content: dict[str, Any]) -> None:
    """MLflow keeps a dataset once, however often it is told of it. Records of earlier versions name none."""
    if entries := content.get("inputs"):
        client.log_inputs(held.run_id, [as_mlflow(entry) for entry in entries])


def _write_model(client: MlflowClient, held: Held, content: dict[str, Any], folder: Path) -> str:
    """The policy of a finished training as an MLflow model; returns its id, empty where there is none.

    What an interrupted call has left of one is deleted first. Records of earlier versions do not tell their task.
    """
    study, task = Identity.of(content).study, content.get("config", {}).get("environment")
    if content["status"] != "FINISHED" or not task or not views.view_of(study).policies:
        return ""
    # It imports PyTorch, which a mirror of other records need not.
    from . import policy

    if policy.FILE not in content["artifacts"]:
        return ""
    run, identity = client.get_run(held.run_id), content["identity"]
    _delete_models(client, run.info.experiment_id, held.run_id)
    # What tells models apart in a list of them.
    told = {name: str(value) for name, value in identity.items()}
    model = policy.write(client, run, task, folder / "artifacts" / policy.FILE, told)
    if model:
        client.set_tag(held.run_id, MODEL, f"models:/{model}")
    return model


def _delete_models(client: MlflowClient, experiment_id: str, run_id: str) -> None:
    for model in client.search_logged_models([experiment_id], filter_string=f"source_run_id = '{run_id}'"):
        client.delete_logged_model(model.model_id)


def _write_status(client: MlflowClient, run_id: str, content: dict[str, Any]) -> None:
    if content["status"] == "RUNNING":
        client.update_run(run_id, status="RUNNING")
    else:
        client.set_terminated(run_id, content["status"], content["end_ms"])
