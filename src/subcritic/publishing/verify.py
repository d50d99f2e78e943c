"""Verifying published runs of earlier code: does today's code give the same numbers?

Any change of code that a run depends on, also one that changes no number, gives it another digest, and then the run is not
taken as given any more. Here the beginning of its training is repeated (`repeat`). Where all that was published of that part
is found again, to the last digit, the published run counts as one of today's code, and says so (`verified` in runs.csv).
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import signal
import tempfile
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from subcritic import provenance
from subcritic.config import Profile
from subcritic.measuring.kept import depends_on
from subcritic.publishing import accumulated, page
from subcritic.reporting import documents
from subcritic.reporting.records import MissingResult
from subcritic.studies import STUDIES
from subcritic.study import Job

if TYPE_CHECKING:
    from subcritic.publishing.repeat import Repeat


def verify(profile: Profile, published: Path, docs: Path, steps: int | None = None, cores: int = 1) -> int:
    """Repeat part of the published runs of a profile that are of its config and of earlier code, and mark those found again.

    A job's seeds are repeated together, and marked if all of them are found again: where one is not, the code gives other
    numbers. What is done is written at once, so that a later call goes on with what is left; at the end, also of a
    call that is stopped, the page of results is made anew. steps: see `repeat`. cores: jobs at a time.

    Returns 1 where a run differs or could not be repeated, after saying which, else 0.

    Raises:
        MissingResult: no single runs are published of the profile.
    """
    folder = published / profile.profile
    known = accumulated.load(folder)
    if not known.rows:
        raise MissingResult(
            f"{folder / accumulated.RUNS}: no single runs are published of the profile {profile.profile!r}"
        )
    jobs, others = accumulated.of_earlier_code(profile, known)
    runs, done = sum(len(job.seeds) for job in jobs), 0
    _say(f"{runs} of {len(known.rows)} published runs are of earlier code, in {len(jobs)} jobs.")
    if others:
        _say(f"{others} are of another config, cannot be verified, and stay as they are.")
    try:
        with contextlib.closing(repeats(jobs, steps, cores)) as found:
            for number, (job, repeated) in enumerate(found, start=1):
                said = differences(job, known, repeated)
                if not said:
                    text = f"{provenance.source_name()} to step {repeated.step}"
                    accumulated.mark_verified(folder, job, repeated.tags[job.seeds[0]]["code"], text)
                    said = [f"{len(job.seeds)} seeds as published, to step {repeated.step}"]
                    done += len(job.seeds)
                _say(*(f"{number} of {len(jobs)}: {job.name}: {line}" for line in said))
    finally:
        documents.write(docs / page.PAGE, page.page(published, docs))
    if runs:
        _say(f"{done} runs are verified{f', {runs - done} are not' if done < runs else ''}.")
    return int(done < runs)


def differences(job: Job, known: accumulated.Published, found: Repeat | str) -> list[str]:
    """Where what was found of a job differs from what is published: the first difference of every seed, in words."""
    if isinstance(found, str):
        return [f"could not be repeated: {found}"]
    if any(not depends_on(job, seed).items() <= found.tags[seed].items() for seed in job.seeds):
        return ["the code was changed meanwhile"]
    if json.loads(json.dumps(found.facts)) != known.facts[job.name]:
        return [f"what tables say of the method is not as in {accumulated.METHODS}"]
    first = ((seed, next(_of_seed(job, seed, known, found), None)) for seed in job.seeds)
    return [f"seed {seed}: {text}" for seed, text in first if text]


def _of_seed(job: Job, seed: int, known: accumulated.Published, found: Repeat) -> Iterator[str]:
    key = (*accumulated.job_key(job), seed)
    row = known.rows[key]
    theirs = _points(known.curves.get(key), row["diverged_at"], found.step)
    mine = _points(found.curves[seed], found.diverged_at[seed], found.step)
    for step, what in sorted(theirs.keys() | mine.keys()):
        old, new = theirs.get((step, what)), mine.get((step, what))
        if old is None or new is None:
            yield f"{what} at step {step}: only {'published' if new is None else 'in the repeat'}"
        elif not _same(old, new):
            yield f"{what} at step {step}: {new!r}, published {old!r}, {new - old:+.2g}"
    # Only a training that came to its end has a row.
    for name in STUDIES[job.study].records["scores"].columns if seed in found.rows else ():
        # What was not recorded then, such as a column of its own for failed environments, is empty.
        if not _same(row.get(name), found.rows[seed][name]):
            yield f"{name}: {found.rows[seed][name]}, published {row.get(name)}"


def _points(curve: pd.DataFrame | None, diverged_at: float | None, last: int) -> dict[tuple[int, str], float]:
    """(step, what was recorded there) → its value, up to the step `last`; a divergence is one of them."""
    rows = [] if curve is None else zip(curve["step"], curve["metric"], curve["value"], strict=True)
    points = {(int(step), metric): float(value) for step, metric, value in rows if step <= last}
    if not pd.isna(diverged_at) and diverged_at <= last:
        points[int(diverged_at), "diverged"] = diverged_at
    return points


def _same(old: Any, new: Any) -> bool:
    return old == new or bool(pd.isna(old) and pd.isna(new))


def repeats(jobs: Sequence[Job], steps: int | None, cores: int) -> Iterator[tuple[Job, Repeat | str]]:
    """Repeat jobs, each in a process of its own and in a folder that is deleted at the end; of one that failed, why."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["subcritic.publishing.repeat"])
    waiting = list(jobs)
    running: dict[Connection, tuple[Job, multiprocessing.Process]] = {}
    with tempfile.TemporaryDirectory(prefix="subcritic-", ignore_cleanup_errors=True) as folder:
        try:
            while waiting or running:
                while waiting and len(running) < cores:
                    job, (here, there) = waiting.pop(0), context.Pipe(duplex=False)
                    arguments = (job, Path(folder) / str(len(waiting)), steps, there)
                    process = context.Process(target=_repeat, args=arguments, daemon=True)
                    process.start()
                    there.close()
                    running[here] = job, process
                for connection in wait(list(running)):
                    job, process = running.pop(connection)
                    with connection:
                        try:
                            found = connection.recv()
                        except EOFError:
                            process.join()
                            found = f"its process ended with {process.exitcode}"
                    process.join()
                    yield job, found
        finally:
            for _, process in running.values():
                process.terminate()
                process.join()


def _repeat(job: Job, folder: Path, steps: int | None, answer: Connection) -> None:
    # Ctrl-C reaches the process that waits for this one too, and that ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        from subcritic.publishing.repeat import repeat

        found: Repeat | str = repeat(job, folder, steps)
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
    answer.send(found)


def _say(*lines: str) -> None:
    for line in lines:
        print(f"subcritic: {line}", flush=True)
