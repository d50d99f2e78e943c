"""The jobs of gradient agreement: one for each environment, from the snapshots of Experiment 1."""

from __future__ import annotations

from collections.abc import Iterator

from subcritic.config import Profile, Section
from subcritic.studies.experiment1 import settings as experiment1
from subcritic.study import Job, Run


class Config(Section):
    """All that gradient agreement on one environment depends on: what the snapshots were made with."""

    snapshots: experiment1.Config


def jobs(profile: Profile) -> Iterator[Job]:
    for environment in profile.environments:
        config = Config(snapshots=experiment1.config_of(profile, environment.task()))
        yield Job(
            "gradients",
            profile.profile,
            config,
            environment.name,
            reads=(f"experiment1/{environment.name}/snapshots.pt",),
            runs=(Run(environment.name, "agreement", config),),
            seeds=config.snapshots.seeds,
            runtime=profile.runtime,
        )
