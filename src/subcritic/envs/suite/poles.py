"""A pendulum, and a cart on a rail with poles, in parallel or in series."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import mujoco
import numpy as np

from subcritic.envs.suite import parts
from subcritic.envs.suite.rewards import effort, near
from subcritic.envs.suite.task import Component, Task

RAIL = 1.8
LEANING = 0.6


def _pendulum_model() -> mujoco.MjSpec:
    spec = parts.scene(timestep=0.01, camera=(0, -2.2, 0), floor=-0.9)
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE, pos=[0, 0, 0.5], size=[0.09, 0, 0], contype=0, conaffinity=0,
        rgba=(*parts.TARGET[:3], 0.35),
    )  # fmt: skip
    pole = spec.worldbody.add_body(name="pole")
    parts.joint(pole, "hinge", axis=(0, 1, 0), damping=0.05)
    parts.capsule(pole, (0, 0, 0), (0, 0, 0.5), 0.03)
    pole.add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE, pos=[0, 0, 0.5], size=[0.07, 0, 0], mass=1.0, rgba=parts.ROBOT
    )
    parts.motor(spec, "hinge", 2.0)
    parts.sense_joints(spec, "angle", ["hinge"])
    parts.sense_joints(spec, "speed", ["hinge"], velocity=True)
    return spec


def _observe_pendulum(readings):
    angle = readings["angle"]
    return np.concatenate([np.cos(angle), np.sin(angle), readings["speed"] / 5], axis=-1)


def _pendulum_reward(readings, action):
    """Height of the tip, from 0 (hanging) to 1 (upright), − 0.01 · effort."""
    upright = (1 + np.cos(readings["angle"][..., 0])) / 2
    return upright - 0.01 * effort(action)


PENDULUM = Task(
    paper="pendulum",
    name="PendulumSwingUp",
    summary="torque-limited swing-up and balance",
    model=_pendulum_model,
    start=lambda model, rng: (np.array([np.pi + rng.uniform(-0.1, 0.1)]), rng.uniform(-0.1, 0.1, 1)),
    components=(
        Component("cosine and sine of the angle", 2, "1"),
        Component("angular velocity", 1, "5 rad/s"),
    ),
    observe=_observe_pendulum,
    reward=_pendulum_reward,
    control_seconds=0.04,
    episode_steps=200,
)


@dataclass(frozen=True)
class Poles:
    """The cart and the chains of poles on it, each a tuple of lengths (m) from the cart outwards.

    force: of the cart's motor (N). damping: of the hinges (N m s). spread: largest random deviation of hinge angles (rad)
    and of all velocities at the start.
    """

    chains: tuple[tuple[float, ...], ...] = ()
    force: float = 10.0
    timestep: float = 0.01
    damping: float = 0.02
    spread: float = 0.05

    @property
    def count(self) -> int:
        return sum(map(len, self.chains))

    @property
    def hinges(self) -> list[str]:
        return [f"hinge{number}" for number in range(self.count)]


def _cart_model(poles: Poles) -> mujoco.MjSpec:
    tallest = max(map(sum, poles.chains), default=0.0)
    spec = parts.scene(poles.timestep, camera=(0, -4.7 - 0.5 * tallest, 0.4 * tallest), floor=-0.75)
    parts.capsule(spec.worldbody, (-RAIL, 0, 0), (RAIL, 0, 0), 0.02, parts.DARK)
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX, pos=[0, 0.03, -0.22], size=[0.04, 0.02, 0.1], contype=0, conaffinity=0,
        rgba=parts.TARGET,
    )  # fmt: skip
    cart = spec.worldbody.add_body(name="cart")
    parts.joint(cart, "slide", axis=(1, 0, 0), slide=True, limits=(-RAIL, RAIL), damping=0.1)
    cart.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.15, 0.08, 0.1],
        mass=1.0,
        contype=0,
        conaffinity=0,
        rgba=parts.ROBOT,
    )
    parts.motor(spec, "slide", poles.force)
    parts.sense_joints(spec, "place", ["slide"])
    parts.sense_joints(spec, "speed", ["slide"], velocity=True)
    hinges = iter(poles.hinges)
    for row, chain in enumerate(poles.chains):
        parent, top, depth = cart, 0.0, -0.12 * row
        for link, length in enumerate(chain):
            parent = parent.add_body(pos=[0, depth, top])
            name = next(hinges)
            parts.joint(parent, name, axis=(0, 1, 0), damping=poles.damping, armature=0.002)
            parts.capsule(
                parent,
                (0, 0, 0),
                (0, 0, length),
                0.035,
                (parts.SECOND, parts.ROBOT)[(row + link) % 2],
                mass=0.3 * length,
            )
            parent.add_site(name=name)
            depth, top = 0.0, length
    for name in poles.hinges:
        parts.sense_frame(spec, f"axes/{name}", mujoco.mjtSensor.mjSENS_FRAMEZAXIS, name)
    for name in poles.hinges:
        parts.sense_frame(spec, f"spins/{name}", mujoco.mjtSensor.mjSENS_FRAMEANGVEL, name)
    return spec


def _start(poles: Poles, lean: float, model, rng):
    """Poles at the angle `lean` (0: upright), with a small random deviation of every joint."""
    place, speed = rng.uniform(-0.1, 0.1, model.nq), rng.uniform(-poles.spread, poles.spread, model.nv)
    first = np.cumsum([1, *map(len, poles.chains[:-1])]).astype(int)
    place[1:] *= poles.spread / 0.1
    place[first] += lean
    return place, speed


def _cart_position(readings):
    """(...), m."""
    return readings["place"][..., 0]


def _cart_velocity(readings):
    """(...), m/s."""
    return readings["speed"][..., 0]


def _sines(readings):
    """Sine of every pole's angle to the vertical, (..., poles)."""
    return readings["axes"][..., 0::3]


def _cosines(readings):
    """Cosine of every pole's angle to the vertical, (..., poles)."""
    return readings["axes"][..., 2::3]


def _angular_velocities(readings):
    """Of every pole, about the hinges' axis y, (..., poles), rad/s."""
    return readings["spins"][..., 1::3]


def _observe_cart(readings):
    return np.concatenate(
        [
            readings["place"],
            readings["speed"] / 2,
            _sines(readings),
            _cosines(readings),
            _angular_velocities(readings) / 5,
        ],
        axis=-1,
    )


def _upright_reward(readings, action):
    """Mean height of the poles, from 0 (hanging) to 1 (upright), × 1/(1 + (cart position / 2 m)²) − 0.01 · effort."""
    upright = (1 + _cosines(readings).mean(axis=-1)) / 2
    # Wide, so that catching the pole is rewarded wherever the cart is; with a narrow width, planners never caught it.
    centred = near(_cart_position(readings), 2.0)
    return upright * centred - 0.01 * effort(action)


def _balance_reward(readings, action):
    """1/(1 + mean of ((sine of a pole's angle + 0.3 s · its angular velocity) / 0.2)² + (cart position / 1 m)²)
    − 0.01 · effort.
    """
    # The lean 0.3 s ahead, so that planners with a short horizon act before a pole has fallen.
    leaning = _sines(readings) + 0.3 * _angular_velocities(readings)
    away = np.square(leaning / 0.2).mean(axis=-1) + np.square(_cart_position(readings))
    return 1 / (1 + away) - 0.01 * effort(action)


def _steady_reward(readings, action):
    """1/(1 + (sine of the pole's angle / 0.5)² + ((cart position + 0.6 s · velocity) / 1 m)²) − 0.01 · effort."""
    # The position 0.6 s ahead: stopping a moving cart takes longer than the planners' horizon.
    position = _cart_position(readings) + 0.6 * _cart_velocity(readings)
    leaning = np.linalg.norm(_sines(readings), axis=-1)
    return near(np.hypot(position, leaning / 0.5), 1.0) - 0.01 * effort(action)


def _has_fallen(readings, action):
    return (_cosines(readings) < np.cos(LEANING)).any(axis=-1)


def _pole_components(count: int) -> tuple[Component, ...]:
    return (
        Component("cart position", 1, "m"),
        Component("cart velocity", 1, "2 m/s"),
        Component("sines of the poles' angles to the vertical", count, "1"),
        Component("cosines of the poles' angles to the vertical", count, "1"),
        Component("angular velocities of the poles", count, "5 rad/s"),
    )


def _swing_up(paper: str, name: str, summary: str, poles: Poles, **settings) -> Task:
    return Task(
        paper=paper,
        name=name,
        summary=summary,
        model=partial(_cart_model, poles),
        start=partial(_start, poles, np.pi),
        components=_pole_components(poles.count),
        observe=_observe_cart,
        reward=_upright_reward,
        **settings,
    )


def _balance(paper: str, name: str, summary: str, poles: Poles, **settings) -> Task:
    task = _swing_up(paper, name, summary, poles, **settings)
    return replace(
        task,
        start=partial(_start, poles, 0.0),
        reward=_balance_reward,
        terminated=_has_fallen,
        ending=f"a pole leans more than {LEANING} rad",
    )


def _observe_mass(readings):
    return np.concatenate([readings["place"], readings["speed"] / 2], axis=-1)


def _rest_reward(readings, action):
    """½/(1 + (position / 0.3 m)²) + ½/(1 + (position² + (0.5 s · velocity)²) / (0.1 m)²) − 0.01 · effort."""
    position, velocity = _cart_position(readings), _cart_velocity(readings)
    there, at_rest = near(position, 0.3), near(np.hypot(position, velocity / 2), 0.1)
    return 0.5 * there + 0.5 * at_rest - 0.01 * effort(action)


CART = Task(
    paper="cart",
    name="CartRest",
    summary="bring a simple mass to rest at 0 from a random position and velocity",
    model=partial(_cart_model, Poles(force=4.0)),
    start=lambda model, rng: (rng.uniform(-1.5, 1.5, 1), rng.uniform(-1.0, 1.0, 1)),
    components=(Component("position", 1, "m"), Component("velocity", 1, "2 m/s")),
    observe=_observe_mass,
    reward=_rest_reward,
    control_seconds=0.04,
    episode_steps=150,
)
CARTPOLE = _swing_up(
    "cartpole", "CartpoleSwingUp", "swing-up: the pole starts hanging down; force on the cart only",
    Poles(((0.6,),)), control_seconds=0.04, episode_steps=200,
)  # fmt: skip
CARTPOLE_BALANCE = replace(
    _balance(
        "cartpoleBalance", "CartpoleBalance", "balance: the pole starts upright; force on the cart only",
        Poles(((0.6,),)), control_seconds=0.04, episode_steps=200,
    ),
    reward=_steady_reward,
)  # fmt: skip
CARTPOLE_PARALLEL_DOUBLE = _balance(
    "cartpoleParallelDouble", "CartpoleParallelDouble", "two poles both attached to the cart are kept upright",
    Poles(((1.2,), (0.5,)), damping=0.5, spread=0.02), control_seconds=0.02, episode_steps=250,
)  # fmt: skip
CARTPOLE_SERIAL_DOUBLE = _balance(
    "cartpoleSerialDouble", "CartpoleSerialDouble", "two poles in series are kept upright",
    Poles(((1.0, 1.0),), damping=0.05, spread=0.02), control_seconds=0.02, episode_steps=250,
)  # fmt: skip
CARTPOLE_SERIAL_TRIPLE = _balance(
    "cartpoleSerialTriple", "CartpoleSerialTriple", "three poles in series are kept upright",
    Poles(((0.6, 0.6, 0.6),), timestep=0.005, damping=0.5, spread=0.02), control_seconds=0.02, episode_steps=250,
)  # fmt: skip

TASKS = (
    PENDULUM,
    CART,
    CARTPOLE,
    CARTPOLE_BALANCE,
    CARTPOLE_PARALLEL_DOUBLE,
    CARTPOLE_SERIAL_DOUBLE,
    CARTPOLE_SERIAL_TRIPLE,
)
