"""Environments whose observations are pictures: one after each of the steps for which an action is held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium.spaces import Box
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from subcritic.envs import display
from subcritic.envs.errors import UnusableEnvironment, blamed, said
from subcritic.envs.held import Held
from subcritic.envs.suite import SuiteEnvironment

# Of render_mode; environments of other packages draw arrays in this mode.
RGB = "rgb_array"
# The camera that follows the body, in models of Gymnasium's tasks.
FOLLOWING = "track"


class Pixels(Held):
    """Holds an action for `repeat` steps and observes the frame after each (Lillicrap et al. 2016, supplement).

    Observations are uint8 (size, size, 3 · repeat): RGB frames side by side in the last axis, oldest first. The reward is
    the sum over the steps. The first observation of an episode is one frame `repeat` times; if an episode ends within the
    steps of an action, its last frame is repeated. Time limits count the steps of the environment.

    What MuJoCo simulates is drawn at this size, without shadows: tasks of the suite, and environments whose `model` and
    `data` are MuJoCo's, such as Gymnasium's, through their camera `track` if there is one. (Several of Gymnasium's own
    renderers in one process draw wrong pictures.) Any other environment draws itself (`render_mode` must be `rgb_array`; a
    game of Atari shows its screen), and its picture is reduced by `Reduction`, also if it is no square.

    Raises UnusableEnvironment, naming `environment_id`, for an environment without pictures, here or when it first draws.
    """

    def __init__(self, env: gym.Env, environment_id: str, size: int, repeat: int) -> None:
        # Before Held, which would record its own arguments.
        RecordConstructorArgs.__init__(self, environment_id=environment_id, size=size, repeat=repeat)
        super().__init__(env, repeat)
        self.id, self.size = environment_id, size
        self.observation_space = Box(0, 255, (size, size, 3 * repeat), np.uint8)
        self._frames = np.zeros((size, size, repeat, 3), np.uint8)
        self._frame, self._close = self._camera()
        self._reduction: Reduction | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        _, information = self.env.reset(seed=seed, options=options)
        self._frames[:] = self._frame()[:, :, None]
        return self._observation(), information

    def step(self, action: np.ndarray):
        _, total, terminated, truncated, information = super().step(action)
        return self._observation(), total, terminated, truncated, information

    def played(self, number: int) -> None:
        self._frames[:, :, number:] = self._frame()[:, :, None]

    def close(self) -> None:
        self._close()
        super().close()

    def _observation(self) -> NDArray[np.uint8]:
        return self._frames.reshape(self.size, self.size, -1).copy()

    def _camera(self) -> tuple[Callable[[], NDArray[np.uint8]], Callable[[], None]]:
        """What draws a frame (size, size, 3), and what ends that."""
        shown: Any = self.env.unwrapped
        model, data = getattr(shown, "model", None), getattr(shown, "data", None)
        if not (isinstance(model, mujoco.MjModel) and isinstance(data, mujoco.MjData)):
            self._require_pictures()
            return self._rendered, lambda: None
        name = shown.task.camera if isinstance(shown, SuiteEnvironment) else FOLLOWING
        camera = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, name)
        try:
            renderer = display.renderer(model, self.size, self.size, plain=True)
        except display.NoPicture as error:
            raise UnusableEnvironment(f"{self.id!r} cannot be observed as pixels: {error}") from None

        def frame() -> NDArray[np.uint8]:
            # −1, the id of a camera that is not there, is MuJoCo's view of the whole.
            renderer.update_scene(data, camera)
            return renderer.render()

        return frame, renderer.close

    def _require_pictures(self) -> None:
        with blamed(self.id, "making"):
            modes = list((self.env.metadata or {}).get("render_modes") or ())
            chosen = self.env.render_mode
        if chosen != RGB or RGB not in modes:
            offered = f"its render modes are {modes}" if modes else "it has no render mode"
            raise UnusableEnvironment(
                f"{self.id!r} cannot be observed as pixels: {offered}, and {chosen!r} was chosen; {RGB!r} is needed"
            )

    def _rendered(self) -> NDArray[np.uint8]:
        with blamed(self.id, "drawing"):
            drawn: Any = self.env.render()
        if not (isinstance(drawn, np.ndarray) and drawn.dtype == np.uint8 and drawn.shape[2:] == (3,)):
            shape = f"{drawn.dtype} {drawn.shape}" if isinstance(drawn, np.ndarray) else said(drawn)
            raise UnusableEnvironment(f"{self.id!r} drew {shape}; uint8 (height, width, 3) is needed")
        height, width, _ = drawn.shape
        if self._reduction is None or self._reduction.shape != (height, width):
            self._reduction = Reduction(height, width, self.size)
        return self._reduction(drawn)


class Reduction:
    """Reduces pictures (height, width, 3) to (size, size, 3): each pixel is the mean over the area that it covers.

    Where the new pixels do not consist of whole old ones, parts of these count by their area. Lengths are measured so that
    all are whole numbers: an old pixel is `size` wide, a new one `width`. So sums are exact in any order of the terms, the
    first in float32, since 255 · height is below 2²⁴.
    """

    def __init__(self, height: int, width: int, size: int) -> None:
        self.shape, self.size = (height, width), size
        self._rows = overlaps(height, size).astype(np.float32)
        self._columns = overlaps(width, size).T.astype(np.float64)

    def __call__(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = self.shape
        rows = self._rows @ picture.reshape(height, -1).astype(np.float32)
        by_colour = rows.reshape(self.size, width, 3).transpose(0, 2, 1).astype(np.float64)
        sums = (by_colour @ self._columns).astype(np.int64)
        # Rounded quotients by the area of a new pixel, in whole numbers.
        area = height * width
        return ((2 * sums + area) // (2 * area)).astype(np.uint8).transpose(0, 2, 1)


def overlaps(length: int, size: int) -> NDArray[np.int64]:
    """How much of old pixel j, from j · size to (j + 1) · size, is in new pixel i, from i · length on: (size, length)."""
    new, old = np.arange(size)[:, None] * length, np.arange(length) * size
    return np.maximum(np.minimum(new + length, old + size) - np.maximum(new, old), 0)
