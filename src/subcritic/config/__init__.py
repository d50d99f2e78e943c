"""The configuration schema: what a profile may say, its defaults, and clear errors for what it may not say.

A profile is a YAML file of one `Profile`. `load` reads, validates and resolves it: presets are expanded, so that the
resolved config is the whole truth about a run.
"""

from subcritic.config.ablation import Ablation
from subcritic.config.agents import AgentSettings, Role
from subcritic.config.ddpg import DDPG_PRESETS, DDPGSettings
from subcritic.config.environments import Environment, Reference
from subcritic.config.loading import digest, dump, load, parse
from subcritic.config.local import ImaginingSettings, LocalSettings
from subcritic.config.methods import LocalMethod, Method, RecordedMethod, parse_method
from subcritic.config.profile import Profile
from subcritic.config.references import References
from subcritic.config.sections import Activation, ConfigError, Section
from subcritic.config.stages import (
    Anchors,
    Asynchronous,
    Experiment1,
    Recurrent,
    Scaling,
    Statistics,
    Theorem,
    Throughput,
    Training,
)

__all__ = [
    "DDPG_PRESETS",
    "Ablation",
    "Activation",
    "AgentSettings",
    "Anchors",
    "Asynchronous",
    "ConfigError",
    "DDPGSettings",
    "Environment",
    "Experiment1",
    "ImaginingSettings",
    "LocalMethod",
    "LocalSettings",
    "Method",
    "Profile",
    "RecordedMethod",
    "Recurrent",
    "Reference",
    "References",
    "Role",
    "Scaling",
    "Section",
    "Statistics",
    "Theorem",
    "Throughput",
    "Training",
    "digest",
    "dump",
    "load",
    "parse",
    "parse_method",
]

STAGES = (
    "experiment1",
    "gradients",
    "experiment2",
    "table",
    "throughput",
    "theorem",
    "asynchronous",
    "recurrent",
    "ablation",
    "scaling",
    "references",
    "gallery",
)
