"""Start states, observations and rewards of the tasks with arms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from subcritic.envs.suite.arm_models import PALM_TO_HAND, TOP_SPEED, Arm
from subcritic.envs.suite.rewards import effort, near
from subcritic.envs.suite.task import Component, Readings

# Lowest and highest coordinates of a position (m).
Range = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Start:
    """The distribution of start states; everything starts at rest.

    angles: of the hinges (rad), or None: uniform in their ranges. spread: the largest random deviation (rad) from `angles`.
    payload: the range of its first coordinates. target: the range of the target's first coordinates; None: the position of
    the hand in a random pose, so that the target can be reached.
    """

    angles: tuple[float, ...] | None = None
    spread: float = 0.1
    payload: Range = ((), ())
    target: Range | None = None


def start(arm: Arm, where: Start, model: mujoco.MjModel, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """(qpos, qvel) of an episode. Raises RuntimeError when there are contacts in each of 1000 random draws."""
    data = mujoco.MjData(model)
    angles = model.joint("hinge 0").qposadr[0] + np.arange(len(arm.hinges))
    if arm.target_slides:
        if where.target is None:
            data.qpos[angles] = random_angles(arm, rng)
            mujoco.mj_kinematics(model, data)
            _put(data, "target", data.site("hand").xpos[arm.coordinates])
        else:
            _put(data, "target", rng.uniform(*where.target))
    for _ in range(1000):
        data.qpos[angles] = _drawn_angles(arm, where, rng)
        if arm.payload:
            _put(data, "payload", rng.uniform(*where.payload))
        mujoco.mj_forward(model, data)
        if data.ncon == 0:
            return data.qpos.copy(), np.zeros(model.nv)
    raise RuntimeError(f"1000 random starts all have contacts; the payload is placed within {where.payload}")


def random_angles(arm: Arm, rng: np.random.Generator) -> NDArray:
    """Angles of the hinges (n,), uniform in their ranges."""
    return rng.uniform(*_limits(arm))


def _drawn_angles(arm: Arm, where: Start, rng: np.random.Generator) -> NDArray:
    if where.angles is None:
        return random_angles(arm, rng)
    spread = rng.uniform(-where.spread, where.spread, len(where.angles))
    return np.clip(where.angles + spread, *_limits(arm))


def _limits(arm: Arm) -> NDArray:
    """(2, n)."""
    return np.transpose([hinge.limits or (-np.pi, np.pi) for hinge in arm.hinges])


def _put(data: mujoco.MjData, body: str, place: NDArray) -> None:
    """Set the first coordinates of a body's joints."""
    first = data.model.jnt_qposadr[data.model.body(body).jntadr[0]]
    data.qpos[first : first + len(place)] = place


@dataclass(frozen=True)
class View:
    """A part of the observation: its description, and the function readings → (..., size) that computes it."""

    component: Component
    read: Callable[[Readings], NDArray]


def views(arm: Arm) -> list[View]:
    """The parts of the observation of an arm and its task, in order."""
    joints, axes, where = len(arm.hinges), len(arm.space), arm.coordinates

    def view(name: str, size: int, unit: str, read: Callable[[Readings], NDArray]) -> View:
        return View(Component(name, size, unit), read)

    def between(first: str, second: str) -> Callable[[Readings], NDArray]:
        return lambda r: (r[second] - r[first])[..., where]

    found = [
        view("cosines of the joint angles", joints, "1", lambda r: np.cos(r["angle"])),
        view("sines of the joint angles", joints, "1", lambda r: np.sin(r["angle"])),
        view("joint velocities", joints, f"{TOP_SPEED:g} rad/s", lambda r: r["speed"] / TOP_SPEED),
        view("position of the hand", axes, "m", lambda r: r["hand"][..., where]),
        view("vector from the hand to the target", axes, "m", between("hand", "target")),
    ]
    if arm.rolls:
        found.append(view("position of the base", 2, "m", lambda r: r["base"]))
        found.append(view("velocity of the base", 2, "m/s", lambda r: r["base speed"]))
    if arm.tool == "gripper":
        found.append(view("how far the fingers are closed", 2, "5 cm", lambda r: r["finger"] / 0.05))
        found.append(view("velocities of the fingers", 2, "0.5 m/s", lambda r: r["finger speed"] / 0.5))
    if arm.payload:
        found.append(view("vector from the hand to the payload", axes, "m", between("hand", "payload")))
        found.append(view("vector from the payload to the target", axes, "m", between("payload", "target")))
        found.append(
            view("velocity of the payload", axes, "2 m/s", lambda r: r["payload velocity"][..., where] / 2)
        )
        if arm.payload.shape == "block":
            turns = ["xyz".index(axis) for axis in arm.payload.turns or "xyz"]
            found.append(view("the block's x axis", axes, "1", lambda r: r["payload axis"][..., where]))
            found.append(
                view(
                    "angular velocity of the block",
                    len(turns),
                    "10 rad/s",
                    lambda r: r["payload spin"][..., turns] / 10,
                )
            )
    return found


def distance(readings: Readings, first: str, second: str) -> NDArray:
    """Between two places (m), (...)."""
    return np.linalg.norm(readings[first] - readings[second], axis=-1)


def goal(miss: NDArray) -> NDArray:
    """Reward for a distance (m) to the target: 1 at the target, decreasing everywhere, steeper within 5 cm."""
    return 0.7 * near(miss, 0.2) + 0.3 * near(miss, 0.05)


def reach(readings: Readings, action: NDArray) -> NDArray:
    """goal(hand to target) - 0.05 effort, where goal(d) = 0.7 near(d, 20 cm) + 0.3 near(d, 5 cm) and
    near(d, w) = 1 / (1 + (d/w)²)"""
    return goal(distance(readings, "hand", "target")) - 0.05 * effort(action)


def carry(readings: Readings, action: NDArray) -> NDArray:
    """0.2 near(hand to payload, 15 cm) (1 + cosine of the angle between hand and payload, seen from the palm) / 2
    + 0.8 held goal(payload to target) - 0.05 effort, with near and goal as for the reachers. held = 1 / (1 + (d / 4 cm)⁴)
    for a distance d from hand to payload falls off so fast that pushing or throwing the payload gives little reward"""
    reaching = readings["payload"] - readings["hand"]
    apart = np.linalg.norm(reaching, axis=-1)
    from_palm = reaching + PALM_TO_HAND * readings["hand axis"]
    ahead = (from_palm * readings["hand axis"]).sum(axis=-1) / (np.linalg.norm(from_palm, axis=-1) + 1e-3)
    held = near(np.square(apart), 0.04**2)
    carried = held * goal(distance(readings, "payload", "target"))
    return 0.2 * near(apart, 0.15) * (1 + ahead) / 2 + 0.8 * carried - 0.05 * effort(action)


def hit(readings: Readings, action: NDArray) -> NDArray:
    """0.85 goal(puck to target) + 0.15 near(blade to where a hit starts, 15 cm) - 0.05 effort, with near and goal as for
    the reachers; a hit starts 7 cm from the puck, on the side away from the target"""
    path = readings["target"] - readings["payload"]
    miss = np.linalg.norm(path, axis=-1)
    # At the target the direction of the path is undefined; the small constant lets this point move into the puck there.
    behind = readings["payload"] - 0.07 * path / np.sqrt(np.square(miss) + 0.05**2)[..., None]
    aim = np.linalg.norm(readings["hand"] - behind, axis=-1)
    return 0.85 * goal(miss) + 0.15 * near(aim, 0.15) - 0.05 * effort(action)
