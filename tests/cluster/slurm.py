"""A SLURM of this machine alone, on loopback, for as long as a `with` block lasts."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

PROGRAMS = ("munged", "munge", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
# Where SLURM's programs look: jobs run without SLURM's environment variables, so that SLURM_CONF does not reach them.
CONF = Path("/etc/slurm/slurm.conf")
CONTENT = """ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
SlurmctldPort={port}
SlurmdPort={node_port}
CommunicationParameters=NoAddrCache
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=1,sched_interval=5
ReturnToService=2
MinJobAge=3600
KillWait=5
SlurmdTimeout=10
SlurmdParameters=config_overrides
MaxArraySize=1001
DefMemPerCPU=500
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why no SLURM can be started here; empty where it can."""
    lacking = [program for program in PROGRAMS if not shutil.which(program)]
    if lacking:
        return f"{', '.join(lacking)} not found: apt-get install munge slurmctld slurmd slurm-client"
    if os.geteuid() != 0:
        return f"only root can start SLURM's programs and write {CONF}"
    if shutil.which("pidof") and subprocess.run(["pidof", "slurmctld"], capture_output=True).returncode == 0:
        return "a slurmctld runs here already"
    return ""


class Slurm:
    """SLURM's programs: slurmctld, which decides, and slurmd, which is the only node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.node: subprocess.Popen[bytes] | None = None

    def start_node(self) -> None:
        self.node = self._start("slurmd", "-D", "-N", os.uname().nodename)
        self._wait_until("idle")

    def kill_node(self) -> None:
        """As a power failure does: slurmd and everything that it has started end at once."""
        assert self.node
        for process in self._below_node():
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.node.wait()

    def _below_node(self) -> list[psutil.Process]:
        """slurmd, the steps it has started, which have left its process tree, and what is below those."""
        steps = [p for p in psutil.process_iter(["name"]) if p.info["name"] == "slurmstepd"]
        tops = [psutil.Process(self.node.pid), *steps]
        return [process for top in tops for process in (top, *top.children(recursive=True))]

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{command[0]}.out").open("ab") as output:
            return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)

    def _wait_until(self, state: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while self.state() != state:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"the node is {self.state()!r}, not {state!r}; see {self.folder}/slurmd.log"
                )
            time.sleep(0.2)

    @staticmethod
    def state() -> str:
        """Of the node: idle, mixed, allocated, down; empty where slurmctld does not answer."""
        done = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True)
        return done.stdout.strip().rstrip("*")

    @staticmethod
    def jobs() -> dict[str, tuple[str, str]]:
        """Of every job, by its id: its state, and the rule and wildcards it was submitted for."""
        done = subprocess.run(
            ["squeue", "-h", "-r", "-t", "all", "-o", "%i|%T|%k"], capture_output=True, text=True
        )
        rows = [line.split("|", 2) for line in done.stdout.splitlines()]
        return {name: (state, comment) for name, state, comment in rows}


@contextlib.contextmanager
def loopback(folder: Path, cpus: int = 2, memory: int = 8000) -> Iterator[Slurm]:
    """Start one, its files in `folder`, slurm.conf put back at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("state", "spool"):
        (folder / name).mkdir(exist_ok=True)
    slurm = Slurm(folder)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_munge(folder))
        stack.enter_context(_conf(folder, cpus, memory))
        controller = slurm._start("slurmctld", "-D", "-c")
        stack.callback(_end, controller)
        stack.callback(lambda: _end(slurm.node))
        slurm.start_node()
        stack.callback(subprocess.run, ["scancel", "--user", "root"], capture_output=True)
        yield slurm


@contextlib.contextmanager
def _munge(folder: Path) -> Iterator[None]:
    """SLURM's programs know each other by it; one that runs already is left alone."""
    if subprocess.run("munge -n | unmunge", shell=True, capture_output=True).returncode == 0:
        yield
        return
    for path in ("/run/munge", "/var/log/munge", "/var/lib/munge"):
        Path(path).mkdir(parents=True, exist_ok=True)
        shutil.chown(path, "munge", "munge")
    subprocess.run(["su", "-s", "/bin/sh", "munge", "-c", shutil.which("munged")], check=True)
    pid = int(Path("/run/munge/munged.pid").read_text())
    try:
        yield
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).terminate()


@contextlib.contextmanager
def _conf(folder: Path, cpus: int, memory: int) -> Iterator[None]:
    saved = CONF.read_bytes() if CONF.exists() else None
    made = not CONF.parent.exists()
    CONF.parent.mkdir(parents=True, exist_ok=True)
    CONF.write_text(
        CONTENT.format(
            folder=folder, host=os.uname().nodename, cpus=cpus, memory=memory, port=16817, node_port=16818
        )
    )
    try:
        yield
    finally:
        CONF.unlink()
        if saved is not None:
            CONF.write_bytes(saved)
        elif made:
            CONF.parent.rmdir()


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
