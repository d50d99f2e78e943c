"""Tasks of the suite without the velocities in their observations."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from subcritic.envs.suite import poles
from subcritic.envs.suite.environment import SuiteEnvironment
from subcritic.envs.tasks import KeepObservations


def cartpole(**kwargs: Any) -> gym.Env:
    """CartpoleSwingUp, if `swing_up`, or CartpoleBalance; observation (3,): position of the cart, sin θ, cos θ."""
    task = poles.CARTPOLE if kwargs.pop("swing_up") else poles.CARTPOLE_BALANCE
    return KeepObservations(SuiteEnvironment(task, **kwargs), kept=(0, 2, 3))
