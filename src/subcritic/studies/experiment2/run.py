"""Experiment 2: every neuron its own actor-critic, beside DDPG in the same loop (drafts, Experiment 2)."""

from __future__ import annotations

from pathlib import Path

from subcritic.measuring.method import train
from subcritic.studies.experiment2 import STUDY
from subcritic.study import Job


def run(job: Job, results: Path) -> list[Path]:
    """Train one method on one environment, all seeds; returns the files `train` writes."""
    return train(job, STUDY, results)
