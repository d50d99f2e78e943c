"""The runs of one training process: all seeds of one environment and method, logged and finished together."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .process import failure, keep_mirrored
from .record import RESULTS, Identity, RecordError, Run
from .redaction import redact

if TYPE_CHECKING:
    from .system import Usage

FLUSH_SECONDS, MIRROR_SECONDS = 1.0, 5.0
# Between two readings of what the process and its machine use, as MLflow has it.
SYSTEM_SECONDS = 10.0


class Terminated(SystemExit):
    """Raised on SIGTERM, so that the program cleans up before it ends; exit code 143."""

    def __init__(self) -> None:
        super().__init__(143)


class RunGroup:
    """S runs as one context manager: FINISHED on success, FAILED on an error, KILLED on Ctrl-C or SIGTERM.

    Args:
        results: the folder of all results.
        identities: one per seed; `log` names them by their index.
        config: the resolved config, the same for all seeds, or one for each.
        resume: the result of `positions` when the checkpoint was written, or None to start new records.
        note: markdown shown with each run in MLflow.
        mirror: whether MLflow is to follow.
        tags: more of what each run is tagged with.
    """

    def __init__(
        self,
        results: Path,
        identities: Sequence[Identity],
        config: dict[str, Any] | Sequence[dict[str, Any]],
        resume: Sequence[dict[str, Any]] | None = None,
        note: str = "",
        mirror: bool = True,
        tags: Mapping[str, str] | None = None,
    ):
        self.logging_seconds = 0.0
        positions: Sequence[dict[str, Any] | None] = resume if resume else [None] * len(identities)
        configs = [config] * len(identities) if isinstance(config, dict) else config
        self._arguments = [
            (results, identity, own, position, note, tags)
            for identity, own, position in zip(identities, configs, positions, strict=True)
        ]
        self._results, self._mirror = Path(results), mirror
        self._flushed = self._mirrored = self._read = 0.0
        self._usage: Usage | None = None
        self.runs: list[Run] = []

    def __enter__(self) -> RunGroup:
        self._start, self._began = time.perf_counter(), time.time()
        self._previous = raise_on_sigterm()
        try:
            with self._timed():
                for arguments in self._arguments:
                    self.runs.append(Run.open(*arguments))
                self._watch_system()
                self._keep_mirrored()
        except BaseException as error:
            self._end(_status(error), _describe(error))
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: Any) -> None:
        self._end(_status(error), _describe(error))

    def log(self, step: int, seed_index: int, metrics: Mapping[str, float]) -> None:
        """Record `metrics` of one seed; they are in the files within a second, in MLflow some seconds later."""
        start = time.perf_counter()
        self.runs[seed_index].log(step, metrics)
        if start - self._flushed > FLUSH_SECONDS:
            for run in self.runs:
                run.flush()
            self._flushed = time.perf_counter()
            if self._flushed - self._read > SYSTEM_SECONDS:
                self._read_system()
            if self._flushed - self._mirrored > MIRROR_SECONDS:
                self._keep_mirrored()
        self.logging_seconds += time.perf_counter() - start

    def positions(self) -> list[dict[str, Any]]:
        """The state of each record for a checkpoint; everything is on disk on return."""
        with self._timed():
            return [run.position() for run in self.runs]

    def artifact(self, seed_index: int, source: Path | str, data: bytes | None = None) -> None:
        """Store a file with one seed's run, see `Run.artifact`."""
        with self._timed():
            self.runs[seed_index].artifact(source, data)

    def inputs(self, seed_index: int, found: Sequence[Mapping[str, Any]]) -> None:
        """Say what one seed's run read, see `Run.inputs`."""
        with self._timed():
            self.runs[seed_index].inputs(found)

    def _watch_system(self) -> None:
        """Tables and figures take no time to speak of."""
        if any(run.content["identity"]["environment"] != RESULTS for run in self.runs):
            from .system import Usage

            self._usage, self._read = Usage(), time.perf_counter()

    def _read_system(self) -> None:
        """One reading for all runs: one process trains them all."""
        if self._usage:
            values = self._usage.read()
            for run in self.runs:
                run.log_system(values)
        self._read = time.perf_counter()

    def _keep_mirrored(self) -> None:
        if self._mirror:
            keep_mirrored(self._results)
        self._mirrored = time.perf_counter()

    def _end(self, status: str, error: str) -> None:
        try:
            # On a full disk that is said when the runs are finished.
            with contextlib.suppress(RecordError):
                # Where nothing was logged, nothing was trained: the training had ended before.
                if self._flushed:
                    self._read_system()
            self._finish_all(status, error)
            self._keep_mirrored()
            print(failure(self._results, self._began), end="", file=sys.stderr, flush=True)
        finally:
            if self._previous is not None:
                signal.signal(signal.SIGTERM, self._previous)

    def _finish_all(self, status: str, error: str) -> None:
        timing = {
            "wall_seconds": time.perf_counter() - self._start,
            "logging_seconds": self.logging_seconds,
        }
        failure = None
        for run in self.runs:
            try:
                run.finish(status, timing, error)
            except RecordError as problem:
                failure = problem
                print(problem, file=sys.stderr)
        # A full disk at the end of a successful run is an error, but it must not hide an earlier error.
        if failure and status == "FINISHED":
            raise failure

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.logging_seconds += time.perf_counter() - start


def _status(error: BaseException | None) -> str:
    if error is None:
        return "FINISHED"
    return "KILLED" if isinstance(error, (KeyboardInterrupt, Terminated)) else "FAILED"


def _describe(error: BaseException | None) -> str:
    if error is None or isinstance(error, (KeyboardInterrupt, Terminated)):
        return ""
    return redact(f"{type(error).__name__}: {error}")


def raise_on_sigterm() -> Any:
    """Turn SIGTERM into Terminated; returns the handler to restore, None outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return None

    def handler(number: int, frame: Any) -> None:
        raise Terminated

    return signal.signal(signal.SIGTERM, handler)
