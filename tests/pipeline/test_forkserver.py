"""A forked job is what a process of its own would be, and nothing is left of it. The jobs here are lines of Python."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from subcritic import forkserver

SERVER = """
import random, socket, sys
import numpy.random
from subcritic import forkserver

forkserver.is_job = lambda arguments: arguments[0] != "other"
forkserver.preload = lambda arguments: None
job = forkserver.Server(socket.socket(fileno=int(sys.argv[-1]))).serve()
if job is not None:
    exec(job[0])
"""
# Ends with 77 where it must do the work itself.
CLIENT = """
import sys
from subcritic import forkserver

code = forkserver.hand_over(sys.argv[1:])
sys.exit(77 if code is None else code)
"""
SAY_ALL = """
import json, os, signal, sys, threading
umask = os.umask(0)
print(json.dumps([os.getcwd(), umask, sys.argv, sys.path, dict(os.environ), os.getpid(), threading.active_count(),
                  [str(signal.getsignal(number)) for number in (2, 15, 1, 17)], sys.stdin.read(),
                  [random.random(), numpy.random.random()]]))
print("said", file=sys.stderr)
sys.exit(7)
"""
SLEEP = "import os, time; print(os.getpid(), flush=True); time.sleep(100)"


@contextlib.contextmanager
def server(**more):
    """A server, and a function that starts a client of it."""
    left_out = (forkserver.SOCKET, "PYTHONUNBUFFERED")
    environment = {name: value for name, value in os.environ.items() if name not in left_out} | more
    program = (sys.executable, "-c", SERVER)
    with forkserver.started(environment, program) as named:

        def client(*arguments, **options):
            own = {**environment, **forkserver.ONE_THREAD, **named, **options.pop("env", {})}
            command = [sys.executable, "-c", CLIENT, *arguments]
            pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
            return subprocess.Popen(command, env=own, text=True, **pipes, **options)

        client.place = Path(named.get(forkserver.SOCKET, "/nowhere"))
        yield client


def gone(pid):
    """Whether a process ends within some seconds."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                time.sleep(0.02)
                continue
        return True
    return False


def test_a_forked_job_has_the_surroundings_of_its_client(tmp_path):
    with server() as start:
        said = []
        for _ in range(2):
            client = start(SAY_ALL, "more", cwd=tmp_path, umask=0o027, env={"TMPDIR": "/elsewhere"})
            output, errors = client.communicate("typed")
            assert client.returncode == 7 and errors == "said\n"
            said.append(json.loads(output))
    folder, umask, argv, path, environment, pid, threads, handlers, typed, _ = said[0]
    assert (folder, umask, typed, threads) == (str(tmp_path), 0o027, "typed", 1)
    assert argv == ["-c", SAY_ALL, "more"] and path[0] == ""
    assert environment["OMP_NUM_THREADS"] == "1" and environment["TMPDIR"] == "/elsewhere"
    assert "default_int_handler" in handlers[0] and set(handlers[1:]) == {str(signal.SIG_DFL)}
    assert said[0][5] != said[1][5] and pid != client.pid
    first, second = said[0][-1], said[1][-1]
    assert all(a != b for a, b in zip(first, second, strict=True)), "fresh random numbers in every job"


@pytest.mark.parametrize(
    "change",
    [
        {"OMP_NUM_THREADS": "2"},
        {"MUJOCO_GL": "other"},
        {forkserver.SOCKET: "/nowhere"},
        {forkserver.SOCKET: "0"},
    ],
)
def test_a_job_of_another_environment_or_without_a_server_starts_by_itself(change):
    with server() as start:
        client = start(SAY_ALL, env=change)
        output, _ = client.communicate()
        assert client.returncode == 77 and not output


def test_another_command_or_interpreter_is_refused(monkeypatch):
    with server() as start:
        client = start("other")
        client.communicate()
        assert client.returncode == 77
        other = CLIENT.replace("code =", "forkserver._interpreter = lambda: ['another']\ncode =")
        monkeypatch.setitem(globals(), "CLIENT", other)
        client = start(SAY_ALL)
        client.communicate()
        assert client.returncode == 77


def test_the_variable_0_means_no_server():
    with server(**{forkserver.SOCKET: "0"}) as start:
        assert not start.place.exists()


@pytest.fixture
def heard():
    """Signals as a shell gives them to a command in the foreground; what is ignored here, a child would ignore too."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    yield
    for number, handler in previous.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_job_and_its_end_is_the_clients(number):
    cleaning = (
        "import os, signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(9))\n"
        "print(os.getpid(), flush=True)\ntime.sleep(60)"
    )
    with server() as start:
        for job, code in ((cleaning, 9), (SLEEP, -number)):
            client = start(job)
            pid = int(client.stdout.readline())
            client.send_signal(number)
            _, errors = client.communicate()
            # Python ends by SIGINT itself after KeyboardInterrupt.
            assert client.returncode == code, errors
            assert gone(pid)


def test_a_killed_job_ends_its_client_by_the_same_signal():
    with server() as start:
        client = start(SLEEP)
        os.kill(int(client.stdout.readline()), signal.SIGKILL)
        client.communicate()
        assert client.returncode == -signal.SIGKILL


def test_a_job_does_not_outlive_its_client():
    with server() as start:
        client = start(SLEEP)
        pid = int(client.stdout.readline())
        client.kill()
        client.communicate()
        assert gone(pid)


def test_a_job_of_a_killed_server_fails_and_ends():
    with server() as start:
        client = start(SLEEP)
        pid = int(client.stdout.readline())
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(parent, signal.SIGKILL)
        _, errors = client.communicate()
        assert client.returncode == 1 and "is gone" in errors and gone(pid)
        later = start(SAY_ALL)
        later.communicate()
        assert later.returncode == 77


def test_nothing_is_left_of_a_chain_that_is_killed(tmp_path):
    """Its jobs go on, the server takes no more, and ends with the last of them."""
    chain = f"""
import os, sys, time
from subcritic import forkserver
with forkserver.started(os.environ, (sys.executable, "-c", {SERVER!r})) as named:
    print(named[forkserver.SOCKET], flush=True)
    time.sleep(60)
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    environment.pop(forkserver.SOCKET, None)
    with subprocess.Popen(
        [sys.executable, "-c", chain], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        place = process.stdout.readline().strip()
        own = {**environment, **forkserver.ONE_THREAD, forkserver.SOCKET: place}
        waits = "import os, sys; print(os.getpid(), os.getppid(), flush=True); sys.stdin.read(); sys.exit(5)"
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        client = subprocess.Popen([sys.executable, "-c", CLIENT, waits], env=own, text=True, **pipes)
        child, parent = map(int, client.stdout.readline().split())
        process.kill()
    for _ in range(500):
        if not Path(place).exists():
            break
        time.sleep(0.02)
    assert not list(tmp_path.iterdir()), "the socket and its folder"
    client.communicate("")
    assert client.returncode == 5 and gone(child) and gone(parent)
