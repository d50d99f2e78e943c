"""One training process: a trainer, the records of its seeds, its checkpoint, its progress line."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from subcritic.config import ConfigError, digest, dump
from subcritic.measuring import policies
from subcritic.measuring.code import job_code
from subcritic.measuring.kept import POLICY
from subcritic.measuring.progress import duration, say
from subcritic.nn import devices
from subcritic.study import Job, Run
from subcritic.tracking import Identity, RunGroup, claim
from subcritic.training import Trainer, checkpoint

# (trainer, observers) after training → for each seed, the content of files by their names.
Export = Callable[[Trainer, list], list[dict[str, bytes]]]


class Session:
    """Runs a trainer to its end, resuming from its checkpoint, and keeps what its observers gathered.

    Everything lives in `folder`, results/<profile>/runs/<study>/<environment>/<method>. `setup(log)` makes the trainer and
    the observers; observers with a `state_dict` are part of the checkpoint. `export(trainer, observers)`, if there is one,
    gives the files that are kept with every seed's record, besides its policy. After `run`, `trainer` and `observers` hold
    the final state, whether it was computed now or in an earlier process.
    """

    def __init__(self, job: Job, run: Run, results: Path) -> None:
        self.results, self.seeds = results, list(job.seeds)
        self.configs = [dump(run.config_of(seed)) for seed in job.seeds]
        self.identities = [
            Identity(job.profile, job.study, run.environment, run.method, seed) for seed in job.seeds
        ]
        self.folder = results / job.profile / "runs" / job.study / run.environment / run.method
        self.path = self.folder / "checkpoint.pt"
        self.label = f"{job.study} {run.environment}/{run.method}"
        self.code = job_code(job, run.config)
        self.key = digest({"config": dump(run.config), "run": self.label, "code": self.code})
        self.runtime = job.runtime
        # Not in the config's data on the CPU.
        device = getattr(getattr(run.config, "training", None), "device", "cpu")
        if reason := devices.missing(device):
            raise ConfigError(f"training.device = {device!r}: {reason}")
        self.tags = {"code": self.code, "device": devices.name(device)}

    def run(
        self, setup: Callable[[Callable], tuple[Trainer, list]], export: Export | None = None
    ) -> tuple[Trainer, list]:
        """Train, or pick up what is done. Raises CheckpointError, RecordError when the disk refuses."""
        torch.set_num_threads(1)
        # Denormals in Adam's moments make updates many times slower.
        torch.set_flush_denormal(True)
        with claim(self.folder):
            saved = checkpoint.load(self.path, self.key)
            positions = saved["positions"] if saved else None
            with (
                RunGroup(
                    self.results,
                    self.identities,
                    self.configs,
                    resume=positions,
                    tags=self.tags,
                ) as self.group,
                contextlib.ExitStack() as opened,
            ):
                trainer, observers = setup(self.group.log)
                opened.callback(trainer.close)
                for observer in observers:
                    if hasattr(observer, "close"):
                        opened.callback(observer.close)
                if saved:
                    self._restore(trainer, observers, saved)
                if not (saved and saved["finished"]):
                    trainer.observers = [
                        *observers,
                        Progress(self.label, self.runtime.progress_seconds),
                        Checkpointer(self, observers),
                    ]
                    trainer.run()
                    self._export_policies(trainer)
                    for s, files in enumerate(export(trainer, observers) if export else []):
                        for name, data in files.items():
                            self.group.artifact(s, name, data)
                    self.save(trainer, observers, finished=True)
        return trainer, observers

    def save(self, trainer: Trainer, observers: list, *, finished: bool) -> None:
        """A finished run keeps no replay: nobody trains on from it."""
        state = trainer.state_dict()
        if finished:
            state.pop("replay")
        kept = [observer.state_dict() for observer in observers if hasattr(observer, "state_dict")]
        positions = self.group.positions()
        checkpoint.save(
            self.path,
            self.key,
            {"trainer": state, "observers": kept, "positions": positions, "finished": finished},
        )

    def _restore(self, trainer: Trainer, observers: list, saved: dict[str, Any]) -> None:
        if saved["finished"]:
            trainer.load_final_state(saved["trainer"])
        else:
            trainer.load_state_dict(saved["trainer"])
            say(f"{self.label}: resuming at step {trainer.step}")
        stateful = [observer for observer in observers if hasattr(observer, "state_dict")]
        for observer, state in zip(stateful, saved["observers"], strict=True):
            observer.load_state_dict(state)

    def _export_policies(self, trainer: Trainer) -> None:
        """The trained actor of every seed, as an artifact of its run."""
        for s, policy in enumerate(policies.of(trainer)):
            data = io.BytesIO()
            torch.save(policy, data)
            self.group.artifact(s, POLICY, data.getvalue())


class Checkpointer:
    """Saves a session every so many seconds; when it saves does not change what is computed."""

    every = 50

    def __init__(self, session: Session, observers: list) -> None:
        self.session, self.observers, self.last = session, observers, time.monotonic()

    def __call__(self, trainer: Trainer) -> None:
        # Before the first step there is nothing to keep: who starts again logs what was seen there again.
        due = time.monotonic() - self.last >= self.session.runtime.checkpoint_seconds
        if due and 0 < trainer.step < trainer.steps:
            self.session.save(trainer, self.observers, finished=False)
            self.last = time.monotonic()


class Progress:
    """A line on stderr every few seconds: what trains, how far it is, how fast, and how long the rest takes at this rate."""

    every = 50

    def __init__(self, label: str, seconds: float) -> None:
        self.label, self.seconds = label, seconds
        self.last, self.last_step, self.learning = time.monotonic(), None, False

    def __call__(self, trainer: Trainer) -> None:
        now = time.monotonic()
        if self.last_step is None:
            self.last_step, self.learning = trainer.step, trainer.learning
        if now - self.last < self.seconds and trainer.step != trainer.steps:
            return
        rate, seeds = (trainer.step - self.last_step) / max(now - self.last, 1e-9), len(trainer.seeds)
        # Steps of the warm-up, which learn nothing, take much less time than the rest.
        left = (trainer.steps - trainer.step) / rate if rate and self.learning else None
        watch = trainer.watch
        stopped = {
            "diverged": sum(at is not None for at in watch.diverged_at),
            "without an environment that works": sum(what is not None for what in watch.failures),
        }
        say(
            f"{self.label}: step {trainer.step:,} of {trainer.steps:,}, {seeds} seed{'s' if seeds > 1 else ''}, "
            f"{rate:,.0f} steps/s{f', about {duration(left)} left' if left else ''}"
            + "".join(f", {count} {why}" for why, count in stopped.items() if count)
        )
        self.last, self.last_step, self.learning = now, trainer.step, trainer.learning
