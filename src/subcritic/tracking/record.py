"""The record of one run in plain files: identity, config, status, metrics and artifacts. MLflow is written from it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from subcritic.config import digest
from subcritic.provenance import source_name, versions

from .claim import claim, locks, try_claim

# Files of a record: what it measures, and what it used meanwhile, which is never the same twice.
METRICS, SYSTEM = "metrics.csv", "system.csv"
HEADER = b"step,metric,value,timestamp_ms\n"
STATUSES = ("RUNNING", "FINISHED", "FAILED", "KILLED")
# Used as environment and method of the run that has the tables and figures of a study.
RESULTS = "results"
METRIC_NAME = re.compile(r"[A-Za-z0-9_\-. :/]+")


class RecordError(RuntimeError):
    """A record that cannot be written, read or resumed; the message names the file and the reason."""


@dataclass(frozen=True)
class Identity:
    """Identifies a run. Each record, with its folder and its MLflow run, has exactly one identity."""

    profile: str
    study: str
    environment: str
    method: str
    seed: int

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Identity:
        """The identity in the content of a record."""
        found = dict(content["identity"])
        # Records of earlier versions say "stage".
        found.setdefault("study", found.pop("stage", None))
        return cls(**found)

    @property
    def name(self) -> str:
        return f"{self.environment}/{self.method}/s{self.seed}"

    @property
    def key(self) -> str:
        return f"{self.profile}/{self.study}/{self.name}"

    def folder(self, results: Path) -> Path:
        return Path(results) / self.profile / "runs" / self.study / self.name


class Point(NamedTuple):
    step: int
    metric: str
    value: float
    timestamp_ms: int


class Run:
    """One record, open for writing. `log` is cheap (memory only); `flush` writes; `finish` closes."""

    def __init__(self, folder: Path, content: dict[str, Any]):
        self.folder = folder
        self.content = content
        self._lines: list[str] = []
        self._last_step: dict[str, int] = {}
        self._readings = 0
        self._claim = contextlib.ExitStack()

    @classmethod
    def open(
        cls,
        results: Path,
        identity: Identity,
        config: dict[str, Any],
        resume: dict[str, Any] | None = None,
        note: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> Run:
        """Start the record of `identity`, or continue it.

        Args:
            config: the resolved config of this run, JSON-able.
            resume: the result of `position` when the checkpoint was written. Later metrics are removed, so that nothing is
                recorded twice. None starts a new record and deletes an older one of the same identity.
            note: markdown shown with the run in MLflow.
            tags: more of what a new record is tagged with.

        Raises:
            RecordError: the files cannot be written, or `resume` does not belong to the record or to the config.
        """
        folder = identity.folder(results)
        run = cls(folder, {})
        with _naming(folder.parent):
            run._claim.enter_context(claim(folder.parent))
        try:
            if resume is None:
                run._start(identity, config, note, tags or {})
            else:
                run._continue(config, resume)
        except BaseException:
            run._claim.close()
            raise
        return run

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Record `metrics` (name to number, non-finite allowed) at `step`; a metric's steps must increase."""
        now = time.time_ns() // 1_000_000
        for name, value in metrics.items():
            last = self._last_step.get(name)
            if last is None:
                _check_metric_name(name)
            elif step <= last:
                raise ValueError(
                    f"{name} at step {step}: already recorded up to step {last}; steps must increase"
                )
            self._last_step[name] = step
            self._lines.append(f"{step},{name},{float(value)!r},{now}\n")

    def flush(self, durable: bool = False) -> None:
        """Append what was logged to metrics.csv; `durable` waits until it is on the disk."""
        path = self.folder / METRICS
        with _naming(path), path.open("ab") as file:
            file.write("".join(self._lines).encode())
            file.flush()
            if durable:
                os.fsync(file.fileno())
        self._lines.clear()

    def log_system(self, values: Mapping[str, float]) -> None:
        """Write a reading of the system's metrics to system.csv; its step is its number in the record.

        When a record is continued, the readings before stay, those of work that is done again included.
        """
        lines = [f"{self._readings},{name},{value!r},{_now()}\n" for name, value in values.items()]
        path = self.folder / SYSTEM
        with _naming(path), path.open("ab") as file:
            file.write("".join(lines).encode() if file.tell() else HEADER + "".join(lines).encode())
        self._readings += 1

    def position(self) -> dict[str, Any]:
        """The state of the record for a checkpoint, to be passed to `open` as `resume`. Everything is on disk on return."""
        self.flush(durable=True)
        return {"record": self.content["record"], "bytes": (self.folder / METRICS).stat().st_size}

    def artifact(self, source: Path | str, data: bytes | None = None) -> Path:
        """Keep a file with the run: a copy of the file `source`, or `data` under the name `source`."""
        source = Path(source)
        with _naming(source):
            data = source.read_bytes() if data is None else data
        target = self.folder / "artifacts" / source.name
        write_atomically(target, data)
        self.content["artifacts"][source.name] = hashlib.sha256(data).hexdigest()[:12]
        self._save()
        return target

    def inputs(self, found: Sequence[Mapping[str, Any]]) -> None:
        """Say what the run read, see `inputs.dataset`."""
        self.content["inputs"] = [dict(entry) for entry in found]
        self._save()

    def finish(
        self, status: str = "FINISHED", timing: dict[str, float] | None = None, error: str = ""
    ) -> None:
        """Write everything, set the final status, release the folder. `timing` (seconds) is added to earlier values."""
        if status not in STATUSES[1:]:
            raise ValueError(f"status {status!r}: must be one of {', '.join(STATUSES[1:])}")
        try:
            self.flush(durable=True)
            for name, seconds in (timing or {}).items():
                self.content["timing"][name] = self.content["timing"].get(name, 0.0) + seconds
            if error:
                self.content["tags"]["error"] = error
            self.content.update(status=status, end_ms=_now())
            self._save()
        finally:
            self._claim.close()

    def _start(self, identity: Identity, config: dict[str, Any], note: str, tags: Mapping[str, str]) -> None:
        with _naming(self.folder):
            if self.folder.exists():
                shutil.rmtree(self.folder)
            (self.folder / "artifacts").mkdir(parents=True)
        self.content = {
            "record": uuid.uuid4().hex,
            "identity": asdict(identity),
            "status": "RUNNING",
            "start_ms": _now(),
            "end_ms": None,
            "process": _process(),
            "config": config,
            "tags": _tags(identity, config) | dict(tags),
            "note": note,
            "timing": {},
            "artifacts": {},
            "inputs": [],
        }
        write_atomically(self.folder / METRICS, HEADER)
        self._save()

    def _continue(self, config: dict[str, Any], resume: dict[str, Any]) -> None:
        content, path = read(self.folder), self.folder / METRICS
        if content["record"] != resume["record"]:
            raise RecordError(
                f"{self.folder}: is not the record the checkpoint belongs to; delete the checkpoint to start again"
            )
        if content["tags"]["config_hash"] != digest(config):
            raise RecordError(
                f"{self.folder}: was made with another config; delete its checkpoint to start again"
            )
        with _naming(path):
            if path.stat().st_size < resume["bytes"]:
                raise RecordError(
                    f"{path}: is shorter than when the checkpoint was written; delete the checkpoint to start again"
                )
            os.truncate(path, resume["bytes"])
        self._last_step = {point.metric: point.step for point in read_metrics(self.folder)[0]}
        readings, end = read_metrics(self.folder, name=SYSTEM)
        if readings:
            # Without the line that was being written when the process was killed.
            os.truncate(self.folder / SYSTEM, end)
            self._readings = readings[-1].step + 1
        content["tags"].pop("error", None)
        self.content = {**content, "status": "RUNNING", "end_ms": None, "process": _process()}
        self._save()

    def _save(self) -> None:
        write_atomically(self.folder / "run.json", (json.dumps(self.content, indent=1) + "\n").encode())


def read(folder: Path) -> dict[str, Any]:
    """The content of a record's run.json. Raises RecordError naming the file when it cannot be read."""
    path = Path(folder) / "run.json"
    with _naming(path):
        text = path.read_text()
    try:
        content: dict[str, Any] = json.loads(text)
        return content
    except json.JSONDecodeError as error:
        raise RecordError(f"{path}: is not JSON: {error}") from None


def read_metrics(folder: Path, offset: int = 0, name: str = METRICS) -> tuple[list[Point], int]:
    """The points of a record from byte `offset` on, and the offset to continue from; an incomplete last line is left out.

    name: METRICS or SYSTEM; a record may have no readings of the system.
    """
    path = Path(folder) / name
    if name == SYSTEM and not path.exists():
        return [], 0
    with _naming(path), path.open("rb") as file:
        file.seek(offset or len(HEADER))
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    points = []
    for line in whole.decode().splitlines():
        step, metric, value, timestamp = line.split(",")
        points.append(Point(int(step), metric, float(value), int(timestamp)))
    return points, (offset or len(HEADER)) + len(whole)


def params(content: Mapping[str, Any]) -> dict[str, str]:
    """The config of a record, flat."""
    # Records of earlier versions have it flat alone.
    return dict(content["params"]) if "params" in content else flatten(content["config"])


def records(results: Path) -> Iterator[Path]:
    """The folders of all records under `results`, of every profile, sorted by name."""
    for path in sorted(Path(results).glob("*/runs/*/*/*/s*/run.json")):
        yield path.parent


def mark_killed(folder: Path) -> bool:
    """Set the status of a record to KILLED if it is RUNNING and its process has ended; returns whether it was."""
    content = read(folder)
    if content["status"] != "RUNNING":
        return False
    if content["process"]["host"] != socket.gethostname() and not locks(folder.parent):
        # Nobody here can tell whether it lives.
        return False
    with try_claim(folder.parent) as mine:
        content = read(folder)
        dead = mine and content["status"] == "RUNNING"
        if dead:
            content.update(status="KILLED", end_ms=_now())
            write_atomically(folder / "run.json", (json.dumps(content, indent=1) + "\n").encode())
    return dead


def flatten(config: Any, prefix: str = "") -> dict[str, str]:
    """Nested config to dotted keys: `{"a": {"b": [1, 2]}}` becomes `{"a.b": "[1, 2]"}`."""
    items: Iterable[tuple[Any, Any]]
    if isinstance(config, Mapping) and config:
        items = config.items()
    elif isinstance(config, (list, tuple)) and any(isinstance(entry, Mapping) for entry in config):
        items = enumerate(config)
    else:
        return {prefix: config if isinstance(config, str) else json.dumps(config)}
    return {
        name: text
        for key, value in items
        for name, text in flatten(value, f"{prefix}.{key}" if prefix else str(key)).items()
    }


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that readers see either the old or the new content, also after a crash. Raises RecordError."""
    temporary = path.with_name(f".{path.name}.tmp")
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror or error}") from error


def _check_metric_name(name: str) -> None:
    if not METRIC_NAME.fullmatch(name):
        raise ValueError(f"metric {name!r}: may hold letters, digits, spaces and _ - . : / only")


def _tags(identity: Identity, config: dict[str, Any]) -> dict[str, str]:
    return {
        **{name: str(value) for name, value in asdict(identity).items()},
        "commit": _commit(),
        "config_hash": digest(config),
        **{f"version.{package}": version for package, version in versions().items()},
    }


@functools.cache
def _commit() -> str:
    return source_name()


def _process() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": socket.gethostname()}


def _now() -> int:
    return time.time_ns() // 1_000_000
