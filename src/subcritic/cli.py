"""The command line: one command per stage, and the commands around them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import yaml

from subcritic import config
from subcritic.config import ConfigError, Profile

REPORTS = (
    "similarity",
    "agreement",
    "learning",
    "ablation",
    "lab_book",
    "table",
    "throughput",
    "theorem",
    "scaling",
    "asynchronous",
    "recurrent",
    "references",
    "gallery",
    "summary",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Known errors are one clear message, no traceback."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command is not reproduce:
        parser.error(f"unknown argument {rest[0]!r}")
    options.rest = rest
    try:
        return options.command(options) or 0
    except _known_errors() as error:
        print(f"subcritic: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from the last checkpoint.", file=sys.stderr)
        return 130


def _known_errors() -> tuple[type[Exception], ...]:
    from subcritic.envs import UnusableEnvironment
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

    return run(options.profile, options.rest)


def show_config(options: argparse.Namespace) -> None:
    """Validate a config, its environments included, and print or write it with all defaults."""
    from subcritic import workflow

    profile = config.parse(json.loads(options.json)) if options.json else config.load(options.config)
    if not options.json:
        workflow.check_environments(profile, str(options.config))
    text = yaml.safe_dump(config.dump(profile), sort_keys=False)
    if options.output is None:
        print(text, end="")
    elif not options.output.exists() or options.output.read_text() != text:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text)


def anchors(options: argparse.Namespace) -> None:
    from subcritic.studies.anchors import run as stage

    _say(stage.run(_profile(options), _environment(options), options.results))


def references(options: argparse.Namespace) -> None:
    from subcritic.studies.references import run as stage

    if options.publish:
        return _say(stage.publish(_profile(options), options.results))
    if options.environment is None:
        raise ConfigError(
            "references: --environment NAME says which to measure, or --publish to keep them all"
        )
    progress = partial(print, file=sys.stderr, flush=True)
    return _say(stage.run(_profile(options), _environment(options), options.results, progress))


def gallery(options: argparse.Namespace) -> None:
    from subcritic.studies.gallery import run as stage

    if options.publish:
        return _say(stage.publish(_profile(options), options.results, Path("docs")))
    if options.environment is None:
        raise ConfigError(
            "gallery: --environment NAME says which task to film, or --publish to keep the films"
        )
    return _say(stage.run(_profile(options), _environment(options), options.results))


def experiment1(options: argparse.Namespace) -> None:
    from subcritic.studies.experiment1 import run as stage

    _say(stage.run(_profile(options), _environment(options), options.results))


def gradients(options: argparse.Namespace) -> None:
    from subcritic.studies.gradients import run as stage

    _say(stage.run(_profile(options), _environment(options), options.results))


def experiment2(options: argparse.Namespace) -> None:
    from subcritic.studies.experiment2 import run as stage

    _say(stage.run(_profile(options), _environment(options), options.method, options.results))


def ablation(options: argparse.Namespace) -> None:
    from subcritic.studies.ablation import run as stage

    _say(stage.run(_profile(options), _environment(options), options.method, options.results))


def theorem(options: argparse.Namespace) -> None:
    from subcritic.studies.theorem import run as stage

    _say(stage.run(_profile(options), _environment(options), options.results))


def scaling(options: argparse.Namespace) -> None:
    from subcritic.studies.scaling import run as stage

    _say(stage.run(_profile(options), _environment(options), options.results))


def asynchronous(options: argparse.Namespace) -> None:
    from subcritic.studies.asynchronous import run as stage

    _say(stage.run(_profile(options), options.results, lambda line: print(line, file=sys.stderr, flush=True)))


def recurrent(options: argparse.Namespace) -> None:
    from subcritic.studies.recurrent import run as stage

    _say(stage.run(_profile(options), options.results))


def throughput(options: argparse.Namespace) -> None:
    from subcritic.studies.throughput import run as stage

    profile = _profile(options)
    folder = options.results / profile.profile / "throughput"
    stage.measure(profile.throughput, folder, lambda line: print(line, file=sys.stderr, flush=True))
    print(folder)


def report(options: argparse.Namespace) -> None:
    from subcritic.publishing import reports

    _say(reports.make(options.name, _profile(options), options.results))


def publish(options: argparse.Namespace) -> None:
    from subcritic.publishing import page as results_page
    from subcritic.studies.gallery import run as gallery
    from subcritic.studies.references import run as references

    results, docs = options.results, Path("docs")
    written = results_page.publish(options.profile, results, results / "published", docs)
    profile = config.load(results / "published" / options.profile / "config.yaml")
    if profile.purpose == "suite":
        written += [*references.publish(profile, results), *gallery.publish(profile, results, docs)]
    _say(written)


def tracking(options: argparse.Namespace) -> None:
    from subcritic import tracking as store

    action: Callable = {"init": store.initialise, "rebuild": store.rebuild, "sweep": store.sweep}[
        options.action
    ]
    done = action(options.results)
    if options.action == "rebuild":
        print(f"{done} runs written")
    for folder in done if options.action == "sweep" else ():
        print(f"{folder}: its process is gone, marked KILLED")


def ui(options: argparse.Namespace) -> None:
    from subcritic import tracking as store

    store.serve(options.results, options.port)


def _profile(options: argparse.Namespace) -> Profile:
    """The config file's profile, or one named `local` with the schema's defaults; options override both."""
    if options.config:
        data = config.dump(config.load(options.config))
    else:
        data = {
            "profile": "local",
            "environments": [options.environment or "Pendulum-v1"],
            "methods": [{"algorithm": "ddpg", "hidden": [64, 64]}, {"algorithm": "linear"}],
        }
    if options.seeds is not None:
        data["seeds"] = options.seeds
    if options.steps is not None:
        for section in ("training", "experiment1", "ablation"):
            data.setdefault(section, {})["steps"] = options.steps
        for section in ("asynchronous", "recurrent"):
            data.setdefault(section, {}).setdefault("training", {})["steps"] = options.steps
        data["environments"] = [
            {"id": entry} if isinstance(entry, str) else entry | {"steps": None}
            for entry in data["environments"]
        ]
    return config.parse(data, str(options.config or "command line"))


def _environment(options: argparse.Namespace) -> str:
    return options.environment.replace("/", "-")


def _say(paths: Sequence[Path]) -> None:
    for path in paths:
        print(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="subcritic", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable, text: str, *groups: Callable) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        for group in groups:
            group(sub)
        return sub

    sub = add("reproduce", reproduce, "run the whole chain; further arguments go to Snakemake")
    sub.add_argument("--profile", default="quick", help="a name in configs/, or a YAML file (default: quick)")
    sub = add("config", show_config, "validate a config and show it with all defaults")
    sub.add_argument("config", type=Path, nargs="?", default=Path("configs/quick.yaml"))
    sub.add_argument("--json", help="the config itself, instead of a file")
    sub.add_argument("--output", type=Path, help="write here instead of printing")
    add("anchors", anchors, "measure the uniform random policy on an environment", _stage, _where)
    sub = add("references", references, "what planners and chance score on a task of the suite", _stage)
    sub.add_argument("--environment", "--env", help="a task of the suite: subcritic/<Name>-v0, or its name")
    sub.add_argument("--publish", action="store_true", help="keep what was measured with the package")
    sub = add("gallery", gallery, "a film of the planner on a task of the suite", _stage)
    sub.add_argument("--environment", "--env", help="a task of the suite: subcritic/<Name>-v0, or its name")
    sub.add_argument("--publish", action="store_true", help="copy films and gallery to docs/gallery")
    add("experiment1", experiment1, "sub-critics learned beside a DDPG actor", _stage, _where)
    add("gradients", gradients, "gradient agreement from Experiment 1's snapshots", _stage, _where)
    sub = add("experiment2", experiment2, "train one method on one environment", _stage, _where)
    sub.add_argument("--method", required=True, help="a method's name, such as ddpg or linear")
    sub = add("ablation", ablation, "train one method of the ablation on one environment", _stage, _where)
    sub.add_argument("--method", required=True, help="a method of the config's ablation, such as compatible")
    add("throughput", throughput, "updates per second of the local rule, DDPG and Stable-Baselines3", _stage)
    add("theorem", theorem, "Theorem 2.2.4 on Experiment 1's trained agents", _stage, _where)
    add("scaling", scaling, "gradient agreement against width, noise and number of draws", _stage, _where)
    add("asynchronous", asynchronous, "neurons that learn in threads, without a lock between them", _stage)
    add("recurrent", recurrent, "recurrent networks that learn by the local rule, without unrolling", _stage)
    sub = add("report", report, "make the tables and figures of one report", _stage)
    sub.add_argument("name", choices=REPORTS)
    sub = add(
        "publish",
        publish,
        "keep a finished profile's tables and figures, and make docs/results.md anew",
        _results,
    )
    sub.add_argument("--profile", default="quick", help="the profile's name (default: quick)")
    sub = add(
        "tracking", tracking, "the MLflow store: init, rebuild from the files, sweep dead runs", _results
    )
    sub.add_argument("action", choices=("init", "rebuild", "sweep"))
    sub = add("ui", ui, "look at the runs in MLflow, on this machine only", _results)
    sub.add_argument("--port", type=int, default=5000)
    return parser


def _results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of all results (default: results)"
    )


def _stage(parser: argparse.ArgumentParser) -> None:
    _results(parser)
    parser.add_argument("--config", type=Path, help="a profile; without it, defaults under results/local")
    parser.add_argument("--seeds", type=int, help="number of seeds")
    parser.add_argument("--steps", type=int, help="environment steps of each training")
    parser.set_defaults(environment=None)


def _where(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--environment", "--env", required=True, help="an environment of the config, or any Gymnasium id"
    )


if __name__ == "__main__":
    sys.exit(main())
