"""Running the real Snakefile in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from subcritic import forkserver

PROJECT = Path(__file__).parent.parent.parent
LINKED = ("Snakefile", "workflow", "profiles", "environment.yml", "pyproject.toml", "notebooks")
TINY = Path(__file__).parent / "tiny.yaml"
# Python runs this at its start: every command leaves a line with what it has imported.
CUSTOMIZE = """
import atexit, os, sys

def tell():
    heavy = [name for name in ("torch", "mlflow", "gymnasium", "seaborn") if name in sys.modules]
    with open(os.environ["IMPORTED"], "a") as file:
        print(*sys.argv[1:3], *heavy, file=file)

atexit.register(tell)
"""
# A fork server as a chain has one, whose jobs are calls of Snakemake: most of their time is importing and parsing.
SERVER = """
import socket, sys
from subcritic import forkserver

def preload(arguments):
    import snakemake.cli, subcritic.agents, subcritic.workflow
    from subcritic.provenance import PACKAGE, code_digest

    code_digest(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))

forkserver.is_job = lambda arguments: True
forkserver.preload = preload
job = forkserver.Server(socket.socket(fileno=int(sys.argv[-1]))).serve()
if job is not None:
    sys.modules["snakemake.cli"].main(job)
"""
CLIENT = """
import sys
from subcritic import forkserver

code = forkserver.hand_over(sys.argv[1:])
sys.exit("there is no server" if code is None else code)
"""


class Workspace:
    """A folder that looks like the project, with results of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in LINKED:
            (folder / name).symlink_to(PROJECT / name)
        shutil.copytree(PROJECT / "configs", folder / "configs")
        shutil.copy(TINY, folder / "configs" / "tiny.yaml")
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(CUSTOMIZE)
        bin_folder = str(Path(sys.executable).parent)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")},
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": f"{folder / 'site'}:{os.environ.get('PYTHONPATH', '')}".rstrip(":"),
            "IMPORTED": str(folder / "imported.txt"),
        }
        self.server, self.forked = contextlib.ExitStack(), {}

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def start(self, *command: str) -> subprocess.Popen:
        """Start a command in a process group of its own, its output to a file."""
        with (self.folder / "output.txt").open("w") as output:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End whatever still works in the folder, so that a test that fails leaves nothing behind."""
        self.server.close()
        while found := [process for process in psutil.process_iter() if self._is_here(process)]:
            for process in found:
                process.kill()
            psutil.wait_procs(found, timeout=10)

    def working(self) -> list[psutil.Process]:
        """What still works in the folder, but for the process that mirrors, which may outlive a chain."""
        found = [process for process in psutil.process_iter() if self._is_here(process)]
        return [process for process in found if "tracking" not in process.cmdline()]

    def _is_here(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            return Path(process.cwd()).is_relative_to(self.folder)
        return False

    def said(self) -> str:
        """What the command started last has printed so far."""
        return (self.folder / "output.txt").read_text()

    def run(self, *command: str) -> subprocess.CompletedProcess:
        return subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)

    def plan(self, *arguments: str) -> str:
        """What `snakemake -n` prints with these arguments more; the code is as it was at the first call."""
        done = self.snakemake("-n", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess:
        """A call of Snakemake that starts no job, forked from one process that has imported what all calls import."""
        if not self.forked:
            named = self.server.enter_context(
                forkserver.started(self.environment, (sys.executable, "-c", SERVER))
            )
            self.forked = {**self.environment, **forkserver.ONE_THREAD, **named}
        command = (sys.executable, "-c", CLIENT, *arguments)
        return subprocess.run(command, cwd=self.folder, env=self.forked, capture_output=True, text=True)


def wait_for(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("nothing happened in time")


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Iterator[Workspace]:
    """A workspace after one whole run of the chain; tests must leave its results as they are."""
    workspace = Workspace(tmp_path_factory.mktemp("chain"))
    done = workspace.run("subcritic", "reproduce", "--profile", "tiny")
    workspace.output = done.stdout + done.stderr
    assert done.returncode == 0, workspace.output[-5000:]
    yield workspace
    workspace.kill()


@pytest.fixture
def workspace(tmp_path) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path)
    yield workspace
    workspace.kill()
