"""A lock per folder; the kernel releases it when the process that holds it ends, even after `kill -9`.

A chain, Snakemake at work on a profile, claims the profile's folder. So does each of its jobs, by another lock, which any
number of jobs hold at once: after a chain was killed, the next one waits for the jobs that survived.

On a cluster the folder is on a file system that nodes share, and so are its locks (NFS, Lustre mounted with `flock`, and
others). The file says which process of which host holds it, to be read where locks cannot say.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

FILE, JOBS = "lock", "jobs.lock"
# The folder that the process which started this one has claimed for both, and which of all chains there it is.
CHAIN, CHAIN_ID = "SUBCRITIC_CHAIN", "SUBCRITIC_CHAIN_ID"
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
    with _held_at_last(folder):
        yield


@contextlib.contextmanager
def try_claim(folder: Path) -> Iterator[bool]:
    """Hold `folder` if no other process does; yields whether it is held."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("a+") as file:
        if _held.get(folder) or not _try_twice(file):
            yield False
        else:
            with _holding(file, folder):
                yield True


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


def owner(folder: Path) -> str:
    """The id of the process that holds `folder`, or that was killed while it did; empty where the last one ended well."""
    return (_named(folder) or [""])[0]


def host_of(folder: Path) -> str:
    """The host of the process that holds `folder`; empty where none does.

    A process that was killed is still named, so the lock decides. What the file says is believed where locks may tell
    nothing: on a file system without them, and in a job of the chain that is named, whose node may not see locks of others.
    """
    named = _named(folder)
    if len(named) < 2:
        return ""
    told = os.environ.get(CHAIN_ID) in named or not locks(folder)
    return named[1] if told or claimed(folder) else ""


def locks(folder: Path) -> bool:
    """Whether the file system of `folder` has locks at all."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in UNSUPPORTED
    return True


def chain_ended(folder: Path) -> bool:
    """Whether this process belongs to a chain that holds `folder` no more: it was killed, and its jobs were still waiting.

    Another chain may be at work there, whose files such a job would remove before it made them again.
    """
    mine = os.environ.get(CHAIN_ID)
    if mine is None or os.environ.get(CHAIN) != str(folder.resolve()):
        return False
    return mine not in _named(folder)


class Chain:
    """The claim of a chain, to be shared with the process that does its work. file: the lock, None where it is shared."""

    def __init__(self, folder: Path, file: IO[str] | None):
        self._folder, self._file = folder, file
        self._id = uuid.uuid4().hex
        self.name(os.getpid())

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a child must inherit, so that the folder is held until it ends too."""
        return (self._file.fileno(),) if self._file else ()

    @property
    def environment(self) -> dict[str, str]:
        """What tells a child that it need not claim the folder."""
        return {CHAIN: str(self._folder), CHAIN_ID: self._id} if self._file else {}

    def name(self, process: int) -> None:
        """Write the child's id into the lock: it is the one to stop."""
        if self._file:
            _name(self._file, process, self._id)


@contextlib.contextmanager
def claim_chain(folder: Path) -> Iterator[Chain]:
    """Hold a profile's folder for a chain: wait for any other, and for jobs that outlived theirs."""
    folder = folder.resolve()
    if os.environ.get(CHAIN) == str(folder):
        yield Chain(folder, None)
        return
    if not locks(folder):
        print(
            f"subcritic: warning: {folder}: its file system has no locks, so nothing keeps another chain from starting here",
            file=sys.stderr,
            flush=True,
        )
    with _held_at_last(folder) as file:
        with (folder / JOBS).open("a+") as jobs:
            _lock(jobs, folder)
        yield Chain(folder, file)


@contextlib.contextmanager
def claim_job(folder: Path) -> Iterator[None]:
    """Keep chains from starting in a profile's folder; any number of jobs may do so at once."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / JOBS).open("a+") as file:
        if _try(file, fcntl.LOCK_SH):
            # The last to come is named; who waits is told of another once that has ended.
            _name(file, os.getpid())
        yield


@contextlib.contextmanager
def _held_at_last(folder: Path) -> Iterator[IO[str]]:
    """Hold `folder`, after whoever holds it; yields the lock."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("a+") as file:
        _lock(file, folder)
        with _holding(file, folder):
            yield file


@contextlib.contextmanager
def _holding(file: IO[str], folder: Path) -> Iterator[None]:
    _name(file, os.getpid())
    _held[folder] = _held.get(folder, 0) + 1
    try:
        yield
    finally:
        _held[folder] -= 1
        file.truncate(0)


def _lock(file: IO[str], folder: Path) -> None:
    """Lock it, and say whom this waits for."""
    if _try_twice(file):
        return
    process, host, *_ = [*_named(folder, Path(file.name).name), "unknown", "unknown"]
    here = host in (socket.gethostname(), "unknown")
    print(
        f"{folder}: process {process}{'' if here else f' of {host}'} is still working here; waiting for it to end "
        f"(`kill {process}`{'' if here else ' there'} stops it)",
        file=sys.stderr,
        flush=True,
    )
    fcntl.flock(file, fcntl.LOCK_EX)


def _named(folder: Path, name: str = FILE) -> list[str]:
    """What the process that holds a folder, or was killed while it did, has written: its id, its host, its chain's id."""
    try:
        return (folder / name).read_text().split()
    except FileNotFoundError:
        return []


def _name(file: IO[str], process: int, *more: str) -> None:
    file.truncate(0)
    file.write(" ".join([str(process), socket.gethostname(), *more]) + "\n")
    file.flush()
    # At once for other hosts too: a job on a node would take an empty file for the end of its chain.
    os.fsync(file.fileno())


def _try_twice(file: IO[str]) -> bool:
    """`claimed` locks a file for an instant."""
    if _try(file):
        return True
    time.sleep(0.02)
    return _try(file)


def _try(file: IO[str], kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    return True
