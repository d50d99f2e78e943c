"""Planners, which use a task's true physics. Their return on a task of the suite defines score 1."""

from subcritic.envs.planners.ilqg import ILQG
from subcritic.envs.planners.mppi import MPPI
from subcritic.envs.planners.play import episode
from subcritic.envs.planners.protocol import Planner
from subcritic.envs.planners.simulation import Simulation

__all__ = ["ILQG", "MPPI", "Planner", "Simulation", "episode"]
