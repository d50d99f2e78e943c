"""What the Snakefile needs: the validated config, and what each stage's results depend on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from subcritic import config as schema
from subcritic import envs, provenance
from subcritic.config import ConfigError, Profile
from subcritic.envs.suite import published
from subcritic.provenance import code_digest

__all__ = ["check_environments", "code_digest", "merged", "resolve", "stage_inputs"]

DEFAULT = Path("configs/quick.yaml")


def resolve(given: dict[str, Any], source: str = "config") -> Profile:
    """The profile of a Snakemake config; without a `profile` key, `given` overrides single values of the default one.

    Raises ConfigError for anything that cannot be run, environments included.
    """
    if "profile" not in given:
        default = yaml.safe_load(DEFAULT.read_text())
        if "environments" in given:
            # The default's ablation names environments that may no longer be there.
            default.get("ablation", {}).pop("environments", None)
        given = merged(default, given)
    profile = schema.parse(given, source)
    check_environments(profile, source)
    return profile


def check_environments(profile: Profile, source: str) -> None:
    """Make every environment once; raises ConfigError naming the field of all that cannot be used."""
    problems = []
    for index, environment in enumerate(profile.environments):
        try:
            envs.check(environment.id, environment.kwargs)
        except envs.UnusableEnvironment as error:
            problems.append(f"{source}: environments[{index}].id: {error}")
    if problems:
        raise ConfigError("\n".join(problems))


def stage_inputs(
    profile: Profile, stage: str, environment: str | None = None, method: str | None = None
) -> dict:
    """What the results of a job depend on besides its input files: a change makes Snakemake run it again."""
    data: dict[str, Any] = {"code": provenance.stage_digest(stage)}
    if stage not in ("anchors", "references", "gallery", "throughput"):
        data["seeds"] = profile.seed_list()
    if environment:
        entry = profile.environment(environment)
        data["environment"] = schema.dump(entry) if stage == "anchors" else entry.task()
    if method:
        chosen = profile.ablated_method if stage == "ablation" else profile.method
        data["method"] = schema.dump(chosen(method))
    if stage in ("experiment1", "gradients", "theorem", "scaling"):
        data["experiment1"] = schema.dump(profile.experiment1)
    if stage == "experiment2":
        data["steps"] = profile.steps_for(profile.environment(environment))
    if stage == "ablation":
        data["steps"] = profile.ablation_steps(profile.ablated_environment(environment))
    if stage in ("experiment1", "experiment2", "ablation"):
        data["training"] = schema.dump(profile.training)
    if stage == "anchors":
        data["published"] = repr(published.reference(profile.environment(environment).id))
        data["references"] = profile.references.source
    if stage == "gallery":
        data["references"] = schema.dump(profile.references)
    if stage in ("anchors", "references", "throughput", "theorem", "scaling", "asynchronous", "recurrent"):
        data[stage] = schema.dump(getattr(profile, stage))
    return data


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`, section by section."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        result[key] = merged(base[key], value) if both else value
    return result
