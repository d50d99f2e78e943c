"""A lock per folder; the kernel releases it when the process that holds it ends, even after `kill -9`."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

FILE = "lock"
# What flock raises on a file system without locks (some cluster mounts): work then goes on without a lock.
UNSUPPORTED = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
_held: dict[Path, int] = {}


@contextlib.contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process; where another process holds it, say so on stderr and wait for it to end.

    An interrupted Snakemake leaves its jobs running. The same command, given again, waits here until such a job has ended
    and then continues from its checkpoint. A process may claim a folder that it already holds.
    """
    folder = folder.resolve()
    if _held.get(folder):
        _held[folder] += 1
        try:
            yield
        finally:
            _held[folder] -= 1
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("a+") as file:
        _lock(file, folder)
        _held[folder] = 1
        try:
            yield
        finally:
            _held[folder] -= 1


def claimed(folder: Path) -> bool:
    """Whether a living process, this one included, holds `folder`."""
    folder = folder.resolve()
    if _held.get(folder):
        return True
    try:
        with (folder / FILE).open("r+") as file:
            return not _try(file)
    except FileNotFoundError:
        return False


def _lock(file: IO[str], folder: Path) -> None:
    if not _try(file):
        file.seek(0)
        owner = file.read().strip() or "unknown"
        print(
            f"{folder}: process {owner} is still working here; waiting for it to end (`kill {owner}` stops it)",
            file=sys.stderr,
            flush=True,
        )
        fcntl.flock(file, fcntl.LOCK_EX)
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()


def _try(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    return True
