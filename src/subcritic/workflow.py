"""What the Snakefile asks: the validated config, and what each job and each report depends on."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import yaml

from subcritic import config as schema
from subcritic import envs, profiles, provenance, tracking
from subcritic.config import AgentSettings, ConfigError, Environment, Profile, Section
from subcritic.measuring.code import job_code
from subcritic.measuring.tables import write_json
from subcritic.publishing.check import chosen
from subcritic.reporting import documents
from subcritic.studies import STUDIES
from subcritic.study import Job, Shown, Study

DEFAULT = Path("configs/quick.yaml")
# Digests of environments that were checked, and what is to be said of them.
CHECKED = Path("results/.checked.json")
# Seconds between two looks whether the process that copies to MLflow is there.
FOLLOW_EVERY = 5.0
# Names in one label of Snakemake's report.
LONGEST_LIST = 4

# CPUs of a cluster's node for a job that must be alone on it: its threads, and the one that acts.
CORES_OF_A_NODE = 4
# What a report and the summary need: megabytes and minutes.
REPORT_NEEDS = {"mem_mb": 1500, "runtime": 30}


def resolve(given: dict[str, Any], source: str = "config") -> Profile:
    """The profile of a Snakemake config; without a `profile` key, `given` overrides single values of the default one.

    Raises ConfigError for anything that cannot be run, environments included.
    """
    if not given.keys() & {"profile", "extends"}:
        given = schema.merged(yaml.safe_load(DEFAULT.read_text()), given)
    profile = profiles.parse(given, source)
    profiles.check_devices(profile, source)
    check_environments(profile, source)
    return profile


def begin(profile: Profile, root: Path) -> None:
    """What Snakemake does first: claim the profile's folder until it ends, write the profile, start MLflow's copy."""
    chain = _CLAIMED.enter_context(tracking.claim_chain(root))
    # Jobs inherit it, also those of a cluster.
    os.environ.update(chain.environment)
    path, text = root / "config.yaml", written_out(profile)
    if not path.exists() or path.read_text() != text:
        documents.write(path, text)
    _FOLLOWED.append(_Followed(root.parent))


def enter_node(profile: Profile, root: Path) -> None:
    """What Snakemake does first in a job on a cluster's node.

    Raises ConfigError where the chain was killed before the job began. Writes the profile where the node has no files of the
    chain's host.
    """
    if tracking.chain_ended(root):
        raise ConfigError(f"{root}: the chain that this job belongs to has ended; nothing is done")
    path = root / "config.yaml"
    if not path.exists():
        documents.write(path, written_out(profile))


def end(root: Path) -> None:
    """What it does last: mark runs as KILLED whose process is gone, and wait until MLflow has all."""
    while _FOLLOWED:
        _FOLLOWED.pop().stop()
    if tracking.sweep(root.parent):
        tracking.keep_mirrored(root.parent)
    tracking.finish(root.parent)


class _Followed:
    """Sees to it that MLflow follows while Snakemake runs: jobs on other hosts leave that to the host of the chain."""

    def __init__(self, results: Path) -> None:
        self.results, self.ended = results, Event()
        self.thread = Thread(target=self._keep, daemon=True)
        tracking.keep_mirrored(results)
        self.thread.start()

    def _keep(self) -> None:
        while not self.ended.wait(FOLLOW_EVERY):
            # A disk that is full for a while ends nothing.
            with contextlib.suppress(OSError):
                tracking.keep_mirrored(self.results)

    def stop(self) -> None:
        """Start no further process that copies."""
        self.ended.set()
        self.thread.join()


_CLAIMED = contextlib.ExitStack()
_FOLLOWED: list[_Followed] = []


def written_out(profile: Profile) -> str:
    """A profile as YAML, with all defaults."""
    return yaml.safe_dump(schema.dump(profile), sort_keys=False)


def check_environments(profile: Profile, source: str) -> None:
    """Try every environment; raises ConfigError naming all that cannot be used, or not with the encoder of a method, and
    warns of what can be used with care.
    """
    problems = []
    for field, environment in _environments(profile):
        try:
            remark = _checked(environment)
        except envs.UnusableEnvironment as error:
            problems.append(f"{source}: {field}.id: {error}")
        else:
            if remark:
                print(f"subcritic: warning: {source}: {field}.id: {remark}", file=sys.stderr)
    if not problems:
        problems = [f"{source}: {problem}" for problem in _without_pictures(profile)]
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems)))


def _without_pictures(profile: Profile) -> Iterator[str]:
    """What is wrong with the methods that have an encoder: studies that read no pictures, environments that show none.

    The environments can be made; each is made once.
    """

    @functools.cache
    def picture_of(environment: str) -> tuple[int, int, int] | None:
        with envs.maker(profile.environment(environment))() as made:
            return envs.picture(made)

    for study in chosen(profile):
        for job in study.jobs(profile):
            for agent in _agents(job.config):
                if agent.encoder is None:
                    continue
                if not study.pictures:
                    yield f"studies: {study.name} reads no pictures, and the method {agent.name} has an encoder"
                    continue
                # Not imported for other profiles: it takes seconds.
                from subcritic.agents.pictures import required

                try:
                    required(agent, picture_of(job.environment))
                except ConfigError as error:
                    yield f"{job.environment}: {error}"


def _agents(section: Section) -> Iterator[AgentSettings]:
    """The settings of all agents in a job's config."""
    for _, value in section:
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, AgentSettings):
                yield part
            elif isinstance(part, Section):
                yield from _agents(part)


def _checked(environment: Environment) -> str:
    """What `envs.check` says of an environment. It is asked once for an environment as it is: CHECKED keeps what it said.

    Environments that cannot be used are checked each time, since what is wrong may lie outside their code.
    """
    task = environment.task()
    depends = {"task": schema.dump(task), "environment": envs.code_of(task.id)}
    key = schema.digest(depends | {"code": provenance.code_digest(["envs/checking.py"])})
    try:
        known = json.loads(CHECKED.read_text())
    except (OSError, ValueError):
        known = {}
    if key not in known:
        known[key] = envs.check(task.id, task.kwargs, task.max_episode_steps)
        if CHECKED.parent.is_dir():
            with contextlib.suppress(OSError):
                write_json(CHECKED, known)
    return known[key]


def _environments(profile: Profile) -> Iterator[tuple[str, Environment]]:
    """Every environment that the chosen studies use, with its field in the config."""
    sections = [("", profile)] + [
        (f"{name}.", getattr(profile, name)) for name in profile.studies if STUDIES[name].settings
    ]
    for prefix, section in sections:
        for index, entry in enumerate(getattr(section, "environments", ())):
            if isinstance(entry, Environment):
                yield f"{prefix}environments[{index}]", entry


def job_depends_on(job: Job) -> dict[str, Any]:
    """What the results of a job depend on besides its input files: a change makes Snakemake run it again."""
    return {"config": schema.dump(job.config), "code": job_code(job)}


def report_depends_on(study: Study, profile: Profile) -> dict[str, Any]:
    """What a report depends on besides the files it reads: its own code and what that imports, and part of the config."""
    return {
        "code": provenance.code_digest([f"studies/{study.name}/report.py", *_data(study)]),
        **study.report_depends_on(profile, STUDIES),
    }


def _data(study: Study) -> list[str]:
    """Tables that come with a study, such as those of papers."""
    folder = provenance.PACKAGE / "studies" / study.name
    return [path.relative_to(provenance.PACKAGE).as_posix() for path in sorted(folder.glob("*.csv"))]


def report_reads(study: Study, profile: Profile, root: str) -> list[str]:
    """The files that a report reads: what its own jobs record, and what the studies record and show that it names."""
    return [f"{root}/{path}" for kind in study.report_reads(profile, STUDIES) for path in kind.paths]


def shown(profile: Profile, root: str) -> list[str]:
    """Everything that the studies of a profile show."""
    return [f"{root}/{file.path}" for study in chosen(profile) for file in study.shown.values()]


def summary_depends_on(profile: Profile) -> dict[str, Any]:
    """What the summary depends on besides the files it reads."""
    studies = [study.name for study in chosen(profile)]
    roots = ["publishing/summary.py", *(f"studies/{name}/report.py" for name in studies)]
    return {"code": provenance.code_digest(roots), "studies": studies, "seeds": profile.seeds}


def names(profile: Profile, study: Study) -> dict[str, str]:
    """What the wildcards of a study's rules may be, as regular expressions."""
    jobs = list(study.jobs(profile))
    return {
        kind: "|".join(dict.fromkeys(re.escape(getattr(job, kind)) for job in jobs)) for kind in study.over
    }


def job_path(study: Study) -> str:
    """The study, and what tells its jobs apart as wildcards, such as `experiment2/{environment}/{method}`."""
    return "/".join([study.name, *(f"{{{kind}}}" for kind in study.over)])


def options(wildcards: dict[str, str]) -> list[str]:
    """What tells a job apart, as words of the study's command."""
    return [word for kind, name in wildcards.items() for word in (f"--{kind}", name)]


def labels(study: Study, file: Shown, profile: Profile) -> dict[str, str]:
    """How Snakemake's report lists a file: what it is, and of which environments and methods."""
    jobs = [job for each in (study, *map(STUDIES.get, study.reads)) if each for job in each.jobs(profile)]
    path = Path(file.path)
    return {
        "result": path.stem.replace("_", " "),
        "kind": "figure" if path.parent.name == "figures" else "table",
        "environments": _listed([job.environment for job in jobs], "environments"),
        "methods": _listed([job.method for job in jobs], "methods"),
    }


def _listed(names: list[str], kind: str) -> str:
    """Each name once, or how many there are; a dash for none."""
    found = list(dict.fromkeys(filter(None, names)))
    return f"{len(found)} {kind}" if len(found) > LONGEST_LIST else ", ".join(found) or "–"


def caption(study: Study, file: Shown) -> str:
    """The text that Snakemake's report shows with a file; empty where it is not part of it."""
    return str(provenance.PACKAGE / "studies" / study.name / f"{file.caption}.rst") if file.caption else ""
