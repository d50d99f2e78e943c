"""The ablation: rules × exploration × target, trained as in Experiment 2, to tell what a local rule needs to work."""

from __future__ import annotations

from pathlib import Path

from subcritic.config import Profile
from subcritic.studies.experiment2.run import train


def run(profile: Profile, environment_name: str, method_name: str, results: Path) -> list[Path]:
    """Train one method of the ablation on one of its environments, all seeds; returns the files written.

    Raises ConfigError, listing the known ones, for a method or an environment that is not part of the ablation.
    """
    environment, method = profile.ablated_environment(environment_name), profile.ablated_method(method_name)
    training = profile.training.model_copy(update={"steps": profile.ablation_steps(environment)})
    return train(profile, "ablation", environment, method, training, results)
