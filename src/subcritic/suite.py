"""The list of the suite: the 26 tasks of Lillicrap et al. 2016 (Table 2) by name, without their code."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """What Gymnasium must know of a task before it is used. The module `family` holds the `Task` itself in its `TASKS`."""

    name: str
    family: str
    episode_steps: int

    @property
    def id(self) -> str:
        return f"subcritic/{self.name}-v0"


# The paper's name → where the task is found.
LISTED = {
    "fixedReacherSingle": Entry("ReacherOneFixed", "arms", 100),
    "reacherSingle": Entry("ReacherOneRandom", "arms", 100),
    "fixedReacherDouble": Entry("ReacherTwoFixed", "arms", 100),
    "fixedReacher": Entry("ReacherThreeFixed", "arms", 100),
    "reacher": Entry("ReacherThreeRandom", "arms", 100),
    "reacher3daFixedTarget": Entry("ArmReachFixed", "arms", 100),
    "reacher3daRandomTarget": Entry("ArmReachRandom", "arms", 100),
    "gripper": Entry("GripperFixed", "arms", 150),
    "gripperRandom": Entry("GripperRandom", "arms", 150),
    "movingGripper": Entry("GripperMoving", "arms", 150),
    "blockworld1": Entry("BlockLift", "arms", 150),
    "blockworld3da": Entry("BlockLiftArm", "arms", 150),
    "canada2d": Entry("HockeyPlanar", "arms", 120),
    "canada": Entry("HockeyArm", "arms", 120),
    "pendulum": Entry("PendulumSwingUp", "poles", 200),
    "cart": Entry("CartRest", "poles", 150),
    "cartpole": Entry("CartpoleSwingUp", "poles", 200),
    "cartpoleBalance": Entry("CartpoleBalance", "poles", 200),
    "cartpoleParallelDouble": Entry("CartpoleParallelDouble", "poles", 250),
    "cartpoleSerialDouble": Entry("CartpoleSerialDouble", "poles", 250),
    "cartpoleSerialTriple": Entry("CartpoleSerialTriple", "poles", 250),
    "cheetah": Entry("Cheetah", "runners", 200),
    "hardCheetah": Entry("HardCheetah", "runners", 200),
    "walker2d": Entry("Walker", "runners", 250),
    "hopper": Entry("HopperBalance", "runners", 250),
    "hyq": Entry("QuadrupedStand", "runners", 250),
}

PAPER_NAMES = {entry.id: paper for paper, entry in LISTED.items()}


def entry(environment_id: str) -> Entry | None:
    """The entry of the task registered with Gymnasium as `environment_id`; None if it is none of the suite."""
    paper = PAPER_NAMES.get(environment_id)
    return LISTED[paper] if paper else None
