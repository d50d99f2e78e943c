"""The declaration of a task of the suite: model, start states, observations, reward and termination."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

# Sensor name → its values, (..., size). The leading axes are empty for one state, plans × steps for a planner.
Readings = Mapping[str, NDArray]


@dataclass(frozen=True)
class Component:
    """A part of the observation vector: its description, its number of entries, and the unit it is divided by."""

    name: str
    size: int
    unit: str


@dataclass(frozen=True)
class Task:
    """A row of Lillicrap et al. 2016, Table 2, as a MuJoCo task; actions are in [-1, 1] for every actuator.

    paper: the row's name in the table. name: the task is registered as `subcritic/<name>-v0`.
    model: builds the model; rewards and observations read its sensors and nothing else.
    start: (model, rng) → qpos (nq,), qvel (nv,) of a new episode.
    observe: readings → (..., observation size), in the order of `components`.
    reward, terminated: pure functions (readings, action (..., nu)) → (...); planners call the same functions. The
    docstring of `reward`, or of the function in a partial, is its description in the documentation.
    control_seconds: duration of an action, a multiple of the model's timestep. episode_steps: actions per episode.
    camera: name of the model's camera that `render` uses.
    ending: termination in words, for the documentation.
    """

    paper: str
    name: str
    summary: str
    model: Callable[[], mujoco.MjSpec]
    start: Callable[[mujoco.MjModel, np.random.Generator], tuple[NDArray, NDArray]]
    components: tuple[Component, ...]
    observe: Callable[[Readings], NDArray]
    reward: Callable[[Readings, NDArray], NDArray]
    terminated: Callable[[Readings, NDArray], NDArray] | None = None
    control_seconds: float = 0.02
    episode_steps: int = 250
    camera: str = "view"
    ending: str = "never"

    @property
    def id(self) -> str:
        return f"subcritic/{self.name}-v0"


class SensorLayout:
    """Where each sensor of a model is in its sensor data; consecutive sensors named `group/…` are read as one, `group`."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self.slices: dict[str, slice] = {}
        for i in range(model.nsensor):
            start = int(model.sensor_adr[i])
            stop = start + int(model.sensor_dim[i])
            name = model.sensor(i).name.partition("/")[0]
            before = self.slices.get(name, slice(start, start))
            if before.stop != start:
                raise ValueError(f"the sensors of {name!r} do not follow each other")
            self.slices[name] = slice(before.start, stop)

    def readings(self, sensordata: NDArray) -> dict[str, NDArray]:
        """Views of sensor data (..., nsensordata) by sensor name."""
        return {name: sensordata[..., where] for name, where in self.slices.items()}
