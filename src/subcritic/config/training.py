"""How long a training runs, how it is evaluated, what is kept of it, and how results are summarised."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from subcritic.config.sections import Count, Rate, Section


def _resolved(device: str) -> str:
    """`auto` becomes what this machine has, so that a config says what its numbers are made on."""
    if device == "auto":
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


# Part of what numbers depend on, unlike `runtime`: a GPU sums in another order than a CPU, so its numbers are others, if by
# rounding alone at first. With cpu it is left out of the data, so that trainings on the CPU keep their digests.
Device = Annotated[
    Literal["cpu", "cuda", "auto"],
    AfterValidator(_resolved),
    Field(exclude_if=lambda device: device == "cpu"),
]


class Evaluations(Section):
    """How a training is watched: the part of `training` that every study's trainings share."""

    evaluate_every: Count = Field(
        1_000, description="Environment steps between two evaluations without noise."
    )
    evaluation_episodes: Count = Field(5, description="Episodes of each evaluation but the last, per seed.")
    final_episodes: Count = Field(
        20, description="Episodes of the last evaluation, per seed; their mean return is the score."
    )
    divergence_factor: Rate = Field(
        10.0,
        description="A seed is stopped when |Q| exceeds this many times the largest possible return, "
        "max |reward| / (1 − discount), or what the critic said at first, if that is more.",
    )


class Training(Evaluations):
    """Length and evaluation of trainings: in `training`, those of Experiment 2."""

    steps: Count = Field(10_000, description="Environment steps of one training, per seed.")
    device: Device = Field(
        "cpu",
        description="Where networks, replay and updates of all seeds are: cpu; cuda, one GPU, with the environments on the "
        "CPU; auto, which becomes cuda where there is a GPU, and cpu elsewhere.",
    )

    def evaluations(self) -> Evaluations:
        """All but the number of steps and the device."""
        return Evaluations.model_validate(self.model_dump(exclude={"steps", "device"}))


class Runtime(Section):
    """What changes no training: how often something is saved or logged. It is part of no digest, so that a change neither
    repeats a job nor discards a checkpoint; it holds for what is trained from then on. Means over the recorded steps, such
    as the ablation's update cosine, are taken at the steps that `log_every` gives.
    """

    checkpoint_seconds: Rate = Field(20.0, description="Seconds between two checkpoints of a training.")
    log_every: Count = Field(
        250, description="Environment steps between two records of losses and diagnostics."
    )
    progress_seconds: Rate = Field(10.0, description="Seconds between two lines of progress.")
    seeds_at_a_time: Count | None = Field(
        None,
        description="For a profile that takes more than one sitting: so many seeds are trained, task by task, before the "
        "next ones; what is done can be published, and a new chain takes published runs as given. None: all seeds together.",
    )


class Statistics(Section):
    """How results over seeds are summarised."""

    confidence: Annotated[float, Field(ge=0.8, lt=1)] = Field(0.95, description="Level of all intervals.")
