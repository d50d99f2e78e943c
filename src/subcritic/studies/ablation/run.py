"""The ablation: rules × exploration × target, trained as in Experiment 2, to tell what a local rule needs to work."""

from __future__ import annotations

from pathlib import Path

from subcritic.measuring.method import train
from subcritic.studies.ablation import STUDY
from subcritic.study import Job


def run(job: Job, results: Path) -> list[Path]:
    """Train one method of the ablation on one of its environments, all seeds; returns the files written."""
    return train(job, STUDY, results)
