"""What a job has used, told by the job itself.

Snakemake's benchmark samples the processes below a command, every half minute in a long job; one that was forked for the
command is not among them.
"""

from __future__ import annotations

import json
import resource
from pathlib import Path

from subcritic.study import Job


def write_cost(root: Path, job: Job) -> None:
    """Write the CPU seconds and the largest memory of this process, and of those it has waited for, below `root`."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cost = {
        "cpu_seconds": round(sum(each.ru_utime + each.ru_stime for each in used), 3),
        "max_rss_mb": round(max(each.ru_maxrss for each in used) / 1024, 1),
    }
    path = _path(root, job)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(cost) + "\n")


def cpu_seconds(root: Path, job: Job) -> float | None:
    """The CPU seconds that a job has written; None where it has not."""
    try:
        return float(json.loads(_path(root, job).read_text())["cpu_seconds"])
    except (OSError, ValueError, KeyError):
        return None


def _path(root: Path, job: Job) -> Path:
    return root / "benchmarks" / f"{job.name}.json"
