"""The arms' models, built from links, a tool, an object and a target."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco

from subcritic.envs.suite import parts

# A motor at full torque settles at this speed (rad/s) against its joint's damping, within no less than LAG (s).
TOP_SPEED, LAG = 5.0, 0.05
AXES = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1)}


@dataclass(frozen=True)
class Hinge:
    """A driven joint of an arm: its axis, the motor's torque (N m), and its range (rad), None for a full turn."""

    axis: str
    torque: float
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class Link:
    """A rod of the given length (m) along its own x axis, turning about the hinges at its near end."""

    length: float
    hinges: tuple[Hinge, ...]


@dataclass(frozen=True)
class Arm:
    """What an arm is made of; it reaches along +x when all its angles are 0.

    links: from the shoulder outwards. space: the coordinates things move in: "xy" (a table seen from above), "xz" (a
    vertical plane) or "xyz". shoulder: where the first link starts (m). Motors carry the arm's own weight.
    """

    links: tuple[Link, ...]
    space: str = "xy"
    shoulder: tuple[float, float, float] = (0, 0, 0)

    @property
    def hinges(self) -> tuple[Hinge, ...]:
        return tuple(hinge for link in self.links for hinge in link.hinges)

    @property
    def coordinates(self) -> list[int]:
        """Which of x, y, z things move in."""
        return ["xyz".index(axis) for axis in self.space]


def build(arm: Arm) -> mujoco.MjSpec:
    """The model. Readings: `angle`, `speed` of the driven joints; places of the sites `hand` and `target`."""
    spec = _scene(arm)
    _add_links(spec, arm)
    _add_target(spec, arm)
    driven = [actuator.name for actuator in spec.actuators]
    parts.sense_joints(spec, "angle", driven)
    parts.sense_joints(spec, "speed", driven, velocity=True)
    for site in ("hand", "target"):
        parts.sense_frame(spec, site, mujoco.mjtSensor.mjSENS_FRAMEPOS, site)
    return spec


def _scene(arm: Arm) -> mujoco.MjSpec:
    if arm.space == "xy":
        spec = parts.scene(timestep=0.01, camera=[0, 0, 1.9], floor=-0.06)
        spec.camera("view").alt.xyaxes = [1, 0, 0, 0, 1, 0]
        spec.option.gravity = [0, 0, 0]
    else:
        spec = parts.scene(timestep=0.01, camera=[0, -2.5, 0.6])
    return spec


def _add_links(spec: mujoco.MjSpec, arm: Arm) -> None:
    body, near_end = spec.worldbody, arm.shoulder
    for index, link in enumerate(arm.links):
        body = body.add_body(name=f"link {index}", pos=near_end, gravcomp=1)
        for hinge in link.hinges:
            _add_hinge(spec, body, f"{hinge.axis} {index}", hinge)
        near_end = (link.length, 0, 0)
        parts.capsule(body, (0, 0, 0), near_end, radius=0.02, colour=parts.DARK if index % 2 else parts.ROBOT)
    body.add_site(name="hand", pos=near_end, size=[0.025, 0, 0], rgba=parts.SECOND)


def _add_hinge(spec: mujoco.MjSpec, body: mujoco.MjsBody, name: str, hinge: Hinge) -> None:
    damping = hinge.torque / TOP_SPEED
    parts.joint(body, name, AXES[hinge.axis], limits=hinge.limits, damping=damping, armature=damping * LAG)
    parts.motor(spec, name, hinge.torque)


def _add_target(spec: mujoco.MjSpec, arm: Arm) -> None:
    """A ball without contact on slide joints, which nothing moves once an episode has started."""
    body = spec.worldbody.add_body(name="target", gravcomp=1)
    for axis in arm.space:
        parts.joint(body, f"target {axis}", AXES[axis], slide=True, damping=100)
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.04, 0, 0], rgba=[*parts.TARGET[:3], 0.6], contype=0, conaffinity=0
    )  # fmt: skip
    body.add_site(name="target", rgba=[0, 0, 0, 0])
