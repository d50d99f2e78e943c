"""A process of a chain that forks its jobs, so that they start with everything imported.

`subcritic reproduce` starts it and names its Unix socket in the environment. The command `subcritic` of a job hands over its
arguments, surroundings and standard streams there (`hand_over`), and waits for its child to end. The server imports what a
job imports, once, and forks: the child is the job. Before a fork no tensor is computed, and no thread runs but that of
jemalloc in pyarrow (which pandas imports), which takes care of forks itself.

Where the socket is missing, or the server refuses, the command does its work itself. The server refuses where a process of
its own would differ from a child: by its Python, this package, its control group, or its environment, which holds the number
of threads. Only on Linux, since libraries of other systems need not survive a fork.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# The socket; 0 for no server.
SOCKET = "SUBCRITIC_FORKSERVER"
# What Snakemake sets for every job with one thread.
THREADS = ("OMP", "GOTO", "OPENBLAS", "MKL", "NUMEXPR")
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in THREADS} | {"VECLIB_MAXIMUM_THREADS": "1"}
# What differs between shells and jobs without making another process of it.
APART = {"SHLVL", "_", "PWD", "OLDPWD", "TMPDIR", "TMP", "TEMPDIR", "TEMP"}
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NUMBER = struct.Struct("i")
# Of a Unix socket, in bytes.
LONGEST_PATH = 107
PROGRAM = (sys.executable, "-m", "subcritic.forkserver")


def hand_over(arguments: Sequence[str]) -> int | None:
    """Let the chain's server run this process's command; returns its exit code, or None where this process must run it.

    SIGINT, SIGTERM and SIGHUP are passed on. A command that a signal ends, ends this process by the same signal.
    """
    place = os.environ.get(SOCKET, "0")
    if place == "0" or sys.platform != "linux":
        return None
    with socket.socket(socket.AF_UNIX) as server:
        with _held_back(FORWARDED):
            try:
                server.connect(place)
                _send(server, arguments)
                child = _number(server)
            except OSError:
                return None
            if child is None:
                return None
            for number in FORWARDED:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, lambda number, _: _kill(child, number))
        status = _number(server)
    if status is None:
        # Nobody says any more how it ends.
        _kill(child, signal.SIGKILL)
        print(f"subcritic: the process that had forked this job ({child}) is gone", file=sys.stderr)
        return 1
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        if -code in FORWARDED:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


@contextlib.contextmanager
def _held_back(numbers: Iterable[int]) -> Iterator[None]:
    """Signals that come meanwhile are delivered at the end: none is lost before the job is known that it is for."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def started(environment: Mapping[str, str], program: Sequence[str] = PROGRAM) -> Iterator[dict[str, str]]:
    """A server for jobs of such an environment and one thread each; yields the variable by which they find it.

    It takes jobs until this context or this process ends, and ends itself with the last of them. With SUBCRITIC_FORKSERVER=0
    in the environment there is none. program: what is run, with the number of the listening socket as its last argument.
    """
    import subprocess
    import tempfile

    if environment.get(SOCKET) == "0" or sys.platform != "linux":
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="subcritic-", ignore_cleanup_errors=True) as folder:
        named = {SOCKET: str(Path(folder) / "socket")}
        with socket.socket(socket.AF_UNIX) as listener:
            if len(os.fsencode(named[SOCKET])) > LONGEST_PATH:
                yield {}
                return
            listener.bind(named[SOCKET])
            listener.listen()
            process = subprocess.Popen(
                [*program, str(listener.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                pass_fds=[listener.fileno()],
                env={**environment, **ONE_THREAD, **named},
                start_new_session=True,
            )
        # Its standard input is closed when this process ends, however it does.
        with process:
            yield named


class Server:
    """Takes jobs from `listener`, until its standard input is closed and all its jobs have ended."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener, self.place = listener, Path(listener.getsockname())
        self.environment = _compared(os.environ)
        # Child → the connection to its client.
        self.jobs: dict[int, socket.socket] = {}
        self.ended, wake = socket.socketpair()
        self.events = selectors.DefaultSelector()
        for file in (self.listener, self.ended, sys.stdin):
            self.events.register(file, selectors.EVENT_READ)
        for end in (self.ended, wake):
            end.setblocking(False)
        self._wake = wake
        signal.set_wakeup_fd(wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> list[str] | None:
        """Returns in every child, with the arguments of its job; and at the end, with None."""
        accepting = True
        while accepting or self.jobs:
            for key, _ in self.events.select():
                if key.fileobj is self.listener and accepting:
                    arguments = self._take()
                    if arguments is not None:
                        return arguments
                elif key.fileobj is self.ended:
                    self.ended.recv(4096)
                    self._tell_the_ended()
                elif key.fileobj is sys.stdin:
                    accepting = False
                    self._close()
                elif self.jobs.get(key.data) is key.fileobj:
                    # Its client has gone.
                    self.events.unregister(key.fileobj)
                    os.kill(key.data, signal.SIGKILL)
        return None

    def _take(self) -> list[str] | None:
        """Fork a job for who asks, unless it is better off by itself; returns its arguments in the child."""
        connection, _ = self.listener.accept()
        try:
            asked, streams = _receive(connection)
        except (OSError, ValueError, struct.error):
            connection.close()
            return None
        try:
            child = self._fork(asked)
        except Exception:
            # Without memory for it, or with a fault in the code: its client will say so.
            child = None
        if child == 0:
            self._become(asked, streams, connection)
            return list(asked["arguments"])
        for stream in streams:
            os.close(stream)
        if child is None:
            connection.close()
            return None
        self.jobs[child] = connection
        self.events.register(connection, selectors.EVENT_READ, child)
        with contextlib.suppress(OSError):
            connection.sendall(NUMBER.pack(child))
        return None

    def _fork(self, asked: dict[str, Any]) -> int | None:
        """A child for who asks; None where a process that it starts itself would differ from one."""
        if asked["interpreter"] != _interpreter() or _compared(asked["environment"]) != self.environment:
            return None
        if not is_job(asked["arguments"]):
            return None
        preload(asked["arguments"])
        # What all children share is not to be copied for the sake of the collector's marks.
        gc.freeze()
        return os.fork()

    def _become(self, asked: dict[str, Any], streams: Sequence[int], connection: socket.socket) -> None:
        """Make this child what a process of its own would be."""
        import tempfile

        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, *FORWARDED):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.events.close()
        for end in (self.listener, self.ended, self._wake, connection, *self.jobs.values()):
            end.close()
        for standard, stream in enumerate(streams):
            os.dup2(stream, standard)
            os.close(stream)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=os.isatty(1))
        os.environ.update(asked["environment"])
        os.chdir(asked["folder"])
        os.umask(asked["umask"])
        sys.argv, sys.path[:] = asked["argv"], asked["path"]
        # Python's own generator is seeded by the fork.
        if "numpy.random" in sys.modules:
            sys.modules["numpy.random"].seed()
        tempfile.tempdir = None

    def _tell_the_ended(self) -> None:
        for child in list(self.jobs):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                connection = self.jobs.pop(child)
                with contextlib.suppress(KeyError):
                    self.events.unregister(connection)
                with contextlib.suppress(OSError):
                    connection.sendall(NUMBER.pack(status))
                connection.close()

    def _close(self) -> None:
        """Take no more jobs, and leave nothing behind: the process that started this one may have been killed."""
        for file in (self.listener, sys.stdin):
            self.events.unregister(file)
        self.listener.close()
        with contextlib.suppress(OSError):
            self.place.unlink(missing_ok=True)
            self.place.parent.rmdir()


def is_job(arguments: Sequence[str]) -> bool:
    """Whether it is a command that a chain runs for a study: others outlive it, or start processes that do."""
    from subcritic.studies import STUDIES

    return bool(arguments) and (arguments[0] == "report" or arguments[0] in STUDIES)


def preload(arguments: Sequence[str]) -> None:
    """Import what a job with such arguments imports. What cannot be imported fails in the job."""
    with contextlib.suppress(Exception):
        importlib.import_module("subcritic.commands")
        if arguments[0] == "report":
            importlib.import_module("subcritic.publishing.reports")
            importlib.import_module("subcritic.publishing.summary")
            # Imported when a figure is saved.
            for backend in ("agg", "svg", "pdf"):
                importlib.import_module(f"matplotlib.backends.backend_{backend}")
            importlib.import_module(f"subcritic.studies.{arguments[1]}.report")
        else:
            importlib.import_module(f"subcritic.studies.{arguments[0]}.run")
            importlib.import_module("subcritic.tracking.system")
            compiled = importlib.import_module("subcritic.nn.compiled")
            for path in compiled.MODULES if compiled.allowed() else ():
                compiled.kernels(path.removesuffix(".py").replace("/", "."))


def _send(server: socket.socket, arguments: Sequence[str]) -> None:
    umask = os.umask(0)
    os.umask(umask)
    asked = {
        "arguments": list(arguments),
        "argv": sys.argv,
        "path": sys.path,
        "folder": str(Path.cwd()),
        "umask": umask,
        "environment": dict(os.environ),
        "interpreter": _interpreter(),
    }
    data = json.dumps(asked).encode()
    socket.send_fds(server, [NUMBER.pack(len(data))], [0, 1, 2])
    server.sendall(data)


def _receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """What `_send` has sent. Raises OSError or ValueError where it is not whole."""
    connection.settimeout(10)
    length, streams, *_ = socket.recv_fds(connection, NUMBER.size, 3)
    data = b""
    while part := connection.recv(1 << 16):
        data += part
        if len(data) == NUMBER.unpack(length)[0]:
            break
    asked: dict[str, Any] = json.loads(data)
    return asked, list(streams)


def _number(server: socket.socket) -> int | None:
    """The next number from the server; None if it has closed the connection."""
    with contextlib.suppress(ConnectionError):
        data = server.recv(NUMBER.size, socket.MSG_WAITALL)
        if len(data) == NUMBER.size:
            return int(NUMBER.unpack(data)[0])
    return None


def _interpreter() -> list[str]:
    """What a process cannot change: its Python, this package, and the control group that limits it."""
    try:
        group = Path("/proc/self/cgroup").read_text()
    except OSError:
        group = ""
    return [sys.executable, sys.version, __file__, group]


def _compared(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in APART}


def _kill(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


if __name__ == "__main__":
    job = Server(socket.socket(fileno=int(sys.argv[1]))).serve()
    if job is not None:
        from subcritic.cli import main

        sys.exit(main(job))
