"""PostgreSQL and MLflow's server, on loopback, for as long as a `with` block lasts."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from subcritic.tracking.store import ENVIRONMENT
from subcritic.tracking.ui import SERVER_ENVIRONMENT

USER, PASSWORD = "researcher", "s3cret/w@rd"
# As addresses write it.
QUOTED = "s3cret%2Fw%40rd"


def missing() -> str:
    """Why no PostgreSQL can be started here; empty where it can."""
    if not importlib.util.find_spec("psycopg2"):
        return "no driver for PostgreSQL: pip install -e '.[postgres]'"
    if not _programs():
        return "PostgreSQL's initdb not found, on PATH or in /usr/lib/postgresql"
    return ""


def _programs() -> Path | None:
    """The folder of initdb and postgres; Debian keeps it off PATH."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in reversed(folders) if (folder / "initdb").exists()), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Postgres:
    """A server with one user, who needs a password; it may be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None
        # It refuses to run as root.
        account = pwd.getpwnam("postgres" if _has_account("postgres") else "nobody")
        self.account = (
            {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        )
        if self.account:
            os.chown(folder, account.pw_uid, account.pw_gid)
        secret = folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._call(
            "initdb",
            "-D",
            "data",
            "-U",
            USER,
            "-A",
            "scram-sha-256",
            "--pwfile",
            "password",
            "-N",
            "-E",
            "UTF8",
        )

    def _call(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [_programs() / program, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            **self.account,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def address(self, database: str = "postgres", password: str = QUOTED) -> str:
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [_programs() / "postgres", "-D", "data", "-p", str(self.port), "-k", self.folder,
                 "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"],
                cwd=self.folder, stdout=log, stderr=log, start_new_session=True, **self.account,
            )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        import psycopg2

        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(psycopg2.OperationalError):
                psycopg2.connect(self.address()).close()
                return
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        """At once, whoever is connected."""
        assert self.process
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)

    def database(self, name: str, template: str = "template1") -> str:
        """The address of a new database: an empty one, or a copy."""
        import psycopg2

        connection = psycopg2.connect(self.address())
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.address(name)


def _has_account(name: str) -> bool:
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False


@contextlib.contextmanager
def running(server: Any) -> Iterator[Any]:
    """A server, started, and stopped at the end unless that was done already."""
    server.start()
    try:
        yield server
    finally:
        if server.process and server.process.poll() is None:
            server.stop()


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    with (
        tempfile.TemporaryDirectory(prefix="subcritic-postgres-") as folder,
        running(Postgres(Path(folder))) as server,
    ):
        yield server


class MlflowServer:
    """`mlflow server` over a database, which keeps artifacts in `folder`; it may be stopped and started again."""

    def __init__(self, backend: str, folder: Path) -> None:
        self.backend, self.folder, self.port = backend, folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """With a login, which this server does not ask for: clients send it."""
        return f"http://{USER}:{QUOTED}@127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_TRACKING")
        }
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port),
                 "--workers", "1", "--artifacts-destination", str(self.folder / "artifacts")],
                env={**environment, **ENVIRONMENT, **SERVER_ENVIRONMENT, "MLFLOW_BACKEND_STORE_URI": self.backend},
                cwd=self.folder, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError):
                if urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5).status == 200:
                    return
            assert time.monotonic() < deadline, (self.folder / "server.log").read_text()
            time.sleep(0.2)

    def stop(self) -> None:
        assert self.process
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(60)


@contextlib.contextmanager
def mlflow_server(backend: str, folder: Path) -> Iterator[MlflowServer]:
    with running(MlflowServer(backend, folder)) as server:
        yield server
