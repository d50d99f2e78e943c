"""`subcritic reproduce`: Snakemake on a profile, with what a user wants to know before and after."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from subcritic import config, forkserver, profiles, workflow
from subcritic.chain import ChainProgress, jobs_of, studies_took
from subcritic.tracking.claim import Chain, claim_chain

SNAKEFILE = Path("Snakefile")
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def reproduce(name: str, arguments: Sequence[str]) -> int:
    """Run the whole chain for a profile (a name in configs/, or a YAML file); returns Snakemake's exit code.

    Raises ConfigError when the config cannot be run, before anything is started.
    """
    if not SNAKEFILE.exists():
        raise config.ConfigError("no Snakefile here: run this in the project's folder")
    path, overrides = _config_file(name), _overrides(arguments)
    given = dict(word.split("=", 1) for word in overrides)
    over = {key: yaml.safe_load(value) for key, value in given.items()}
    profile = workflow.resolve(workflow.merged(config.dump(profiles.load(path)), over), str(path))
    _announce(path, profile)
    command = [*_snakemake(path), *arguments]
    if {"-n", "--dry-run", "--dryrun"} & set(arguments):
        return _call(command)
    # A second call for the same profile waits for the first, and then finds its work done.
    with claim_chain(Path("results") / profile.profile) as chain:
        start = time.time()
        jobs = jobs_of(profile)
        progress = ChainProgress(Path("results") / profile.profile, jobs, _cores(arguments))
        with forkserver.started({**os.environ, **chain.environment}) as server, progress:
            code = _call(command, chain, server)
        if code == 0:
            _close([*_snakemake(path), *(["--config", *overrides] if overrides else [])], profile, start)
    if code:
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
    studies = ", ".join(profile.studies)
    print(f"subcritic: {path}: {studies} with {profile.seeds} seeds on {environments}.", flush=True)


def _overrides(arguments: Sequence[str]) -> list[str]:
    """The KEY=VALUE words behind Snakemake's --config."""
    words, inside = [], False
    for word in arguments:
        inside = word in ("--config", "-C") or (inside and not word.startswith("-"))
        if inside and "=" in word:
            words.append(word)
    return words


def _cores(arguments: Sequence[str]) -> int:
    """The number behind Snakemake's --cores; all there are where it is not given, as in profiles/default."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--cores", "-c", "--jobs", "-j")
    given = parser.parse_known_args(arguments)[0].cores
    return int(given) if given and given.isdigit() else os.cpu_count() or 1


def _snakemake(path: Path) -> list[str]:
    return [sys.executable, "-m", "snakemake", "--configfile", str(path)]


def _call(
    command: Sequence[str], chain: Chain | None = None, environment: Mapping[str, str] | None = None
) -> int:
    """Run a command to its end, in a process group of its own, which gets the signals that this process gets.

    The command holds the claim of the chain too, so that it is held for as long as either lives.
    """
    started: list[int] = []

    def stop(number: int, frame: Any) -> None:
        # Ctrl-C for all of them: Snakemake would wait for its jobs after SIGTERM. A second signal is passed on as well.
        with contextlib.suppress(ProcessLookupError):
            for group in started:
                os.killpg(group, signal.SIGINT)

    # Set before the command starts: a child ignores what its parent ignores, as a shell's background jobs do SIGINT.
    previous = {number: signal.signal(number, stop) for number in STOPPING}
    try:
        with subprocess.Popen(
            command,
            start_new_session=True,
            pass_fds=chain.descriptors if chain else (),
            env={**os.environ, **(chain.environment if chain else {}), **(environment or {})},
        ) as process:
            started.append(process.pid)
            if chain:
                chain.name(process.pid)
            return process.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _close(snakemake: Sequence[str], profile: config.Profile, start: float) -> None:
    """The report, the summary unless this run has just printed it, and where to look."""
    root = Path("results") / profile.profile
    _write_report([*snakemake, "--report", str(root / "report.html")])
    summary = root / "summary.md"
    if summary.exists() and summary.stat().st_mtime < start:
        print(summary.read_text())
    print(f"\n{studies_took(root, jobs_of(profile))}")
    print(
        f"Done in {(time.time() - start) / 60:.1f} minutes. Report: {root / 'report.html'}. MLflow: `make ui`."
    )


def _write_report(command: Sequence[str]) -> None:
    """Snakemake's report; a report that fails is no reason to call the results failed."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"The report could not be made:\n{done.stderr[-2000:]}", file=sys.stderr)
