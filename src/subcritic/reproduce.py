"""`subcritic reproduce`: Snakemake on a profile, with what a user wants to know before and after."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from subcritic import config, forkserver, profiles, workflow
from subcritic.chain import ChainProgress, jobs_of, studies_took
from subcritic.publishing import accumulated
from subcritic.studies import STUDIES
from subcritic.study import Job
from subcritic.tracking.claim import Chain, claim_chain

SNAKEFILE = Path("Snakefile")
RESULTS = Path("results")
# Options of Snakemake with which it runs no job.
RUNS_NOTHING = (
    "dryrun", "touch", "unlock", "lint", "report", "archive", "containerize", "export_cwl", "generate_unit_tests",
    "dag", "rulegraph", "filegraph", "d3dag", "summary", "detailed_summary", "list_rules", "list_target_rules",
    "list_changes", "list_input_changes", "list_params_changes", "list_untracked", "list_conda_envs", "print_compilation",
    "cleanup_metadata", "cleanup_shadow", "conda_cleanup_envs", "conda_create_envs_only",
    "delete_all_output", "delete_temp_output",
)  # fmt: skip
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def reproduce(name: str, arguments: Sequence[str], *, from_scratch: bool = False) -> int:
    """Run the whole chain for a profile (a name in configs/, or a YAML file); returns Snakemake's exit code.

    from_scratch: whether a profile that takes published runs as given trains them all the same.

    Raises ConfigError when the config cannot be run, before anything is started.
    """
    if not SNAKEFILE.exists():
        raise config.ConfigError("no Snakefile here: run this in the project's folder")
    path, options = config_file(name), options_of(arguments)
    overrides = options.config or []
    if wrong := [word for word in overrides if "=" not in word]:
        raise config.ConfigError(
            f"--config {wrong[0]}: must be KEY=VALUE, as in --config seeds=2; the file of a profile belongs behind --profile"
        )
    given = dict(word.split("=", 1) for word in overrides)
    over = {key: yaml.safe_load(value) for key, value in given.items()}
    profile = workflow.resolve(config.merged(config.dump(profiles.load(path)), over), str(path))
    _announce(path, profile)
    command = [*_snakemake(path), *arguments]
    if any(getattr(options, option, None) for option in RUNS_NOTHING):
        if options.dryrun and not from_scratch:
            _take_published(profile, dry_run=True)
        with CommandRunner() as commands:
            return commands.run(command)
    # A second call for the same profile waits for the first, and then finds its work done.
    with claim_chain(RESULTS / profile.profile) as chain:
        start = time.time()
        jobs = jobs_of(profile)
        _warn_of_others(profile)
        if from_scratch:
            accumulated.forget_taken(profile, RESULTS)
        else:
            _take_published(profile)
        rounds = accumulated.rounds_left(profile, RESULTS)
        progress = ChainProgress(RESULTS / profile.profile, jobs, _cores(options), rounds)
        server = forkserver.started({**os.environ, **chain.environment})
        with server as named, progress, CommandRunner() as commands:
            for part in _parts(profile, arguments, options):
                if code := commands.run([*_snakemake(path), *part], chain, named):
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


def _warn_of_others(profile: config.Profile) -> None:
    """Say so where the results of a profile are of another config, since they are replaced."""
    path = RESULTS / profile.profile / "config.yaml"
    try:
        before, now = config.read_yaml(path), config.dump(profile)
    except config.ConfigError:
        return
    # Those of a profile that is made in parts grow by the seeds of each round.
    ignored = {"runtime", "seeds"} if profile.runtime.seeds_at_a_time else {"runtime"}
    if changed := [key for key in now if key not in ignored and before.get(key) != now[key]]:
        print(
            f"subcritic: the results in {path.parent} are of another config ({', '.join(changed)}); what depends on that is "
            "made again and replaced. `--config profile=NAME` keeps results apart.",
            flush=True,
        )


def _take_published(profile: config.Profile, *, dry_run: bool = False) -> None:
    """Of a profile that is made in parts, take published runs as given, and say so; or, in a dry run, what would be."""
    published = RESULTS / "published"
    count, earlier = accumulated.take(profile, published, RESULTS, dry_run=dry_run)
    if count:
        more = f" {earlier} of them are of earlier code, and were repeated in part with the same numbers."
        alone = " Snakemake does not know of them: without -n, their trainings below are not run."
        print(
            f"subcritic: {count} published runs {'would be' if dry_run else 'are'} taken as given; --from-scratch trains "
            f"them too.{more if earlier else ''}{alone if dry_run else ''}",
            flush=True,
        )
    if count := accumulated.outdated(profile, published, RESULTS):
        print(
            f"subcritic: {count} published runs are of another config or version of the code, and are trained anew; "
            f"what was published stays in {published / profile.profile}. Where only the code is another, "
            "`subcritic verify` can say whether it gives the same numbers.",
            flush=True,
        )


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    """What Snakemake reads in its arguments; it ends the program where it cannot."""
    from snakemake.cli import get_argument_parser

    return get_argument_parser().parse_args(list(arguments))


def _parts(
    profile: config.Profile, arguments: Sequence[str], options: argparse.Namespace
) -> Iterator[list[str]]:
    """The arguments of each call of Snakemake that a profile takes: one, unless it is made in parts.

    Then its seeds come one round after the other, and each round task by task. So wherever it is stopped, tasks have all
    methods, and all methods as many seeds. As many tasks come together as there are cores, so that no core waits for long.
    What is done needs no call. First comes what tables need besides of tasks whose runs are there, so that these can be
    published at any time.
    """
    step, together = profile.runtime.seeds_at_a_time, _cores(options)
    names = [environment.name for environment in profile.environments]
    done = accumulated.finished(profile, RESULTS)
    rounds = range(step, profile.seeds + step, step) if step and not options.targets else ()
    if rounds and min(done.values()) < profile.seeds:
        trainings = {job.name for job in accumulated.trainings_of(profile)}
        others = [job for job in jobs_of(profile) if done.get(job.environment) and not job.reads]
        if files := _files(profile, [job for job in others if job.name not in trainings]):
            yield [*arguments, "--", *map(str, files)]
    for seeds in rounds:
        # Of two --config the later counts.
        given = ["--config", *(options.config or []), f"seeds={min(seeds, profile.seeds)}"]
        for first in range(0, len(names), together):
            tasks = names[first : first + together]
            if any(done[task] < min(seeds, profile.seeds) for task in tasks):
                jobs = [job for job in jobs_of(profile) if job.environment in tasks]
                yield [*arguments, *given, "--", *map(str, _files(profile, jobs))]
    yield list(arguments)


def _files(profile: config.Profile, jobs: Iterable[Job]) -> list[Path]:
    """What jobs of a profile record."""
    return [
        RESULTS / profile.profile / job.path(file.path)
        for job in jobs
        for file in STUDIES[job.study].records.values()
    ]


def _cores(options: argparse.Namespace) -> int:
    """How many jobs run at once: the number behind Snakemake's --cores or --jobs, or that of the workflow profile given.

    All cores there are where there is none, as in profiles/default.
    """
    given = options.cores or options.jobs
    if given is None and options.workflow_profile:
        with contextlib.suppress(OSError):
            settings = yaml.safe_load((Path(options.workflow_profile) / "config.yaml").read_text()) or {}
            given = settings.get("jobs") or settings.get("cores")
    return int(given) if str(given).isdigit() else os.cpu_count() or 1


def _snakemake(path: Path) -> list[str]:
    # With a space, Snakemake would take targets that follow for further config files.
    return [sys.executable, "-m", "snakemake", f"--configfile={path}"]


class CommandRunner:
    """Runs commands one after the other, each in a process group of its own; meanwhile signals that would stop this process
    stop the command that runs, and no other is started.
    """

    def __init__(self) -> None:
        self._stopped = False
        # Of the command that runs; and whether a signal came while there was none.
        self._group: int | None = None
        self._missed = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # Set before a command starts: a child ignores what its parent ignores, as a shell's background jobs do SIGINT.
        self._previous = {number: signal.signal(number, self._stop) for number in STOPPING}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: Any) -> None:
        self._stopped = True
        if self._group is None:
            self._missed = True
        else:
            self._interrupt(self._group)

    def _interrupt(self, group: int) -> None:
        # Ctrl-C for all of them: Snakemake would wait for its jobs after SIGTERM. A second signal is passed on as well.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGINT)

    def run(
        self,
        command: Sequence[str],
        chain: Chain | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> int:
        """The exit code of a command that has run to its end, not 0 if a signal came.

        The command holds the claim of the chain too, so that it is held for as long as either lives.
        """
        if self._stopped:
            return -signal.SIGINT
        with subprocess.Popen(
            command,
            start_new_session=True,
            pass_fds=chain.descriptors if chain else (),
            env={**os.environ, **(chain.environment if chain else {}), **(environment or {})},
        ) as process:
            self._group = process.pid
            if self._missed:
                self._interrupt(process.pid)
            if chain:
                chain.name(process.pid)
            code = process.wait()
            self._group = None
        return code or (-signal.SIGINT if self._stopped else 0)


def _close(snakemake: Sequence[str], profile: config.Profile, start: float) -> None:
    """The report, the summary unless this run has just printed it, and where to look."""
    root = RESULTS / profile.profile
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
