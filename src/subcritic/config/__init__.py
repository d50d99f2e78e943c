"""The configuration schema: what a profile may say, its defaults, and clear errors for what it may not say.

A profile is a YAML file. `subcritic.profiles` reads it: presets are expanded, so that the resolved config is the whole
truth about a run. Each study adds a section of its own, see `studies/<study>/settings.py`.
"""

from subcritic.config.agents import AgentSettings, Role
from subcritic.config.ddpg import DDPG_PRESETS, DDPGSettings
from subcritic.config.environments import Environment, Reference, Task
from subcritic.config.jobs import MethodTraining
from subcritic.config.local import ImaginingSettings, LocalSettings
from subcritic.config.methods import LocalMethod, Method, RecordedMethod, parse_method
from subcritic.config.profile import Profile
from subcritic.config.reading import digest, dump, merged, parse, read_yaml
from subcritic.config.sections import Activation, ConfigError, Count, Fraction, Rate, Section, Sizes
from subcritic.config.training import Evaluations, Runtime, Statistics, Training

__all__ = [
    "DDPG_PRESETS",
    "Activation",
    "AgentSettings",
    "ConfigError",
    "Count",
    "DDPGSettings",
    "Environment",
    "Evaluations",
    "Fraction",
    "ImaginingSettings",
    "LocalMethod",
    "LocalSettings",
    "Method",
    "MethodTraining",
    "Profile",
    "Rate",
    "RecordedMethod",
    "Reference",
    "Role",
    "Runtime",
    "Section",
    "Sizes",
    "Statistics",
    "Task",
    "Training",
    "digest",
    "dump",
    "merged",
    "parse",
    "parse_method",
    "read_yaml",
]
