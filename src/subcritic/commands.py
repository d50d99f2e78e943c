"""The commands: one per study, and those around them."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from subcritic import config, profiles
from subcritic.config import ConfigError, Profile
from subcritic.config.environments import default_name
from subcritic.cost import write_cost
from subcritic.studies import STUDIES
from subcritic.study import Study
from subcritic.tracking import claim_job


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Known errors are one clear message, no traceback."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command is not reproduce:
        parser.error(f"unknown argument {rest[0]!r}")
    options.rest = rest
    _print_warnings_plainly()
    try:
        return options.command(options) or 0
    except Exception as error:
        # Looked up here: an interrupt must not import what they come from.
        if not isinstance(error, _known_errors()):
            raise
        if getattr(options, "traceback", False) and error.__cause__:
            traceback.print_exception(error.__cause__)
        print(f"subcritic: {error}", file=sys.stderr)
        return 2


def _print_warnings_plainly() -> None:
    """Warnings about environments are meant for the user, who need not see the line of ours that gives them."""
    usual = warnings.formatwarning

    def text(message: Warning | str, category: type[Warning], *more: Any, **named: Any) -> str:
        if category.__name__ == "EnvironmentWarning":
            return f"subcritic: warning: {message}\n"
        return usual(message, category, *more, **named)

    warnings.formatwarning = text


def _known_errors() -> tuple[type[Exception], ...]:
    """Raises SystemExit, with a message, where MuJoCo cannot even be imported with the MUJOCO_GL that is set."""
    try:
        from subcritic.envs import UnusableEnvironment
    except (AttributeError, ImportError) as error:
        if not (chosen := os.environ.get("MUJOCO_GL")):
            raise
        raise SystemExit(
            f"subcritic: MuJoCo cannot be loaded with MUJOCO_GL = {chosen!r} ({error}): install what it needs (libegl1 for "
            "egl, libosmesa6 for osmesa), or leave it unset, and what is installed is taken"
        ) from None
    from subcritic.envs.display import NoPicture
    from subcritic.reporting.records import MissingResult
    from subcritic.tracking import RecordError, StoreError
    from subcritic.training.checkpoint import CheckpointError

    return (
        ConfigError,
        UnusableEnvironment,
        NoPicture,
        MissingResult,
        CheckpointError,
        RecordError,
        StoreError,
    )


def reproduce(options: argparse.Namespace) -> int:
    from subcritic.reproduce import reproduce as run

    return run(options.profile, options.rest, from_scratch=options.from_scratch)


def show_config(options: argparse.Namespace) -> None:
    """Validate a config, its environments included, and print it with all defaults, or write that to a file."""
    from subcritic import workflow

    profile = profiles.parse(json.loads(options.json)) if options.json else profiles.load(options.config)
    if not options.json:
        profiles.check_devices(profile, str(options.config))
        workflow.check_environments(profile, str(options.config))
    text = workflow.written_out(profile)
    if options.output is None:
        print(text, end="")
    else:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text)
        _say([options.output])


def run_study(options: argparse.Namespace) -> None:
    """Run one job of a study."""
    study: Study = options.study
    environment = default_name(options.environment) if options.environment else ""
    profile = _profile(options)
    profiles.check_devices(profile, str(options.config or "command line"))
    job = study.job(profile, environment, getattr(options, "method", None) or "")
    with claim_job(options.results / job.profile):
        module = importlib.import_module(f"subcritic.studies.{study.name}.run")
        _say(module.run(job, options.results))
    write_cost(options.results / job.profile, job)


def report(options: argparse.Namespace) -> None:
    from subcritic.publishing import reports, summary
    from subcritic.publishing.check import chosen

    profile = _profile(options, recorded=True)
    if options.name == "summary":
        return _say(summary.make(profile, chosen(profile), options.results / profile.profile))
    return _say(reports.make(STUDIES[options.name], profile, options.results))


def publish(options: argparse.Namespace) -> None:
    from subcritic.publishing import publish as publishing
    from subcritic.reproduce import config_file

    results, name, goal = options.results, options.profile, None
    # As `reproduce` takes it, a name in configs/ or a file; results whose config is gone say themselves what was asked for.
    if Path(name).suffix in (".yaml", ".yml") or (Path("configs") / f"{name}.yaml").is_file():
        goal = profiles.load(config_file(name))
        name = goal.profile
    _say(
        publishing.publish(name, results, results / "published", Path("docs"), goal, replace=options.replace)
    )


def verify(options: argparse.Namespace) -> int:
    """Repeat part of published runs of earlier code; numpy and torch get one thread in every process, as in a chain."""
    from subcritic.forkserver import ONE_THREAD
    from subcritic.publishing import verify as verifying
    from subcritic.reproduce import config_file
    from subcritic.tracking.group import raise_on_sigterm

    os.environ.update(ONE_THREAD)
    raise_on_sigterm()
    profile, published = profiles.load(config_file(options.profile)), options.results / "published"
    return verifying.verify(profile, published, Path("docs"), options.steps, options.cores)


def crate(options: argparse.Namespace) -> None:
    from subcritic.publishing import crate as crates

    folder = options.output or Path("build") / "crates" / options.profile
    _say([crates.export(options.profile, options.results / "published", Path(), folder)])


def write_docs(options: argparse.Namespace) -> None:
    from subcritic.publishing import generated

    _say(generated.write(Path()))


def tracking(options: argparse.Namespace) -> None:
    from subcritic import tracking as store

    results, action = options.results, options.action
    if action == "follow":
        store.follow(results)
    elif action == "mirror":
        store.bring_up_to_date(results)
    elif action == "rebuild":
        print(f"{store.rebuild(results)} runs written")
    else:
        for folder in store.sweep(results):
            print(f"{folder}: its process is gone, marked KILLED")
        store.keep_mirrored(results)


def ui(options: argparse.Namespace) -> int:
    from subcritic import tracking as store

    return store.serve(options.results, options.port, options.host, options.allowed_hosts)


def _profile(options: argparse.Namespace, *, recorded: bool = False) -> Profile:
    """The config file's profile, or one named `local` with the schema's defaults; options override both.

    A config file's profile with other seeds or steps has results of its own, those of <profile>-local.
    """
    if options.config and options.seeds is None and options.steps is None:
        return profiles.load(options.config, recorded=recorded)
    if options.config:
        data = config.dump(profiles.load(options.config))
        data["profile"] += "-local"
    else:
        data = {
            "profile": "local",
            "environments": [options.environment or "Pendulum-v1"],
            "methods": [{"algorithm": "ddpg", "hidden": [64, 64]}, {"algorithm": "linear"}],
        }
    if options.seeds is not None:
        data["seeds"] = options.seeds
    if options.steps is not None:
        _shorten(data, options.steps)
    return profiles.parse(data, str(options.config or "command line"))


def _shorten(data: dict[str, Any], steps: int) -> None:
    """Give every training of a profile's data that many environment steps."""
    data.setdefault("training", {})["steps"] = steps
    for name, study in STUDIES.items():
        fields = study.settings.model_fields if study.settings else {}
        if "steps" in fields:
            data.setdefault(name, {})["steps"] = steps
        if "training" in fields:
            data.setdefault(name, {}).setdefault("training", {})["steps"] = steps
    for section in (data, *(data.get(name, {}) for name in STUDIES)):
        if any(isinstance(entry, dict) for entry in section.get("environments", ())):
            section["environments"] = [entry | {"steps": None} for entry in section["environments"]]


def _say(paths: Sequence[Path]) -> None:
    for path in paths:
        print(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="subcritic", description="The command line: one command per study, and the commands around them."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable, text: str, *groups: Callable) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        for group in groups:
            group(sub)
        return sub

    sub = add("reproduce", reproduce, "run the whole chain; further arguments go to Snakemake")
    sub.add_argument("--profile", default="quick", help="a name in configs/, or a YAML file (default: quick)")
    sub.add_argument(
        "--from-scratch",
        action="store_true",
        help="train also what is published, where a profile would take it as given",
    )
    sub = add("config", show_config, "validate a config and show it with all defaults")
    sub.add_argument("config", type=Path, nargs="?", default=Path("configs/quick.yaml"))
    sub.add_argument("--json", help="the config itself, instead of a file")
    sub.add_argument("--output", type=Path, help="write here instead of printing")
    for name, study in STUDIES.items():
        if study.measures:
            sub = add(name, run_study, study.question, _profile_options)
            sub.set_defaults(study=study)
            sub.add_argument(
                "--traceback",
                action="store_true",
                help="with an error of an environment, print its traceback too",
            )
            if "environment" in study.over:
                sub.add_argument(
                    "--environment",
                    "--env",
                    required=True,
                    help="an environment of the config; without a config, any Gymnasium id",
                )
            if "method" in study.over:
                sub.add_argument("--method", required=True, help="a method of the config, such as ddpg")
    sub = add("report", report, "make the tables and figures of one study, or the summary", _profile_options)
    shown = [name for name, study in STUDIES.items() if study.shown]
    sub.add_argument("name", choices=[*shown, "summary"])
    sub = add(
        "publish",
        publish,
        "keep a finished profile's tables and figures, and make its pages in docs/ anew",
        _results,
    )
    sub.add_argument("--profile", default="quick", help="the profile's name (default: quick)")
    sub.add_argument(
        "--replace",
        action="store_true",
        help="drop published runs of another config or code that were not made again",
    )
    sub = add(
        "verify",
        verify,
        "repeat the beginning of published runs of earlier code; where all is as published, they count as today's",
        _results,
    )
    sub.add_argument("--profile", required=True, help="a name in configs/, or a YAML file")
    sub.add_argument(
        "--steps", type=_count, help="environment steps to repeat at least (default: a few hundred updates)"
    )
    sub.add_argument(
        "--cores", type=_count, default=os.cpu_count(), help="jobs at a time (default: all cores)"
    )
    sub = add("crate", crate, "export a published profile, with the workflow, as an RO-Crate", _results)
    sub.add_argument("--profile", default="quick", help="the profile's name (default: quick)")
    sub.add_argument("--output", type=Path, help="a folder (default: build/crates/<profile>)")
    add("docs", write_docs, "make the parts of the documents that come from the code")
    sub = add(
        "tracking",
        tracking,
        "MLflow's copy of the records: follow them, mirror what is missing, rebuild it; or sweep dead runs",
        _results,
    )
    sub.add_argument("action", choices=("follow", "mirror", "rebuild", "sweep"))
    sub = add("ui", ui, "look at the runs in MLflow, on this machine only unless told otherwise", _results)
    sub.add_argument("--port", type=int, default=5000)
    sub.add_argument(
        "--host", default="127.0.0.1", help="where it listens (default: 127.0.0.1, this machine alone)"
    )
    sub.add_argument(
        "--allowed-hosts",
        default="",
        metavar="NAMES",
        help="with --host: names by which it may be called, such as 'server.example.org:5000,localhost:*'",
    )
    return parser


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number, 1 or more")
    return int(text)


def _results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of all results (default: results)"
    )


def _profile_options(parser: argparse.ArgumentParser) -> None:
    _results(parser)
    parser.add_argument("--config", type=Path, help="a profile; without it, defaults under results/local")
    parser.add_argument("--seeds", type=int, help="number of seeds")
    parser.add_argument("--steps", type=int, help="environment steps of each training")
    parser.set_defaults(environment=None)
