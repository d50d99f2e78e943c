"""Gymnasium environments as the learners see them, and episodes that can be replayed."""

from subcritic.envs import display, hidden, suite, tasks
from subcritic.envs.checking import check
from subcritic.envs.code import code_of, source_digest
from subcritic.envs.episodes import EpisodeStreams
from subcritic.envs.errors import EnvironmentWarning, NotFinite, UnusableEnvironment
from subcritic.envs.make import make, maker, picture, sizes
from subcritic.envs.vector import VectorEnvironment

__all__ = [
    "EnvironmentWarning",
    "EpisodeStreams",
    "NotFinite",
    "UnusableEnvironment",
    "VectorEnvironment",
    "check",
    "code_of",
    "display",
    "hidden",
    "make",
    "maker",
    "picture",
    "sizes",
    "source_digest",
    "suite",
    "tasks",
]
