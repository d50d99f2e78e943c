"""What published numbers come from: code, versions, config, machine, time."""

from __future__ import annotations

import math
import os
import platform
import socket
from datetime import date
from pathlib import Path
from typing import Any

from subcritic import config, provenance
from subcritic.config import Profile
from subcritic.measuring.kept import POLICY, TAKEN

# Without a run for longer than this, a profile was left alone.
BREAK_MINUTES = 30


def describe(
    profile: Profile, runs: list[dict[str, Any]], recorded: list[Path], before: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What the numbers depend on; `commit` is that of publishing, `run_commits` are those the runs were made with.

    recorded: the files that the jobs wrote, since not every job has a run. before: what was published of the profile, which
    tells the time and the machine of the runs that were taken from there.
    """
    runs = [run for run in runs if run["identity"]["method"] != "results"]
    own = [run for run in runs if TAKEN not in run["tags"]]
    taken = before if before and len(own) < len(runs) else None
    here: dict[str, Any] = {
        "versions": provenance.versions(),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "system": platform.system(),
            "python": platform.python_version(),
        },
        "made_on_this_machine": {run["process"]["host"] for run in own} <= {socket.gethostname()},
        **_times(own, recorded, taken),
    }
    if taken and own:
        same = taken["made_on_this_machine"] and taken["machine"] == here["machine"]
        here["made_on_this_machine"] = here["made_on_this_machine"] and same
    elif taken:
        here = {name: taken[name] for name in here if name in taken}
    return {
        "published": date.today().isoformat(),
        **provenance.source(),
        "run_commits": sorted({run["tags"]["commit"] for run in runs}),
        # Records of earlier versions do not say it: all were made on the CPU.
        "devices": sorted({run["tags"].get("device", "cpu") for run in runs}) or ["cpu"],
        "config_digest": config.digest(config.dump(profile)),
        **here,
    }


def _times(own: list[dict[str, Any]], recorded: list[Path], taken: dict[str, Any] | None) -> dict[str, Any]:
    """How long the runs took, those made here and, before them, those that were taken.

    sitting_times: first start and last end of every sitting, in minutes since 1970, which publishing again does not count
    twice. earlier_sittings: number and minutes of those whose times are not known, since an older version published them.
    """
    spans = [(run["start_ms"] / 60_000, run["end_ms"] / 60_000) for run in own]
    earlier = (0, 0.0)
    if taken:
        spans += [(start, end) for start, end in taken.get("sitting_times", [])]
        # What was published before sittings were told apart was made in one.
        took = taken.get("minutes_of_sittings", taken["minutes_from_first_start_to_last_end"])
        of_old = (taken.get("sittings", 1), took or 0.0)
        earlier = taken.get("earlier_sittings", (0, 0.0)) if "sitting_times" in taken else of_old
    began = min((run["start_ms"] / 60_000 for run in own), default=math.inf)
    written = [time for path in recorded if (time := path.stat().st_mtime / 60) >= began]
    made = sittings(spans, written)
    minutes = earlier[1] + sum(end - start for start, end in made)
    whole = made and not earlier[0]
    return {
        "minutes_from_first_start_to_last_end": round(made[-1][1] - made[0][0], 1) if whole else None,
        "sittings": earlier[0] + len(made),
        "minutes_of_sittings": round(minutes, 1) if made or earlier[0] else None,
        "sitting_times": [[round(start, 2), round(end, 2)] for start, end in made],
        "earlier_sittings": list(earlier),
        "share_of_time_spent_logging": round(_logging_share(own), 4),
    }


def sittings(spans: list[tuple[float, float]], written: list[float]) -> list[tuple[float, float]]:
    """First start and last end, in minutes, of what was made without a break of more than BREAK_MINUTES.

    spans: start and end of every run. written: when files were, since jobs without runs write too; from the first start on.
    """
    first = min((start for start, _ in spans), default=math.inf)
    found: list[tuple[float, float]] = []
    for start, end in sorted([*spans, *((time, time) for time in written if time >= first)]):
        if found and start - found[-1][1] <= BREAK_MINUTES:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def _logging_share(runs: list[dict[str, Any]]) -> float:
    """Seconds spent writing records and MLflow, of all seconds of the trainings, which keep their policies."""
    timings = [run["timing"] for run in runs if run["timing"] and POLICY in run["artifacts"]]
    wall = sum(timing["wall_seconds"] for timing in timings)
    return sum(timing["logging_seconds"] for timing in timings) / wall if wall else 0.0


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
