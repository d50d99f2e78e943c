"""The jobs of Experiment 2: one for each environment and method, all seeds in one."""

from __future__ import annotations

from collections.abc import Iterator

from subcritic.config import MethodTraining, Profile
from subcritic.study import Job, Run


def jobs(profile: Profile) -> Iterator[Job]:
    for environment in profile.environments:
        training = profile.training.model_copy(update={"steps": profile.steps_for(environment)})
        for method in profile.methods:
            config = MethodTraining(
                environment=environment.task(),
                agent=method,
                training=training,
                seeds=tuple(profile.seed_list()),
            )
            yield Job(
                "experiment2",
                profile.profile,
                config,
                environment.name,
                method.name,
                runs=(Run(environment.name, method.name, config),),
                seeds=config.seeds,
                runtime=profile.runtime,
            )


def described(profile: Profile) -> list[str]:
    methods = ", ".join(method.name for method in profile.methods)
    steps = [profile.steps_for(environment) for environment in profile.environments]
    if len(profile.environments) > 6:
        lengths = " or ".join(f"{count:,}" for count in sorted(set(steps)))
        return [f"{methods} on {len(profile.environments)} tasks, {lengths} steps each."]
    names = (environment.name for environment in profile.environments)
    tasks = ", ".join(f"{name} ({count:,} steps)" for name, count in zip(names, steps, strict=True))
    return [f"Experiment 2: {methods} on {tasks}."]
