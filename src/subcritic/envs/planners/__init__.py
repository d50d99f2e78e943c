"""Planners: what the true physics allows on a task of the suite, and so what scores 1 there."""

from subcritic.envs.planners.ilqg import ILQG
from subcritic.envs.planners.mppi import MPPI
from subcritic.envs.planners.play import episode
from subcritic.envs.planners.protocol import Planner
from subcritic.envs.planners.simulation import Simulation

__all__ = ["ILQG", "MPPI", "Planner", "Simulation", "episode"]
