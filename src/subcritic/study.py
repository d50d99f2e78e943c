"""What a study declares: its question, its settings, its jobs, what they record and what is shown of it.

Command line, Snakemake rules, MLflow, publishing, the summary and the results page read these declarations and nothing
else about a study.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from subcritic.config import (
    AgentSettings,
    ConfigError,
    Environment,
    MethodTraining,
    Profile,
    Runtime,
    Section,
    digest,
    dump,
)

# An environment's and a method's name stand in paths as {environment} and {method}.
Paths = tuple[str, ...]


@dataclass(frozen=True)
class Recorded:
    """A file that every job of a study writes, below results/<profile>/.

    columns: of a CSV; none for other files. about: what columns do not say.
    """

    path: str
    columns: tuple[str, ...] = ()
    about: str = ""


@dataclass(frozen=True)
class Shown:
    """A table or a figure that a study's report writes, below results/<profile>/.

    caption: the text of this name in the study's folder, for Snakemake's report; empty leaves the file out of it.
    about: one line for the summary; empty leaves the file out of it. suffixes: other formats of the same figure.
    of_whole_runs: whether it shows more of a run than publishing keeps of single runs (`Study.keeps`), so that it cannot be
    drawn of runs taken from there.
    """

    path: str
    caption: str = ""
    about: str = ""
    published: bool = True
    suffixes: tuple[str, ...] = ()
    of_whole_runs: bool = False

    @property
    def paths(self) -> Paths:
        """The file and its other formats."""
        stem = self.path.rpartition(".")[0]
        return (self.path, *(f"{stem}.{suffix}" for suffix in self.suffixes))

    @property
    def page(self) -> str | None:
        """The web page of a Markdown file with a caption, since Snakemake's report shows web pages and no Markdown."""
        stem, _, suffix = self.path.rpartition(".")
        return f"{stem}.html" if suffix == "md" and self.caption else None


def table(name: str, caption: str = "", about: str = "", *, published: bool = True) -> Shown:
    """A file in table/."""
    return Shown(f"table/{name}", caption, about, published)


def figure(
    name: str, caption: str = "", about: str = "", *, vector: bool = True, of_whole_runs: bool = False
) -> Shown:
    """A figure in figures/: PNG, and SVG and PDF if `vector`."""
    suffixes = ("svg", "pdf") if vector else ()
    return Shown(f"figures/{name}.png", caption, about, suffixes=suffixes, of_whole_runs=of_whole_runs)


@dataclass(frozen=True)
class Run:
    """One training or measurement that is recorded for every seed. config: all that its numbers depend on."""

    environment: str
    method: str
    config: Section

    def config_of(self, seed: int) -> Section:
        """What the numbers of one seed depend on: trainings of one method do not depend on what other seeds there are."""
        if isinstance(self.config, MethodTraining):
            return self.config.model_copy(update={"seeds": (seed,)})
        return self.config


@dataclass(frozen=True)
class Job:
    """One call of a study's `run`. config: all of the profile that its numbers depend on, and all that `run` is given.

    The same config is Snakemake's param, the key of the checkpoint, what a run's record holds, and what publishing
    compares with. reads: files of other studies, below results/<profile>/. runs: what is recorded, for each of `seeds`.
    learners: algorithms that it runs and that its config names as plain data only.
    """

    study: str
    profile: str
    config: Section
    environment: str = ""
    method: str = ""
    reads: Paths = ()
    runs: tuple[Run, ...] = ()
    seeds: tuple[int, ...] = ()
    learners: tuple[str, ...] = ()
    runtime: Runtime = field(default_factory=Runtime)

    @property
    def name(self) -> str:
        return "/".join(part for part in (self.study, self.environment, self.method) if part)

    @property
    def digest(self) -> str:
        return digest(dump(self.config))

    def of_seeds(self, seeds: tuple[int, ...]) -> Job:
        """The same for some of its seeds; for trainings of one method."""
        config = self.config.model_copy(update={"seeds": seeds})
        runs = tuple(replace(run, config=run.config.model_copy(update={"seeds": seeds})) for run in self.runs)
        return replace(self, config=config, runs=runs, seeds=seeds)

    def path(self, template: str) -> str:
        """A declared path with this job's environment and method filled in."""
        return template.format(environment=self.environment, method=self.method)


def method_jobs(
    study: str,
    profile: Profile,
    environments: Iterable[Environment],
    methods: Iterable[AgentSettings],
    steps: Callable[[Environment], int],
) -> Iterator[Job]:
    """One job for each environment and method, all seeds in one: what the studies that compare methods run."""
    seeds = tuple(profile.seed_list())
    for environment in environments:
        training = profile.training.model_copy(update={"steps": steps(environment)})
        for method in methods:
            config = MethodTraining(
                environment=environment.task(), agent=method, training=training, seeds=seeds
            )
            yield Job(
                study,
                profile.profile,
                config,
                environment.name,
                method.name,
                runs=(Run(environment.name, method.name, config),),
                seeds=seeds,
                runtime=profile.runtime,
            )


def method_records(study: str) -> dict[str, Recorded]:
    """What each of these jobs writes."""
    stem = f"{study}/{{environment}}/{{method}}"
    return {
        "curves": Recorded(f"{stem}.csv", ("environment", "method", "seed", "step", "metric", "value")),
        "scores": Recorded(
            f"{stem}.scores.csv",
            (
                "environment",
                "method",
                "role",
                "seed",
                "score",
                "steps",
                "diverged_at",
                "failure",
                "critic",
                "reached",
            ),
            about="failure: what the environment gave that is not finite, and when: such a run has no score; reached: "
            "predicted over realised return of the critic that is furthest off",
        ),
        "method": Recorded(
            f"{stem}.method.json",
            about="the method's role, its number of actions, what its neurons receive, its settings, their defaults",
        ),
        "policy": Recorded(f"{stem}.policy.pt", about="the trained actors of all seeds"),
    }


class Read(NamedTuple):
    """Files of one kind that a report reads. path: as declared; paths: of every job; both below results/<profile>/."""

    name: str
    path: str
    paths: Paths
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class View:
    """What MLflow shows of a study. about: the experiment's description. charts: heading → a chart's title → a metric.

    columns: metrics in the table of runs. grouped: whether its runs are trainings, one per environment, method, seed.
    left_out: metrics that MLflow does not get, as patterns (`fnmatch`); files have them all. policies: whether the policies
    of its runs, which act on one observation without a memory, are MLflow models.
    """

    about: str
    charts: dict[str, dict[str, str]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    grouped: bool = True
    left_out: tuple[str, ...] = ()
    policies: bool = False


def no_jobs(profile: Profile) -> Iterator[Job]:
    return iter(())


@dataclass(frozen=True)
class Study:
    """A question, how it is measured and how it is shown. The folder of its name has run.py, report.py and publish.py."""

    # Its folder, its command, its section in a config, its MLflow experiment.
    name: str
    # What it asks or makes: heading on the results page, help of the command.
    question: str
    # What MLflow shows of it; None keeps it out.
    view: View | None = None
    # The class of its section in a config.
    settings: type[Section] | None = None
    # What is measured for a profile; each job is a call of `run(job, results)` in run.py.
    jobs: Callable[[Profile], Iterator[Job]] = no_jobs
    # What tells its jobs apart.
    over: tuple[Literal["environment", "method"], ...] = ()
    # What every job writes, by the name that run.py and report.py use.
    records: dict[str, Recorded] = field(default_factory=dict)
    # What `make(profile, root)` in report.py writes.
    shown: dict[str, Shown] = field(default_factory=dict)
    # Other studies whose records, and whose tables, the report reads.
    reads: tuple[str, ...] = ()
    reads_shown: tuple[str, ...] = ()
    # Lines on what was run, for the results page.
    described: Callable[[Profile], list[str]] | None = None
    # Whether its agents may read pictures through an encoder.
    pictures: bool = False
    # Trains what cannot be on another device; refused where its trainings should be.
    on_cpu_alone: bool = False
    # Run only where a profile names it.
    optional: bool = False
    # The page in docs/ that shows it; and whether publish.py keeps more than `shown`.
    page: str = "results.md"
    publishes: bool = False
    # Metrics that publishing keeps of every run, so that a profile can be published in parts; none: runs are not kept.
    keeps: tuple[str, ...] = ()
    # What a job needs, for a cluster: minutes, megabytes; and which jobs start first.
    minutes: int = 60
    memory: int = 1500
    threads: Literal["one", "all"] = "one"
    priority: int = 0

    @property
    def measures(self) -> bool:
        """Whether it has jobs of its own."""
        return self.jobs is not no_jobs

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").capitalize()

    def job(self, profile: Profile, environment: str = "", method: str = "") -> Job:
        """The job on an environment with a method; raises ConfigError, listing the known ones, when there is none."""
        jobs = list(self.jobs(profile))
        for kind, given in (("environment", environment), ("method", method)):
            known = list(dict.fromkeys(getattr(job, kind) for job in jobs))
            if kind in self.over and given not in known:
                raise ConfigError(
                    f"{kind} {given!r} is not in the config of the study {self.name}; known: {', '.join(known)}"
                )
        for job in jobs:
            if (job.environment, job.method) == (environment, method):
                return job
        raise ConfigError(f"the study {self.name} has no job on {environment!r} with {method!r}")

    def report_reads(self, profile: Profile, others: dict[str, Study]) -> Iterator[Read]:
        """What its report reads: what its own jobs record, and what the studies record and show that it names."""
        for study in (self, *(others[name] for name in self.reads)):
            jobs = list(study.jobs(profile))
            for name, file in study.records.items() if jobs else ():
                paths = tuple(job.path(file.path) for job in jobs)
                yield Read(f"{study.name}/{name}", file.path, paths, file.columns)
        for name in self.reads_shown:
            for key, shown in others[name].shown.items():
                yield Read(f"{name}/{key}", shown.path, (shown.path,))

    def report_depends_on(self, profile: Profile, others: dict[str, Study]) -> dict[str, Any]:
        """All of the profile that its report depends on, besides the files it reads."""
        jobs = [
            job for study in (self, *(others[name] for name in self.reads)) for job in study.jobs(profile)
        ]
        settings = [getattr(profile, self.name)] if self.settings else []
        return {
            "statistics": dump(profile.statistics),
            "settings": [dump(section) for section in settings],
            "jobs": {job.name: job.digest for job in jobs},
        }
