"""Bodies with legs: cheetahs and a walker that run, a hopper and a quadruped that balance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import mujoco
import numpy as np

from subcritic.envs.suite import parts
from subcritic.envs.suite.rewards import effort, near
from subcritic.envs.suite.task import Component, Task

SENSOR = mujoco.mjtSensor
FALL = 2.0


@dataclass(frozen=True)
class Link:
    """A link of a leg: a hinge, and a capsule from it to `end`, where the next hinge or the tip of the foot is."""

    name: str
    end: tuple[float, float, float]
    limits: tuple[float, float]
    strength: float
    stiffness: float = 0.0
    damping: float = 1.0
    axis: tuple[float, float, float] = (0, 1, 0)
    radius: float = 0.045


@dataclass(frozen=True)
class Leg:
    at: tuple[float, float, float]
    links: tuple[Link, ...]
    colour: tuple[float, ...] = parts.ROBOT


@dataclass(frozen=True)
class Body:
    """A trunk of capsules (start, end, radius) with legs; moves in the x-z plane, or freely. It starts at `height`."""

    trunk: tuple[tuple, ...]
    legs: tuple[Leg, ...]
    height: float
    density: float
    planar: bool = True
    armature: float = 0.05
    timestep: float = 0.01
    camera: tuple[float, float, float] = (0, -3.2, 0.1)

    @property
    def joints(self) -> list[str]:
        return [link.name for leg in self.legs for link in leg.links]


def model(body: Body) -> mujoco.MjSpec:
    """The body on the ground, with sensors of its trunk, joints and feet; it collides with the ground only."""
    spec = parts.scene(body.timestep, body.camera)
    spec.geom("floor").conaffinity = 1
    trunk = spec.worldbody.add_body(name="trunk", pos=[0, 0, body.height])
    if body.planar:
        parts.joint(trunk, "x", axis=(1, 0, 0), slide=True)
        parts.joint(trunk, "z", axis=(0, 0, 1), slide=True)
        parts.joint(trunk, "pitch", axis=(0, 1, 0))
    else:
        trunk.add_freejoint(name="root")
    for start, end, radius in body.trunk:
        parts.capsule(trunk, start, end, radius, parts.DARK, contype=1, density=body.density)
    trunk.add_site(name="trunk")
    spec.delete(spec.camera("view"))
    trunk.add_camera(
        name="view", pos=body.camera, xyaxes=[1, 0, 0, 0, 0, 1], mode=mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM
    )
    feet = [_add_leg(spec, trunk, body, leg) for leg in body.legs]
    parts.sense_frame(spec, "place", SENSOR.mjSENS_FRAMEPOS, "trunk")
    parts.sense_frame(spec, "up", SENSOR.mjSENS_FRAMEZAXIS, "trunk")
    moving = SENSOR.mjSENS_FRAMELINVEL if body.planar else SENSOR.mjSENS_VELOCIMETER
    parts.sense_frame(spec, "velocity", moving, "trunk")
    parts.sense_frame(spec, "turning", SENSOR.mjSENS_GYRO, "trunk")
    parts.sense_joints(spec, "angles", body.joints)
    parts.sense_joints(spec, "spins", body.joints, velocity=True)
    for foot in feet:
        parts.sense_frame(spec, f"feet/{foot}", SENSOR.mjSENS_FRAMEPOS, foot)
    for foot in feet:
        parts.sense_frame(spec, f"feet_velocity/{foot}", SENSOR.mjSENS_FRAMELINVEL, foot)
    return spec


def _add_leg(spec, trunk, body: Body, leg: Leg) -> str:
    parent, place = trunk, leg.at
    for link in leg.links:
        parent = parent.add_body(pos=place)
        parts.joint(
            parent, link.name, link.axis, limits=link.limits, damping=link.damping, stiffness=link.stiffness,
            armature=body.armature,
        )  # fmt: skip
        parts.capsule(
            parent,
            (0, 0, 0),
            link.end,
            link.radius,
            leg.colour,
            contype=1,
            density=body.density,
            friction=[0.9, 0.005, 0.0001],
        )
        parts.motor(spec, link.name, link.strength)
        place = link.end
    foot = f"{leg.links[-1].name}_tip"
    parent.add_site(name=foot, pos=place)
    return foot


def _start(spread: float, model, rng):
    """Standing, with a small random deviation of every joint and velocity, but not of the trunk's position."""
    place, speed = model.qpos0.copy(), rng.uniform(-spread, spread, model.nv)
    root = model.nq - model.nu
    place[root:] += rng.uniform(-spread, spread, model.nu)
    return place, speed


def impact(readings):
    """Strength of the feet's impacts: mean squared downward velocity, (m/s)², weighted by closeness to the ground.

    It uses the velocity just before contact, not the contact force, which MuJoCo reports one substep later.
    """
    height, speed = readings["feet"][..., 2::3], readings["feet_velocity"][..., 2::3]
    return (near(height, 0.1) * np.square(np.minimum(speed, 0))).mean(axis=-1)


def _observe_planar(readings):
    return np.concatenate(
        [
            readings["place"][..., 2:],
            readings["up"][..., 0::2],
            readings["angles"],
            readings["velocity"][..., 0::2] / 2,
            readings["turning"][..., 1:2] / 5,
            readings["spins"] / 10,
        ],
        axis=-1,
    )


def _planar_components(body: Body) -> tuple[Component, ...]:
    joints = len(body.joints)
    return (
        Component("height of the trunk", 1, "m"),
        Component("sine and cosine of the trunk's pitch", 2, "1"),
        Component("joint angles", joints, "rad"),
        Component("forward and upward velocity of the trunk", 2, "2 m/s"),
        Component("pitch rate of the trunk", 1, "5 rad/s"),
        Component("joint velocities", joints, "10 rad/s"),
    )


CHEETAH_LEGS = (
    Leg((-0.5, 0, 0), (
        Link("hind_thigh", (0.14, 0, -0.27), (-0.6, 1.0), 100, 200, 5),
        Link("hind_shin", (-0.22, 0, -0.20), (-0.8, 0.8), 80, 150, 4),
        Link("hind_foot", (0.15, 0, -0.12), (-0.5, 0.8), 50, 100, 3),
    )),
    Leg((0.5, 0, 0), (
        Link("front_thigh", (-0.12, 0, -0.25), (-1.0, 0.7), 100, 150, 4),
        Link("front_shin", (0.17, 0, -0.17), (-1.2, 0.8), 60, 100, 3),
        Link("front_foot", (0.03, 0, -0.17), (-0.5, 0.5), 30, 50, 1.5),
    ), parts.SECOND),
)  # fmt: skip
CHEETAH = Body(
    trunk=(((-0.5, 0, 0), (0.5, 0, 0), 0.06), ((0.5, 0, 0), (0.68, 0, 0.18), 0.06)),
    legs=CHEETAH_LEGS,
    height=0.64,
    density=600,
)


def _without_springs(body: Body) -> Body:
    legs = tuple(
        replace(leg, links=tuple(replace(link, stiffness=0.0) for link in leg.links)) for leg in body.legs
    )
    return replace(body, legs=legs)


def _on_its_back(readings, action):
    return readings["up"][..., 2] < -0.3


def _gallop_reward(readings, action):
    """Forward velocity / 4 m/s × cosine of the trunk's pitch (at least 0) − 0.05 · effort − 0.02 · impact,
    and −2 for a fall.
    """
    speed = readings["velocity"][..., 0] * np.maximum(readings["up"][..., 2], 0)
    fall = FALL * _on_its_back(readings, action)
    return speed / 4 - 0.05 * effort(action) - 0.02 * impact(readings) - fall


def _has_tipped_over(readings, action):
    return readings["up"][..., 2] < 0.4


def _carried_gallop_reward(readings, action):
    """As Cheetah, but forward velocity × (height of the trunk's lower end − 0.1 m) / 0.35 m, this factor within 0 and 1."""
    # Without springs, the fastest motion that planners find is on the nose; so speed is weighted by height.
    lowest = readings["place"][..., 2] - 0.5 * np.abs(readings["up"][..., 0])
    speed = readings["velocity"][..., 0] * np.maximum(readings["up"][..., 2], 0)
    speed = np.where(speed > 0, speed * np.clip((lowest - 0.1) / 0.35, 0, 1), speed)
    fall = FALL * _has_tipped_over(readings, action)
    return speed / 4 - 0.05 * effort(action) - 0.02 * impact(readings) - fall


def _cheetah(paper: str, name: str, summary: str, body: Body, **more) -> Task:
    running = Task(
        paper=paper,
        name=name,
        summary=summary,
        model=partial(model, body),
        start=partial(_start, 0.1),
        components=_planar_components(body),
        observe=_observe_planar,
        reward=_gallop_reward,
        terminated=_on_its_back,
        ending="the cheetah lies on its back",
        control_seconds=0.05,
        episode_steps=200,
    )
    return replace(running, **more)


RUNNING_CHEETAH = _cheetah("cheetah", "Cheetah", "planar cheetah runs forward as fast as possible", CHEETAH)
HARD_CHEETAH = _cheetah(
    "hardCheetah",
    "HardCheetah",
    "planar cheetah without the stabilising joint stiffness runs forward",
    _without_springs(CHEETAH),
    reward=_carried_gallop_reward,
    terminated=_has_tipped_over,
    ending="the trunk pitches more than 66°",
)


def _walker_leg(side: str, depth: float, colour) -> Leg:
    return Leg((0, depth, -0.3), (
        Link(f"{side}_hip", (0, 0, -0.42), (-1.7, 0.6), 80, radius=0.05),
        Link(f"{side}_knee", (0, 0, -0.42), (-0.05, 2.4), 80, radius=0.04),
        Link(f"{side}_ankle", (0.2, 0, -0.03), (-0.8, 0.8), 30, radius=0.05),
    ), colour)  # fmt: skip


WALKER = Body(
    trunk=(((0, 0, -0.3), (0, 0, 0.3), 0.07),),
    legs=(_walker_leg("left", 0.06, parts.ROBOT), _walker_leg("right", -0.06, parts.SECOND)),
    height=1.22,
    density=1000,
    timestep=0.005,
    camera=(0, -3.2, -0.2),
)


def _walker_has_fallen(readings, action):
    return (readings["place"][..., 2] < 0.8) | (readings["up"][..., 2] < np.cos(1.0))


def _walk_reward(readings, action):
    """Forward velocity / 4 m/s + ¼ · cosine of the pitch − 0.05 · effort − 0.02 · impact, and −2 for a fall."""
    speed, upright = readings["velocity"][..., 0], readings["up"][..., 2]
    fall = FALL * _walker_has_fallen(readings, action)
    return speed / 4 + 0.25 * upright - 0.05 * effort(action) - 0.02 * impact(readings) - fall


WALKING = Task(
    paper="walker2d",
    name="Walker",
    summary="planar biped walks forward fast without falling or pitching its torso too far",
    model=partial(model, WALKER),
    start=partial(_start, 0.05),
    components=_planar_components(WALKER),
    observe=_observe_planar,
    reward=_walk_reward,
    terminated=_walker_has_fallen,
    ending="the trunk is lower than 0.8 m, or pitches more than 1 rad",
    control_seconds=0.02,
    episode_steps=250,
)

HOPPER = Body(
    trunk=(((0, 0, 0), (0, 0, 0.4), 0.07),),
    legs=(
        Leg((0, 0, 0), (
            Link("waist", (0, 0, -0.2), (-0.8, 0.8), 80, damping=12, radius=0.07),
            Link("hip", (0.15, 0, -0.36), (-1.5, 0.8), 80, damping=12, radius=0.05),
            Link("knee", (-0.12, 0, -0.36), (-1.0, 1.5), 80, damping=12, radius=0.045),
            Link("ankle", (0.28, 0, -0.04), (-0.7, 0.7), 40, damping=12, radius=0.05),
        )),
    ),
    height=1.01,
    density=1000,
    timestep=0.005,
    camera=(0, -3.2, -0.2),
)  # fmt: skip


def _standing(body: Body, readings):
    """1 for an upright trunk at its starting height, less when it tilts or sinks."""
    upright = np.maximum(readings["up"][..., 2], 0)
    return upright * near(np.minimum(readings["place"][..., 2] - body.height, 0), 0.25)


def _has_fallen(body: Body, readings, action):
    return (readings["place"][..., 2] < 0.7 * body.height) | (readings["up"][..., 2] < np.cos(0.8))


def _stand_reward(body: Body, readings, action):
    """Cosine of the trunk's tilt (at least 0) × 1/(1 + (height lost / 0.25 m)²) × 1/(1 + (speed / 1 m/s)²) − 0.05 · effort
    − 0.02 · impact, and −2 for a fall.
    """
    slow = near(np.linalg.norm(readings["velocity"], axis=-1), 1.0)
    fall = FALL * _has_fallen(body, readings, action)
    return _standing(body, readings) * slow - 0.05 * effort(action) - 0.02 * impact(readings) - fall


def _balance(body: Body, **settings) -> Task:
    return Task(
        model=partial(model, body),
        start=partial(_start, 0.05),
        reward=partial(_stand_reward, body),
        terminated=partial(_has_fallen, body),
        ending=f"the trunk is lower than {0.7 * body.height:.2f} m, or tilts more than 0.8 rad",
        control_seconds=0.02,
        episode_steps=250,
        **settings,
    )


HOPPER_BALANCE = _balance(
    HOPPER,
    paper="hopper",
    name="HopperBalance",
    summary="balance a multi-DOF monopod and keep it from falling",
    components=_planar_components(HOPPER),
    observe=_observe_planar,
)


def _quadruped_leg(name: str, x: float, y: float, colour) -> Leg:
    knees = -1 if x > 0 else 1
    outwards = 0.08 if y > 0 else -0.08
    return Leg((x, y, 0), (
        Link(f"{name}_roll", (0, outwards, 0), (-0.8, 0.8), 60, damping=2, axis=(1, 0, 0), radius=0.05),
        Link(f"{name}_hip", (knees * 0.15, 0, -0.31), (-1.0, 1.0), 100, damping=2, radius=0.04),
        Link(f"{name}_knee", (-knees * 0.15, 0, -0.31), (-1.2, 1.2), 100, damping=2, radius=0.035),
    ), colour)  # fmt: skip


QUADRUPED = Body(
    trunk=(((-0.45, 0, 0), (0.45, 0, 0), 0.12),),
    legs=(
        _quadruped_leg("front_left", 0.37, 0.15, parts.ROBOT),
        _quadruped_leg("front_right", 0.37, -0.15, parts.ROBOT),
        _quadruped_leg("hind_left", -0.37, 0.15, parts.SECOND),
        _quadruped_leg("hind_right", -0.37, -0.15, parts.SECOND),
    ),
    height=0.67,
    density=700,
    planar=False,
    timestep=0.005,
)


def _observe_free(readings):
    return np.concatenate(
        [
            readings["place"][..., 2:],
            readings["up"],
            readings["angles"],
            readings["velocity"] / 2,
            readings["turning"] / 5,
            readings["spins"] / 10,
        ],
        axis=-1,
    )


QUADRUPED_STAND = _balance(
    QUADRUPED,
    paper="hyq",
    name="QuadrupedStand",
    summary="keep a quadruped modelled on HyQ from falling",
    components=(
        Component("height of the trunk", 1, "m"),
        Component("the trunk's upward axis", 3, "1"),
        Component("joint angles", 12, "rad"),
        Component("velocity of the trunk in its own frame", 3, "2 m/s"),
        Component("angular velocity of the trunk in its own frame", 3, "5 rad/s"),
        Component("joint velocities", 12, "10 rad/s"),
    ),
    observe=_observe_free,
)

TASKS = (RUNNING_CHEETAH, HARD_CHEETAH, WALKING, HOPPER_BALANCE, QUADRUPED_STAND)
