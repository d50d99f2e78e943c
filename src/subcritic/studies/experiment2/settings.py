"""The jobs of Experiment 2: one for each environment and method, all seeds in one."""

from __future__ import annotations

from collections.abc import Iterator

from subcritic.config import Profile
from subcritic.study import Job, method_jobs


def jobs(profile: Profile) -> Iterator[Job]:
    return method_jobs("experiment2", profile, profile.environments, profile.methods, profile.steps_for)


def described(profile: Profile) -> list[str]:
    methods = ", ".join(method.name for method in profile.methods)
    steps = [profile.steps_for(environment) for environment in profile.environments]
    if len(profile.environments) > 6:
        lengths = " or ".join(f"{count:,}" for count in sorted(set(steps)))
        return [f"{methods} on {len(profile.environments)} tasks, {lengths} steps each."]
    names = (environment.name for environment in profile.environments)
    tasks = ", ".join(f"{name} ({count:,} steps)" for name, count in zip(names, steps, strict=True))
    return [f"Experiment 2: {methods} on {tasks}."]
