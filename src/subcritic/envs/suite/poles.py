"""A pendulum, carts, and carts with poles."""

from __future__ import annotations

import mujoco
import numpy as np

from subcritic.envs.suite.task import Component, Task


def _pendulum_model() -> mujoco.MjSpec:
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.timestep = 0.01
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.worldbody.add_light(pos=[0, -2, 3], dir=[0, 0.6, -1])
    spec.worldbody.add_camera(name="view", pos=[0, -2.6, 0], xyaxes=[1, 0, 0, 0, 0, 1])
    pole = spec.worldbody.add_body(name="pole")
    pole.add_joint(name="hinge", axis=[0, 1, 0], damping=[0.05, 0, 0])
    pole.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        fromto=[0, 0, 0, 0, 0, 0.5],
        size=[0.03, 0, 0],
        rgba=[0.2, 0.4, 0.8, 1],
    )
    pole.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, pos=[0, 0, 0.5], size=[0.07, 0, 0], mass=1.0)
    spec.add_actuator(
        name="torque", target="hinge", trntype=mujoco.mjtTrn.mjTRN_JOINT, gear=[2, 0, 0, 0, 0, 0],
        ctrllimited=True, ctrlrange=[-1, 1],
    )  # fmt: skip
    for name, kind in (
        ("angle", mujoco.mjtSensor.mjSENS_JOINTPOS),
        ("speed", mujoco.mjtSensor.mjSENS_JOINTVEL),
    ):
        spec.add_sensor(name=name, type=kind, objtype=mujoco.mjtObj.mjOBJ_JOINT, objname="hinge")
    return spec


def _observe_pendulum(readings):
    angle = readings["angle"]
    return np.concatenate([np.cos(angle), np.sin(angle), readings["speed"] / 5], axis=-1)


def _pendulum_reward(readings, action):
    upright = (1 + np.cos(readings["angle"][..., 0])) / 2
    return upright - 0.01 * np.square(action).sum(axis=-1)


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

TASKS = (PENDULUM,)
