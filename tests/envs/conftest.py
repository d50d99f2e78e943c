"""Environments of a package that is not ours, written to a folder of its own."""

from __future__ import annotations

import importlib
import sys
import textwrap
import uuid

import gymnasium as gym
import pytest
from odd_environments import Registered

SOURCE = """
import gymnasium as gym
import numpy as np


class Swim(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        {reset}
        return np.zeros(2, np.float32), {{}}

    def step(self, action):
        {step}
        return np.zeros(2, np.float32), 0.0, False, False, {{}}
"""
REGISTER = "gym.register('Swim-v0', f'{__name__}:Swim'{limit})"


class Package:
    """A package under `folder`, on Python's path: `env` for this process alone, with the environment Swim-v0."""

    def __init__(self, folder):
        self.name = f"swimmers_{uuid.uuid4().hex[:8]}"
        self.folder = folder / self.name
        self.folder.mkdir()

    def write(self, limit=100, reset="pass", step="pass", extra=""):
        """`limit` None: no time limit. `reset` and `step` are run first in these methods, `extra` is put on top."""
        limit = f", max_episode_steps={limit}" if limit else ""
        source = textwrap.dedent(extra) + SOURCE.format(reset=reset, step=step)
        (self.folder / "__init__.py").write_text(f"{source}\n\n{REGISTER.replace('{limit}', limit)}\n")
        importlib.invalidate_caches()
        return f"{self.name}:Swim-v0"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A `Package`, forgotten by Python and Gymnasium at the end."""
    monkeypatch.syspath_prepend(tmp_path)
    made = Package(tmp_path)
    yield made
    gym.registry.pop("Swim-v0", None)
    for name in [name for name in sys.modules if name.partition(".")[0] == made.name]:
        del sys.modules[name]


@pytest.fixture
def register():
    """Registers a class of environments for the time of a test; returns its id."""
    with Registered() as registered:
        yield registered
