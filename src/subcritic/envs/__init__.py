"""Gymnasium environments as the learners see them, and episodes that can be replayed."""

from subcritic.envs import display, suite, tasks
from subcritic.envs.episodes import EpisodeStream
from subcritic.envs.make import UnusableEnvironment, check, make, sizes

__all__ = ["EpisodeStream", "UnusableEnvironment", "check", "display", "make", "sizes", "suite", "tasks"]
