"""How far a chain is: jobs done, an estimate of what is left, and the time that every study took."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from threading import Event, Thread
from types import TracebackType
from typing import NamedTuple, Self

import pandas as pd

from subcritic.config import Profile
from subcritic.cost import cpu_seconds
from subcritic.measuring.progress import duration
from subcritic.publishing.check import chosen, sources
from subcritic.reporting import documents
from subcritic.studies import STUDIES
from subcritic.study import Job

# Seconds between two looks at the folder.
LOOK_EVERY = 2.0
# The share of jobs that must be done before an estimate is worth saying: studies differ in how long their jobs take.
ENOUGH = 0.2


class Spent(NamedTuple):
    """What a job, or all jobs of a study, took: wall-clock and CPU seconds."""

    seconds: float
    cpu: float


def spent(root: Path, jobs: Sequence[Job]) -> dict[str, Spent]:
    """Of every job that is done, by name, from the benchmarks below `root`.

    Its time is Snakemake's, its CPU time its own; Snakemake's sample of that where an older version ran the job.
    """
    found = {}
    for job in jobs:
        try:
            lines = (root / "benchmarks" / f"{job.name}.tsv").read_text().splitlines()
            row = next(csv.DictReader(lines, delimiter="\t"))
            cpu = cpu_seconds(root, job)
            found[job.name] = Spent(float(row["s"]), float(row["cpu_time"]) if cpu is None else cpu)
        except (OSError, StopIteration, KeyError, ValueError):
            # Not done yet, or being written, or too short to have been measured.
            continue
    return found


def seconds_left(
    jobs: Sequence[Job],
    ended: dict[str, float],
    running: dict[str, float],
    cores: int,
    rounds: Mapping[str, int] | None = None,
) -> float | None:
    """About how long all jobs still take on `cores` cores; None before `ENOUGH` of them have ended.

    ended: seconds that jobs took the last time. running: seconds that jobs have run. rounds: of trainings to which seeds are
    added, how many times each will still run. A job is expected to take as long as others of its study did on average; of a
    study of which none has ended, as long as all jobs did, but where it is run in rounds nothing is said.
    """
    if not ended or len(ended) < ENOUGH * len(jobs):
        return None
    expected = []
    for job in jobs:
        once = int(job.name not in ended or job.name in running)
        if times := (rounds or {}).get(job.name, once):
            same = [ended[other.name] for other in jobs if other.study == job.study and other.name in ended]
            if not same and rounds and job.name in rounds:
                return None
            expected.append(max(0.0, times * fmean(same or ended.values()) - running.get(job.name, 0.0)))
    return max([sum(expected) / cores, *expected], default=0.0)


class ChainProgress:
    """Says, whenever a job of a chain ends, how many are done and about how long the rest takes.

    A context manager: it looks at the folder `root` of the chain until it is left. Only what ends meanwhile is news.

    rounds: how many times a training to which seeds are added will still run; None for all others.
    """

    def __init__(
        self,
        root: Path,
        jobs: Sequence[Job],
        cores: int,
        rounds: Callable[[Job], int | None] = lambda job: None,
    ) -> None:
        self.root, self.jobs, self.cores, self.rounds = root, list(jobs), cores, rounds
        self.start = time.time()
        self.known = self._ended()
        self.begun: dict[str, float] = {}
        self.stop = Event()
        self.thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop.set()
        self.thread.join()

    def line(self) -> str | None:
        """What there is to say since the last call, if anything."""
        ended, running = self._ended(), self._running()
        news = ended.items() - self.known.items()
        if not news:
            return None
        self.known = ended
        rounds = {job.name: times for job in self.jobs if (times := self.rounds(job)) is not None}
        took = {name: took.seconds for name, took in spent(self.root, self.jobs).items()}
        # Trainings whose runs were taken have not run here.
        done = (took.keys() - running.keys() - rounds.keys()) | {
            name for name, times in rounds.items() if not times
        }
        left = seconds_left(self.jobs, took, running, self.cores, rounds)
        rest = "" if left is None or len(done) == len(self.jobs) else f", about {duration(left)} left"
        return (
            f"subcritic: {len(done)} of {len(self.jobs)} jobs done after "
            f"{duration(time.time() - self.start)}{rest}"
        )

    def _ended(self) -> dict[str, float]:
        """When each job ended, the last time that it ran."""
        files = {job.name: self.root / "benchmarks" / f"{job.name}.tsv" for job in self.jobs}
        return {name: when for name, file in files.items() if (when := _modified(file))}

    def _running(self) -> dict[str, float]:
        """Seconds since each job was first seen at work; those of earlier chains left a log that is older.

        A job that runs again has ended before its log was begun anew.
        """
        now, ended = time.time(), self._ended()
        for job in self.jobs:
            written = _modified(self.root / "logs" / f"{job.name}.log")
            if written >= self.start and written > ended.get(job.name, 0.0):
                self.begun.setdefault(job.name, now)
            else:
                self.begun.pop(job.name, None)
        return {name: now - begun for name, begun in self.begun.items()}

    def _watch(self) -> None:
        while not self.stop.wait(LOOK_EVERY):
            if line := self.line():
                print(line, flush=True)


def _modified(path: Path) -> float:
    """When a file was written, in seconds; 0 where there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def jobs_of(profile: Profile) -> list[Job]:
    """The jobs of a profile's studies, and of those that their reports or jobs read."""
    names = [source.name for study in chosen(profile) for source in sources(study, profile)]
    return [job for name in dict.fromkeys(names) for job in STUDIES[name].jobs(profile)]


def studies_took(root: Path, jobs: Sequence[Job]) -> str:
    """A Markdown table: every study, its jobs, and their time; what is not known is not counted."""
    took = spent(root, jobs)
    rows = []
    for name in dict.fromkeys(job.study for job in jobs):
        own = [took[job.name] for job in jobs if job.study == name and job.name in took]
        if own:
            seconds, cpu = (sum(part) for part in zip(*own, strict=True))
            rows.append((name, str(len(own)), duration(seconds), duration(cpu)))
    return documents.markdown(pd.DataFrame(rows, columns=["study", "jobs", "time of jobs", "CPU time"]))
