"""Arms that reach, grasp and hit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import mujoco
import numpy as np
from numpy.typing import NDArray

from subcritic.envs.suite.arm_models import TOP_SPEED, Arm, Hinge, Link, build
from subcritic.envs.suite.rewards import effort, near
from subcritic.envs.suite.task import Component, Readings, Task


@dataclass(frozen=True)
class View:
    """A part of the observation: what it is, and how it is read, readings → (..., size)."""

    component: Component
    read: Callable[[Readings], NDArray]


@dataclass(frozen=True)
class Start:
    """How an episode starts.

    angles: of the arm's hinges (rad), None for uniform in their ranges. target: the coordinates (m) of the target, None
    for where the hand is in a random pose, so that it can be reached.
    """

    angles: tuple[float, ...] | None = None
    target: tuple[float, ...] | None = None


def views(arm: Arm) -> tuple[View, ...]:
    """What is seen of an arm and its task, in order."""
    joints, axes = len(arm.hinges), len(arm.space)
    where = arm.coordinates

    def between(readings):
        return (readings["target"] - readings["hand"])[..., where]

    return (
        View(Component("cosines of the joint angles", joints, "1"), lambda r: np.cos(r["angle"])),
        View(Component("sines of the joint angles", joints, "1"), lambda r: np.sin(r["angle"])),
        View(Component("joint speeds", joints, f"{TOP_SPEED:g} rad/s"), lambda r: r["speed"] / TOP_SPEED),
        View(Component("place of the hand", axes, "m"), lambda r: r["hand"][..., where]),
        View(Component("from the hand to the target", axes, "m"), between),
    )


def start(arm: Arm, where: Start, model: mujoco.MjModel, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """(qpos, qvel) of an episode that starts at rest."""
    qpos = model.qpos0.copy()
    target = where.target
    if target is None:
        target = _place_of_hand(model, random_angles(arm, rng))[arm.coordinates]
    joints = len(arm.hinges)
    if where.angles is None:
        qpos[:joints] = random_angles(arm, rng)
    else:
        qpos[:joints] = where.angles + rng.uniform(-0.1, 0.1, joints)
    qpos[-len(arm.space) :] = target
    return qpos, np.zeros(model.nv)


def random_angles(arm: Arm, rng: np.random.Generator) -> NDArray:
    """Joint angles, uniform in their ranges."""
    return np.array([rng.uniform(*(hinge.limits or (-np.pi, np.pi))) for hinge in arm.hinges])


def _place_of_hand(model: mujoco.MjModel, angles: NDArray) -> NDArray:
    data = mujoco.MjData(model)
    data.qpos[: len(angles)] = angles
    mujoco.mj_kinematics(model, data)
    return data.site("hand").xpos.copy()


def distance(readings: Readings, first: str, second: str) -> NDArray:
    """Between two places (m), (...)."""
    return np.linalg.norm(readings[first] - readings[second], axis=-1)


def reach(readings: Readings, action: NDArray) -> NDArray:
    """The closer the hand to the target, the more, with a bonus within 5 cm; at most 1."""
    miss = distance(readings, "hand", "target")
    return 0.5 * near(miss, 0.2) + 0.5 * near(miss, 0.05) - 0.05 * effort(action)


def task(
    paper: str, name: str, summary: str, arm: Arm, begin: Start, reward=reach, seconds=0.04, steps=150
) -> Task:
    seen = views(arm)
    return Task(
        paper=paper,
        name=name,
        summary=summary,
        model=partial(build, arm),
        start=partial(start, arm, begin),
        components=tuple(view.component for view in seen),
        observe=lambda readings: np.concatenate([view.read(readings) for view in seen], axis=-1),
        reward=reward,
        control_seconds=seconds,
        episode_steps=steps,
    )


BENT = (-2.6, 2.6)
ONE = Arm((Link(0.4, (Hinge("z", 0.5),)),))
TWO = Arm((Link(0.3, (Hinge("z", 1.0),)), Link(0.25, (Hinge("z", 0.4, BENT),))))
THREE = Arm(
    (
        Link(0.25, (Hinge("z", 1.5),)),
        Link(0.2, (Hinge("z", 0.6, BENT),)),
        Link(0.15, (Hinge("z", 0.2, BENT),)),
    )
)

TASKS = (
    task("fixedReacherSingle", "ReacherOneFixed", "a planar arm of one link reaches a fixed target", ONE,
         Start(angles=(0.0,), target=(-0.32, 0.24))),
    task("reacherSingle", "ReacherOneRandom", "a planar arm of one link reaches random targets", ONE, Start()),
    task("fixedReacherDouble", "ReacherTwoFixed", "a planar arm of two links reaches a fixed target", TWO,
         Start(angles=(0.0, 0.5), target=(-0.2, 0.3))),
    task("fixedReacher", "ReacherThreeFixed", "a planar arm of three links reaches a fixed target", THREE,
         Start(angles=(0.0, 0.5, 0.5), target=(-0.2, 0.3))),
    task("reacher", "ReacherThreeRandom", "a planar arm of three links reaches random targets", THREE, Start()),
)  # fmt: skip
