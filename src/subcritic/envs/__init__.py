"""Gymnasium environments as the learners see them, and episodes that can be replayed."""

from subcritic.envs.episodes import EpisodeStream
from subcritic.envs.make import UnusableEnvironment, check, make

__all__ = ["UnusableEnvironment", "EpisodeStream", "check", "make"]
