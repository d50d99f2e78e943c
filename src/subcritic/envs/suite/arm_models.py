"""Models of arms, built from links, a tool, a payload and a target."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from subcritic.envs.suite import parts

GEOM, SENSOR = mujoco.mjtGeom, mujoco.mjtSensor
AXES = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1)}

# At full torque a hinge approaches TOP_SPEED (rad/s), limited by its damping, with a time constant of at least LAG (s).
TOP_SPEED, LAG = 5.0, 0.05
# Distance (m) from the palm to the site `hand`, midway between the fingers.
PALM_TO_HAND = 0.055
# By the coordinates that things move in: position of the camera, the point it looks at, its upward direction.
VIEWS = {
    "xy": ((0.15, 0.0, 1.75), (0.15, 0.0, 0.0), (0, 1, 0)),
    "xz": ((0.2, -1.9, 0.45), (0.2, 0.0, 0.45), (0, 0, 1)),
    "xyz": ((1.7, -1.4, 1.2), (0.2, 0.0, 0.6), (0, 0, 1)),
}

# Collisions: payloads collide with tools and the floor, tools with the floor; nothing else collides.
LOOSE = {"contype": 1, "conaffinity": 0}
TOOL = {"contype": 2, "conaffinity": 1}
GROUND = {"contype": 0, "conaffinity": 3}
AIR = {"contype": 0, "conaffinity": 0}


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
class Payload:
    """An object to be carried or hit: a ball or a block (`size`, m: radius or half an edge) of the given mass (kg).

    slides: the axes it slides along, with friction `drag` (1/s); turns: the axis of a hinge; with neither, it moves freely.
    """

    shape: str
    size: float
    mass: float
    slides: str = ""
    turns: str = ""
    drag: float = 0.0


@dataclass(frozen=True)
class Arm:
    """The description that `build` makes a model of; the arm is stretched along +x when all its angles are 0.

    links: from the shoulder outwards. space: the coordinates things move in: "xy" (a table seen from above), "xz" (a
    vertical plane) or "xyz". tool: "tip", "gripper" or "stick". shoulder: where the first link starts (m); it is driven
    along x and y if it `rolls`. target_slides: the axes along which the target is placed at the start of an episode; without
    any, it stays at `target` (m). one_motor: the two fingers are closed by one motor. Motors carry the arm's own weight.
    """

    links: tuple[Link, ...]
    space: str = "xy"
    tool: str = "tip"
    shoulder: tuple[float, float, float] = (0, 0, 0)
    rolls: bool = False
    one_motor: bool = False
    payload: Payload | None = None
    target_slides: str = ""
    target: tuple[float, float, float] = (0, 0, 0)
    timestep: float = 0.01

    @property
    def hinges(self) -> tuple[Hinge, ...]:
        return tuple(hinge for link in self.links for hinge in link.hinges)

    @property
    def coordinates(self) -> list[int]:
        """Indices of the coordinates that things move in."""
        return ["xyz".index(axis) for axis in self.space]


def build(arm: Arm) -> mujoco.MjSpec:
    """The model. Positions of all joints are in the order base, hinges, fingers, payload, target.

    Readings: `angle`, `speed` of the hinges (n,); `base`, `base speed`, `finger`, `finger speed` (2,) where there are any;
    places (3,) of the sites `hand`, `payload`, `target`; `payload velocity` (3,); `hand axis` (3,), from a gripper's palm
    outwards; `payload axis`, `payload spin` (3,) of a block.
    """
    spec = _scene(arm)
    body = _add_base(spec, arm)
    body, far_end = _add_links(spec, body, arm)
    {"tip": _add_tip, "gripper": _add_gripper, "stick": _add_stick}[arm.tool](spec, body, far_end, arm)
    if arm.payload:
        _add_payload(spec, arm.payload, on_floor=arm.space == "xyz" and bool(arm.payload.slides))
    _add_target(spec, arm)
    _add_sensors(spec, arm)
    return spec


def _scene(arm: Arm) -> mujoco.MjSpec:
    spec = parts.scene(timestep=arm.timestep, camera=(0, 0, 0), floor=-0.06 if arm.space == "xy" else 0.0)
    place, at, up = (np.asarray(vector, float) for vector in VIEWS[arm.space])
    right = np.cross(at - place, up)
    camera = spec.camera("view")
    camera.pos, camera.alt.xyaxes = place, [*right, *np.cross(right, at - place)]
    # A held payload creeps out of the fingers otherwise.
    spec.option.cone, spec.option.impratio = mujoco.mjtCone.mjCONE_ELLIPTIC, 10
    if arm.space == "xy":
        spec.option.gravity = [0, 0, 0]
    else:
        floor = spec.geom("floor")
        floor.contype, floor.conaffinity = GROUND["contype"], GROUND["conaffinity"]
    return spec


def _add_base(spec: mujoco.MjSpec, arm: Arm) -> mujoco.MjsBody:
    base = spec.worldbody.add_body(name="base", pos=arm.shoulder)
    base.add_geom(type=GEOM.mjGEOM_SPHERE, size=[0.04, 0, 0], rgba=parts.DARK, **AIR)
    if arm.rolls:
        for axis in "xy":
            parts.joint(
                base, f"base {axis}", AXES[axis], slide=True, limits=(-0.5, 0.5), damping=10, armature=1
            )
            parts.motor(spec, f"base {axis}", 6)
    elif arm.space != "xy":
        parts.capsule(spec.worldbody, (0, 0, 0), arm.shoulder, radius=0.03, colour=parts.DARK)
    return base


def _add_links(spec: mujoco.MjSpec, body: mujoco.MjsBody, arm: Arm):
    """Rods from the base outwards; returns the body of the last one and the position of its far end."""
    near_end: parts.Point = (0, 0, 0)
    number = 0
    for index, link in enumerate(arm.links):
        body = body.add_body(name=f"link {index}", pos=near_end, gravcomp=1)
        for hinge in link.hinges:
            damping = hinge.torque / TOP_SPEED
            parts.joint(
                body, f"hinge {number}", AXES[hinge.axis], limits=hinge.limits, damping=damping, armature=damping * LAG
            )  # fmt: skip
            parts.motor(spec, f"hinge {number}", hinge.torque)
            number += 1
        near_end = (link.length, 0, 0)
        parts.capsule(body, (0, 0, 0), near_end, 0.02, parts.DARK if index % 2 else parts.ROBOT, density=500)
    return body, np.array(near_end, float)


def _add_tip(spec: mujoco.MjSpec, body: mujoco.MjsBody, far_end: np.ndarray, arm: Arm) -> None:
    body.add_site(name="hand", pos=far_end, size=[0.025, 0, 0], rgba=parts.SECOND)


def _add_gripper(spec: mujoco.MjSpec, body: mujoco.MjsBody, far_end: np.ndarray, arm: Arm) -> None:
    """A palm with two fingers that close along y (z, in a vertical plane) and spring open; the hand is between them."""
    side = np.array(AXES["z" if arm.space == "xz" else "y"])
    parts.capsule(
        body, far_end - 0.07 * side, far_end + 0.07 * side, 0.012, parts.SECOND, density=200, **TOOL
    )
    for name, sign in (("left", 1), ("right", -1)):
        finger = body.add_body(name=name, pos=far_end + 0.075 * sign * side, gravcomp=1)
        parts.joint(
            finger, f"finger {name}", -sign * side, slide=True, limits=(0, 0.065), damping=8, stiffness=10, armature=0.1
        )  # fmt: skip
        parts.capsule(
            finger, (0, 0, 0), (0.09, 0, 0), 0.012, parts.SECOND, density=200, friction=[1.5, 0.01, 0.001], **TOOL
        )  # fmt: skip
        if not arm.one_motor:
            parts.motor(spec, f"finger {name}", 4)
    if arm.one_motor:
        tendon = spec.add_tendon(name="fingers")
        tendon.wrap_joint("finger left", 1)
        tendon.wrap_joint("finger right", 1)
        spec.add_actuator(
            name="fingers", target="fingers", trntype=mujoco.mjtTrn.mjTRN_TENDON, gear=[4, 0, 0, 0, 0, 0],
            ctrllimited=True, ctrlrange=[-1, 1],
        )  # fmt: skip
    body.add_site(name="hand", pos=far_end + np.array([PALM_TO_HAND, 0, 0]), rgba=[0, 0, 0, 0])


def _add_stick(spec: mujoco.MjSpec, body: mujoco.MjsBody, far_end: np.ndarray, arm: Arm) -> None:
    """A hockey stick along the last link, with a blade across; the hand is the blade's middle."""
    blade = far_end + np.array([0.06 if arm.space == "xy" else 0.45, 0, 0])
    half = 0.06 * np.array(AXES["y"])
    parts.capsule(body, far_end, blade, 0.012, parts.SECOND, density=200)
    parts.capsule(
        body, blade - half, blade + half, 0.015, parts.SECOND, density=200,
        friction=[0.05, 0, 0], priority=1, **TOOL,
    )  # fmt: skip
    body.add_site(name="hand", pos=blade, rgba=[0, 0, 0, 0])


def _add_payload(spec: mujoco.MjSpec, payload: Payload, on_floor: bool) -> None:
    # 2 mm above the floor: the damping of the slides takes the place of friction.
    body = spec.worldbody.add_body(name="payload", pos=[0, 0, (payload.size + 0.002) * on_floor])
    for axis in payload.slides:
        parts.joint(body, f"payload {axis}", AXES[axis], slide=True, damping=payload.drag * payload.mass)
    if payload.turns:
        parts.joint(body, "payload turn", AXES[payload.turns], damping=1e-4)
    if not payload.slides:
        body.add_freejoint(name="payload")
    shape = GEOM.mjGEOM_BOX if payload.shape == "block" else GEOM.mjGEOM_SPHERE
    body.add_geom(type=shape, size=[payload.size] * 3, mass=payload.mass, rgba=parts.OBJECT, **LOOSE)
    body.add_site(name="payload", rgba=[0, 0, 0, 0])


def _add_target(spec: mujoco.MjSpec, arm: Arm) -> None:
    """A ball without contact, which nothing moves once an episode has started."""
    body = spec.worldbody.add_body(name="target", pos=arm.target, gravcomp=1)
    for axis in arm.target_slides:
        parts.joint(body, f"target {axis}", AXES[axis], slide=True, damping=100)
    body.add_geom(type=GEOM.mjGEOM_SPHERE, size=[0.04, 0, 0], rgba=[*parts.TARGET[:3], 0.5], **AIR)
    body.add_site(name="target", rgba=[0, 0, 0, 0])


def _add_sensors(spec: mujoco.MjSpec, arm: Arm) -> None:
    names = [joint.name for joint in spec.joints]
    for group, position, speed in (
        ("hinge", "angle", "speed"), ("base", "base", "base speed"), ("finger", "finger", "finger speed")
    ):  # fmt: skip
        joints = [name for name in names if name.startswith(group)]
        parts.sense_joints(spec, position, joints)
        parts.sense_joints(spec, speed, joints, velocity=True)
    for site in ("hand", "payload", "target") if arm.payload else ("hand", "target"):
        parts.sense_frame(spec, site, SENSOR.mjSENS_FRAMEPOS, site)
    if arm.tool == "gripper":
        parts.sense_frame(spec, "hand axis", SENSOR.mjSENS_FRAMEXAXIS, "hand")
    if arm.payload:
        parts.sense_frame(spec, "payload velocity", SENSOR.mjSENS_FRAMELINVEL, "payload")
        if arm.payload.shape == "block":
            parts.sense_frame(spec, "payload axis", SENSOR.mjSENS_FRAMEXAXIS, "payload")
            parts.sense_frame(spec, "payload spin", SENSOR.mjSENS_FRAMEANGVEL, "payload")
