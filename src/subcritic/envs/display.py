"""MuJoCo's rendering backend and log settings; must be imported before mujoco, which reads MUJOCO_GL when imported."""

from __future__ import annotations

import ctypes
import os
import sys
import warnings

LIBRARIES = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}


def choose_backend() -> None:
    """On Linux without a display, render off-screen with the installed library; a MUJOCO_GL that is already set is kept."""
    chosen = any(os.environ.get(name) for name in ("MUJOCO_GL", "DISPLAY"))
    if sys.platform != "linux" or chosen or "mujoco" in sys.modules:
        return
    for backend, library in LIBRARIES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            continue
        os.environ["MUJOCO_GL"] = backend
        return


choose_backend()

import mujoco  # noqa: E402


def write_no_log_file() -> None:
    """Keep MuJoCo from writing MUJOCO_LOG.TXT to the working folder; environments end unstable episodes themselves."""
    settings = mujoco.MjLogConfig.get()
    settings.logto_file = False
    settings.set()


write_no_log_file()


class NoPicture(RuntimeError):
    """Rendering is not possible on this machine; the message says what is missing."""


class Renderer(mujoco.Renderer):
    """MuJoCo's renderer, which others survive.

    Closing MuJoCo's own deletes, by their numbers, what it had drawn into, in whatever OpenGL context is current: that of
    another renderer, whose pictures are wrong from then on.
    """

    def close(self) -> None:
        if self._gl_context:
            self._gl_context.make_current()
        super().close()


def renderer(model: mujoco.MjModel, width: int, height: int, plain: bool = False) -> Renderer:
    """A renderer, to be closed after use; a `plain` one is many times faster, without shadows and antialiasing.

    Raises NoPicture where OpenGL is not available.
    """
    if plain:
        quality = model.vis.quality
        quality.shadowsize = quality.offsamples = 0
        quality.numslices, quality.numstacks = 8, 4
        buffer = model.vis.global_
        buffer.offwidth, buffer.offheight = max(buffer.offwidth, width), max(buffer.offheight, height)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            drawing = Renderer(model, height, width)
    except (mujoco.FatalError, ImportError, AttributeError, RuntimeError) as error:
        backend = os.environ.get("MUJOCO_GL", "")
        raise NoPicture(
            f"MuJoCo cannot draw (MUJOCO_GL={backend!r}: {error}); with Mesa's EGL (libegl1) or OSMesa (libosmesa6) "
            "installed, import subcritic.envs before mujoco, or set MUJOCO_GL to 'egl' or 'osmesa' before Python starts"
        ) from None
    if plain:
        for effect in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            drawing.scene.flags[effect] = False
    return drawing
