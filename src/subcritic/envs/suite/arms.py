"""Arms that reach, grasp and hit: 14 tasks."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from subcritic.envs.suite.arm_models import Arm, Hinge, Link, Payload, build
from subcritic.envs.suite.arm_tasks import Start, carry, hit, reach, start, views
from subcritic.envs.suite.task import Task


def task(
    paper: str, name: str, summary: str, arm: Arm, begin: Start, reward=reach, seconds=0.05, steps=100
) -> Task:
    """Build a `Task` (suite/task.py) for an arm."""
    parts_observed = views(arm)
    return Task(
        paper=paper,
        name=name,
        summary=summary,
        model=partial(build, arm),
        start=partial(start, arm, begin),
        components=tuple(view.component for view in parts_observed),
        observe=lambda readings: np.concatenate([view.read(readings) for view in parts_observed], axis=-1),
        reward=reward,
        control_seconds=seconds,
        episode_steps=steps,
    )


def chain(axis: str, *links: tuple[float, float]) -> tuple[Link, ...]:
    """Links of (length, torque) with parallel hinges: the first turns freely, the others within ±2.6 rad."""
    return tuple(
        Link(length, (Hinge(axis, torque, (-2.6, 2.6) if index else None),))
        for index, (length, torque) in enumerate(links)
    )


def at(*place: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """A range that contains one position only."""
    return place, place


ONE = Arm(chain("z", (0.4, 0.5)), target_slides="xy")
TWO = Arm(chain("z", (0.3, 1.0), (0.25, 0.4)), target_slides="xy")
THREE = Arm(chain("z", (0.25, 1.5), (0.2, 0.6), (0.15, 0.2)), target_slides="xy")

# Shoulder, elbow and wrist of a human-like arm with 7 hinges.
HUMAN = (
    Link(0.3, (Hinge("z", 3.0, (-1.5, 1.5)), Hinge("y", 3.0, (-1.2, 2.4)), Hinge("x", 1.0, (-1.5, 1.5)))),
    Link(0.25, (Hinge("y", 1.5, (-2.4, 0.3)),)),
    Link(0.12, (Hinge("x", 0.3, (-1.5, 1.5)), Hinge("y", 0.4, (-1.5, 1.5)), Hinge("z", 0.4, (-1.0, 1.0)))),
)
HUMAN_ARM = Arm(HUMAN, space="xyz", shoulder=(0, 0, 0.7), target_slides="xyz")

BALL = Payload("ball", size=0.03, mass=0.1, slides="xy", drag=5.0)
GRIPPER = Arm(
    chain("z", (0.3, 4.0), (0.25, 1.8), (0.08, 0.5)), tool="gripper", payload=BALL, target_slides="xy"
)
LIFTER = Arm(
    chain("y", (0.3, 4.0), (0.25, 2.0), (0.12, 0.8), (0.05, 0.4)),
    space="xz",
    tool="gripper",
    shoulder=(0, 0, 0.5),
    one_motor=True,
    payload=Payload("block", size=0.03, mass=0.1, slides="xz", turns="y"),
    target=(0.35, 0, 0.6),
    timestep=0.005,
)
HUMAN_LIFTER = replace(
    HUMAN_ARM,
    tool="gripper",
    shoulder=(0, 0, 0.45),
    payload=Payload("block", size=0.03, mass=0.1),
    target_slides="",
    target=(0.4, 0, 0.4),
    timestep=0.005,
)

PUCK = Payload("ball", size=0.04, mass=0.1, slides="xy", drag=5.0)
HOCKEY = Arm(chain("z", (0.35, 3.0), (0.3, 1.5), (0.08, 0.4)), tool="stick", payload=PUCK, target_slides="xy")
HUMAN_HOCKEY = replace(
    HUMAN_ARM, tool="stick", shoulder=(0, 0, 0.88), payload=PUCK, target_slides="xy", target=(0, 0, 0.04)
)

TASKS = (
    task("fixedReacherSingle", "ReacherOneFixed", "a planar arm of one link reaches a fixed target", ONE,
         Start(angles=(0.0,), target=at(-0.32, 0.24))),
    task("reacherSingle", "ReacherOneRandom", "a planar arm of one link, from random starts to random targets",
         ONE, Start()),
    task("fixedReacherDouble", "ReacherTwoFixed", "a planar arm of two links reaches a fixed target", TWO,
         Start(angles=(0.0, 0.5), target=at(-0.2, 0.3))),
    task("fixedReacher", "ReacherThreeFixed", "a planar arm of three links reaches a fixed target", THREE,
         Start(angles=(0.0, 0.5, 0.5), target=at(-0.2, 0.3))),
    task("reacher", "ReacherThreeRandom", "a planar arm of three links, from random starts to random targets",
         THREE, Start()),
    task("reacher3daFixedTarget", "ArmReachFixed", "a human-like arm of 7 hinges reaches a fixed target", HUMAN_ARM,
         Start(angles=(0, 0.8, 0, -0.8, 0, 0, 0), target=at(0.3, 0.3, 0.9))),
    task("reacher3daRandomTarget", "ArmReachRandom", "a human-like arm of 7 hinges, from random starts to random targets",
         HUMAN_ARM, Start()),
    task("gripper", "GripperFixed", "a planar arm on a table grasps a ball and moves it to a fixed target", GRIPPER,
         Start(angles=(-1.9, 2.4, -0.4), payload=((0.38, -0.05), (0.48, 0.05)), target=at(0.1, 0.4)),
         reward=carry, seconds=0.04, steps=150),
    task("gripperRandom", "GripperRandom", "as GripperFixed, with random arm, ball and target positions", GRIPPER,
         Start(payload=((0.2, -0.3), (0.45, 0.3)), target=((0.2, -0.3), (0.45, 0.3))),
         reward=carry, seconds=0.04, steps=150),
    task("movingGripper", "GripperMoving", "as GripperFixed, on a platform with motors along x and y",
         replace(GRIPPER, rolls=True),
         Start(angles=(-1.9, 2.4, -0.4), payload=((0.38, -0.05), (0.48, 0.05)), target=at(-0.2, 0.4)),
         reward=carry, seconds=0.04, steps=150),
    task("blockworld1", "BlockLift", "a planar arm grabs a falling block and lifts it to a fixed target", LIFTER,
         Start(angles=(-0.2, 0.6, 0.4, 0.2), payload=((0.4, 0.35), (0.5, 0.45))), reward=carry, seconds=0.04, steps=150),
    task("blockworld3da", "BlockLiftArm", "a human-like arm grabs a block and lifts it to a fixed target", HUMAN_LIFTER,
         Start(angles=(0, 0.2, 0, -1.2, 0, 1.5, 0), payload=((0.35, -0.05, 0.035), (0.45, 0.05, 0.035))),
         reward=carry, seconds=0.04, steps=150),
    task("canada2d", "HockeyPlanar", "a planar arm with a hockey stick hits a puck from a random start to a random target",
         HOCKEY, Start(angles=(-1.9, 2.4, 0.4), spread=0.3, payload=((0.3, -0.15), (0.4, 0.15)),
               target=((0.5, -0.3), (0.7, 0.3))), reward=hit, seconds=0.04, steps=120),
    task("canada", "HockeyArm", "a human-like arm with a hockey stick hits a puck to a random target", HUMAN_HOCKEY,
         Start(angles=(0, 2.1, 0, -1.5, 0, 0.28, 0), payload=((0.46, -0.1), (0.52, 0.1)),
               target=((0.6, -0.2), (0.7, 0.2))),
         reward=hit, seconds=0.04, steps=120),
)  # fmt: skip
