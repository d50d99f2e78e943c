"""`subcritic reproduce`: Snakemake on a profile, with what a user wants to know before and after."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from subcritic import config, workflow

SNAKEFILE = Path("Snakefile")


def reproduce(name: str, arguments: Sequence[str]) -> int:
    """Run the whole chain for a profile (a name in configs/, or a YAML file); returns Snakemake's exit code.

    Raises ConfigError when the config cannot be run, before anything is started.
    """
    if not SNAKEFILE.exists():
        raise config.ConfigError("no Snakefile here: run this in the project's folder")
    path = _config_file(name)
    profile = config.load(path)
    workflow.check_environments(profile, str(path))
    _announce(path, profile)
    start = time.time()
    code = subprocess.call([*_snakemake(), "--configfile", str(path), *arguments])
    only_looking = {"-n", "--dry-run", "--dryrun"} & set(arguments)
    if code == 0 and not only_looking:
        _close(path, Path("results") / profile.profile, start)
    elif code:
        print("\nStopped. What is done is kept: the same command goes on from there.", file=sys.stderr)
    return code


def _config_file(name: str) -> Path:
    path = Path(name) if Path(name).suffix in (".yaml", ".yml") else Path("configs") / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in Path("configs").glob("*.yaml")))
        raise config.ConfigError(
            f"profile {name!r}: {path} does not exist; known: {known}, or the path of a YAML file"
        )
    return path


def _announce(path: Path, profile: config.Profile) -> None:
    environments = ", ".join(environment.name for environment in profile.environments)
    methods = ", ".join(method.name for method in profile.methods)
    print(f"subcritic: {path}: {profile.seeds} seeds of {methods} on {environments}.", flush=True)


def _snakemake() -> list[str]:
    return [sys.executable, "-m", "snakemake"]


def _close(path: Path, root: Path, start: float) -> None:
    """The report, the summary unless this run has just printed it, and where to look."""
    _write_report(path, root / "report.html")
    summary = root / "summary.md"
    if summary.exists() and summary.stat().st_mtime < start:
        print(summary.read_text())
    minutes = (time.time() - start) / 60
    print(f"\nDone in {minutes:.1f} minutes. Report: {root / 'report.html'}. MLflow: `make ui`.")


def _write_report(path: Path, report: Path) -> None:
    """Snakemake's report; a report that fails is no reason to call the results failed."""
    command = [*_snakemake(), "--configfile", str(path), "--report", str(report)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"The report could not be made:\n{done.stderr[-2000:]}", file=sys.stderr)
