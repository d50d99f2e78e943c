"""The process that copies records to MLflow while they are written, so that no job imports MLflow.

There is one for a results folder. Whoever writes a record starts it where it is missing (`keep_mirrored`), on the host of
the chain: on the nodes of a cluster it would take memory that jobs have asked for, and end with the job that started it. It
ends when no chain is at work and nothing has changed for a minute, or when it is asked to (`finish`). Killing it loses
nothing: the next one asks MLflow what it has.
"""

from __future__ import annotations

import contextlib
import math
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from . import store
from .claim import FILE, claimed, host_of, owner, try_claim

if TYPE_CHECKING:
    from .mirror import Mirror

# Below the folder of all results.
FOLDER = Path(".mlflow") / "mirror"
# Files there: the process has been started and has not looked yet; it is asked to end; why it failed.
STARTED, FINISH, FAILURE = "started", "finish", "failure"
SECONDS_BETWEEN, LONGEST_BETWEEN, IDLE_SECONDS, RETRY_SECONDS = 2.0, 60.0, 60.0, 60.0
# The largest share of the time that mirroring may take, unless a pass takes longer than a second.
SHARE = 0.02
WARNING = (
    "warning: stopped mirroring to MLflow ({reason}). The results on disk are complete; "
    "`subcritic tracking mirror` brings MLflow up to date, or `subcritic tracking rebuild` where it cannot be repaired.\n"
)
# The last that this process started, by its folder.
_started: dict[Path, subprocess.Popen[bytes]] = {}


def keep_mirrored(results: Path) -> None:
    """See to it that MLflow follows the records in `results`: start the process that does, unless there is one. Cheap.

    Where chains of other hosts are at work and none of this one, that is left to them.
    """
    hosts = {host for lock in _locks_of_chains(results) if (host := host_of(lock.parent))}
    if hosts and socket.gethostname() not in hosts:
        return
    folder = _folder(results)
    status = _started[folder].poll() if folder in _started else -1
    # None: it is about to claim the folder. Above 0: it cannot run at all. Below: it was killed.
    if status is None or status > 0 or claimed(folder):
        return
    if time.time() - _written(folder / FAILURE) > RETRY_SECONDS:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STARTED).touch()
        # It outlives this process, and nobody waits for it.
        _started[folder] = _start(results)


def finish(results: Path) -> None:
    """Wait until MLflow has all that is recorded; the process that mirrors ends then. Says on stderr if it failed."""
    folder, start = _folder(results), time.time()
    while claimed(folder) or _unfinished(folder):
        if claimed(folder):
            (folder / FINISH).touch()
            time.sleep(0.05)
        elif failure(results, start):
            break
        else:
            (folder / FINISH).touch()
            if _start(results).wait() > 0:
                break
    print(failure(results, start), end="", file=sys.stderr, flush=True)


def _unfinished(folder: Path) -> bool:
    """Whether a process was started that has not looked at the records since, or was killed: a good end empties the lock."""
    return (folder / STARTED).exists() or bool(owner(folder))


@contextlib.contextmanager
def instead(results: Path) -> Iterator[None]:
    """Take the place of the process that mirrors, which ends; what jobs start meanwhile ends at once."""
    while True:
        finish(results)
        with try_claim(_folder(results)) as mine:
            if mine:
                with store.plain_errors():
                    yield
                return


def failure(results: Path, since: float) -> str:
    """Why mirroring failed, if it did after the time `since`."""
    path = _folder(results) / FAILURE
    return path.read_text() if _written(path) >= since else ""


def follow(results: Path) -> None:
    """Mirror until nothing happens any more; does nothing where another process mirrors."""
    folder, left = _folder(results), True
    while left:
        with try_claim(folder) as mine:
            if not mine:
                return
            try:
                mirror = _follow(results, folder)
            except Exception as error:
                (folder / FAILURE).write_text(WARNING.format(reason=store.describe(error)))
                return
        # What ended in between found the folder claimed, and counts on this process.
        left = mirror is not None and mirror.left()


def _follow(results: Path, folder: Path) -> Mirror | None:
    from .upkeep import bring_up

    (folder / STARTED).unlink(missing_ok=True)
    mirror = bring_up(results)
    (folder / FAILURE).unlink(missing_ok=True)
    mine, active = _inodes(results), time.monotonic()
    while True:
        # What was recorded before it was put there is seen in this pass.
        (folder / STARTED).unlink(missing_ok=True)
        last, start = (folder / FINISH).exists(), time.monotonic()
        if mirror.catch_up():
            active = time.monotonic()
        if any(claimed(lock.parent) for lock in _locks_of_chains(results)):
            active = time.monotonic()
        if last or time.monotonic() - active > IDLE_SECONDS:
            (folder / FINISH).unlink(missing_ok=True)
            return mirror
        pause = min(max(SECONDS_BETWEEN, (time.monotonic() - start) / SHARE), LONGEST_BETWEEN)
        end = time.monotonic() + pause
        while time.monotonic() < end and not (folder / FINISH).exists():
            time.sleep(0.1)
        if _inodes(results) != mine:
            # The folder or the store was removed or replaced: this process would write to what is no longer there.
            return None


def _locks_of_chains(results: Path) -> Iterator[Path]:
    return Path(results).glob(f"*/{FILE}")


def _inodes(results: Path) -> list[int]:
    """What tells whether the lock and the local store are still the same files."""
    paths = [_folder(results) / FILE, store.local_database(results)]
    return [path.stat().st_ino if path and path.exists() else 0 for path in paths]


def _start(results: Path) -> subprocess.Popen[bytes]:
    """In a session of its own, so that neither Ctrl-C nor the end of a terminal stops it."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "subcritic.cli", "tracking", "follow"),
            "--results",
            str(Path(results).resolve()),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _folder(results: Path) -> Path:
    return Path(results).resolve() / FOLDER


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return -math.inf
