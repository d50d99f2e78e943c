"""`subcritic reproduce`: Snakemake on a profile, with what a user wants to know before and after."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from subcritic import config, forkserver, profiles, workflow
from subcritic.chain import ChainProgress, jobs_of, studies_took
from subcritic.publishing import accumulated
from subcritic.studies import STUDIES
from subcritic.tracking.claim import Chain, claim_chain

SNAKEFILE = Path("Snakefile")
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def reproduce(name: str, arguments: Sequence[str], *, from_scratch: bool = False) -> int:
    """Run the whole chain for a profile (a name in configs/, or a YAML file); returns Snakemake's exit code.

    from_scratch: whether a profile that takes published runs as given trains them all the same.

    Raises ConfigError when the config cannot be run, before anything is started.
    """
    if not SNAKEFILE.exists():
        raise config.ConfigError("no Snakefile here: run this in the project's folder")
    path, overrides = config_file(name), _overrides(arguments)
    given = dict(word.split("=", 1) for word in overrides)
    over = {key: yaml.safe_load(value) for key, value in given.items()}
    profile = workflow.resolve(config.merged(config.dump(profiles.load(path)), over), str(path))
    _announce(path, profile)
    command = [*_snakemake(path), *arguments]
    if {"-n", "--dry-run", "--dryrun"} & set(arguments):
        return _call(command)
    # A second call for the same profile waits for the first, and then finds its work done.
    with claim_chain(Path("results") / profile.profile) as chain:
        start = time.time()
        jobs = jobs_of(profile)
        _take_published(profile, from_scratch)
        progress = ChainProgress(Path("results") / profile.profile, jobs, _cores(arguments))
        with forkserver.started({**os.environ, **chain.environment}) as server, progress:
            for part in _parts(profile, arguments):
                if code := _call([*_snakemake(path), *part], chain, server):
                    break
        if code == 0:
            _close([*_snakemake(path), *(["--config", *overrides] if overrides else [])], profile, start)
    if code:
        print("\nStopped. What is done is kept: the same command goes on from there.", file=sys.stderr)
    return code


def config_file(name: str) -> Path:
    """The file of a profile: `name` in configs/, or itself. Raises ConfigError, listing the known ones, if there is none."""
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


def _take_published(profile: config.Profile, from_scratch: bool) -> None:
    """Of a profile that is made in parts, take published runs as given, or forget that they were."""
    results = Path("results")
    if from_scratch:
        accumulated.forget_taken(profile, results)
        return
    count, earlier = accumulated.take(profile, results / "published", results)
    if count:
        more = f" {earlier} of them are of earlier code, and were repeated in part with the same numbers."
        print(
            f"subcritic: {count} published runs are taken as given; --from-scratch trains them too."
            f"{more if earlier else ''}",
            flush=True,
        )
    if count := accumulated.outdated(profile, results / "published", results):
        print(
            f"subcritic: {count} published runs are of another config or version of the code, and are trained anew; "
            f"what was published stays in {results / 'published' / profile.profile}. Where only the code is another, "
            "`subcritic verify` can say whether it gives the same numbers.",
            flush=True,
        )


def _parts(profile: config.Profile, arguments: Sequence[str]) -> Iterator[list[str]]:
    """The arguments of each call of Snakemake that a profile takes: one, unless it is made in parts.

    Then its seeds come one round after the other, and each round task by task. So wherever it is stopped, tasks have all
    methods, and all methods as many seeds. As many tasks come together as there are cores, so that no core waits for long.
    """
    step, together = profile.runtime.seeds_at_a_time, _cores(arguments)
    names = [environment.name for environment in profile.environments]
    for seeds in range(step, profile.seeds + step, step) if step else ():
        given = _with_config(arguments, f"seeds={min(seeds, profile.seeds)}")
        for first in range(0, len(names), together):
            files = [
                f"results/{profile.profile}/{job.path(file.path)}"
                for job in jobs_of(profile)
                if job.environment in names[first : first + together]
                for file in STUDIES[job.study].records.values()
            ]
            yield [*given, "--", *files]
    yield list(arguments)


def _with_config(arguments: Sequence[str], value: str) -> list[str]:
    """Snakemake's arguments with one more KEY=VALUE word behind its --config."""
    words = _overrides(arguments)
    others = [word for word in arguments if word not in (*words, "--config", "-C")]
    return [*others, "--config", *words, value]


def _overrides(arguments: Sequence[str]) -> list[str]:
    """The KEY=VALUE words behind Snakemake's --config."""
    words, inside = [], False
    for word in arguments:
        inside = word in ("--config", "-C") or (inside and not word.startswith("-"))
        if inside and "=" in word:
            words.append(word)
    return words


def _cores(arguments: Sequence[str]) -> int:
    """How many jobs run at once: the number behind Snakemake's --cores or --jobs, or that of the workflow profile given.

    All cores there are where there is none, as in profiles/default.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--cores", "-c", "--jobs", "-j")
    parser.add_argument("--workflow-profile", type=Path)
    options = parser.parse_known_args(arguments)[0]
    given = options.cores
    if given is None and options.workflow_profile:
        with contextlib.suppress(OSError):
            settings = yaml.safe_load((options.workflow_profile / "config.yaml").read_text()) or {}
            given = str(settings.get("jobs") or settings.get("cores"))
    return int(given) if given and given.isdigit() else os.cpu_count() or 1


def _snakemake(path: Path) -> list[str]:
    # With a space, Snakemake would take targets that follow for further config files.
    return [sys.executable, "-m", "snakemake", f"--configfile={path}"]


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
