"""Parts that models of the suite are built from: scene, capsules, joints, motors, sensors; in metres, radians, seconds."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

ROBOT, SECOND, DARK = (0.16, 0.42, 0.80, 1), (0.10, 0.65, 0.62, 1), (0.25, 0.27, 0.30, 1)
TARGET, OBJECT = (0.18, 0.70, 0.25, 1), (0.95, 0.55, 0.10, 1)

Point = Sequence[float] | NDArray[np.float64]


def scene(timestep: float, camera: Point, floor: float = 0.0) -> mujoco.MjSpec:
    """An empty world: light, a floor with a grid at height `floor`, without collisions, and a camera "view" that looks
    along +y from `camera`."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.timestep = timestep
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.visual.headlight.ambient = [0.4, 0.4, 0.4]
    spec.add_texture(
        name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.92, 0.95, 0.98], rgb2=[0.75, 0.82, 0.90], width=64, height=384,
    )  # fmt: skip
    spec.add_texture(
        name="grid", type=mujoco.mjtTexture.mjTEXTURE_2D, builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=[0.80, 0.80, 0.78], rgb2=[0.70, 0.70, 0.68], width=256, height=256,
    )  # fmt: skip
    grid = spec.add_material(name="grid", texrepeat=[1, 1], texuniform=True)
    grid.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "grid"
    # A large finite plane is drawn ten times as fast as an infinite one; for contacts it is infinite anyway.
    spec.worldbody.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, pos=[0, 0, floor], size=[120, 12, 1], material="grid",
        contype=0, conaffinity=0,
    )  # fmt: skip
    spec.worldbody.add_light(
        pos=[0, -2, 5], dir=[0, 0.3, -1], type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, castshadow=False
    )
    spec.worldbody.add_camera(name="view", pos=camera, xyaxes=[1, 0, 0, 0, 0, 1])
    return spec


def capsule(body, start: Point, end: Point, radius: float, colour: Point = ROBOT, **settings):
    """A capsule from `start` to `end` in the body's frame; it collides with nothing unless `settings` say otherwise."""
    settings = {"contype": 0, "conaffinity": 0} | settings
    return body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        fromto=[*start, *end],
        size=[radius, 0, 0],
        rgba=colour,
        **settings,
    )


def joint(body, name: str, axis: Point, slide: bool = False, limits: Point | None = None,
          damping: float = 0.0, stiffness: float = 0.0, armature: float = 0.0):  # fmt: skip
    """A hinge, or a slide, with limits in radians (metres) and damping in N m s (N s/m)."""
    kind = mujoco.mjtJoint.mjJNT_SLIDE if slide else mujoco.mjtJoint.mjJNT_HINGE
    return body.add_joint(
        name=name, type=kind, axis=axis, damping=[damping, 0, 0], stiffness=[stiffness, 0, 0], armature=armature,
        limited=limits is not None, range=limits or (0, 0),
    )  # fmt: skip


def motor(spec: mujoco.MjSpec, target: str, strength: float) -> None:
    """A motor that acts on the joint `target` with up to ±`strength`, N m (N), for an action of ±1."""
    spec.add_actuator(
        name=target, target=target, trntype=mujoco.mjtTrn.mjTRN_JOINT, gear=[strength, 0, 0, 0, 0, 0],
        ctrllimited=True, ctrlrange=[-1, 1],
    )  # fmt: skip


def sense_joints(spec: mujoco.MjSpec, group: str, joints: Sequence[str], velocity: bool = False) -> None:
    """Sensors of the joints' positions (velocities), together `readings[group]` (..., number of joints)."""
    kind = mujoco.mjtSensor.mjSENS_JOINTVEL if velocity else mujoco.mjtSensor.mjSENS_JOINTPOS
    for name in joints:
        spec.add_sensor(name=f"{group}/{name}", type=kind, objtype=mujoco.mjtObj.mjOBJ_JOINT, objname=name)


def sense_frame(spec: mujoco.MjSpec, name: str, kind: mujoco.mjtSensor, site: str) -> None:
    """A sensor of a site's place, axis or velocity in the world; (..., 3)."""
    spec.add_sensor(name=name, type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=site)
