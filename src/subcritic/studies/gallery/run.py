"""Films of MPPI solving the tasks of the suite: what a reward asks for is seen best where it is fulfilled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from subcritic.envs.planners import episode
from subcritic.measuring.tables import paths
from subcritic.studies.gallery import STUDY
from subcritic.studies.gallery.settings import Config
from subcritic.studies.references import run as references
from subcritic.study import Job

SIZE = (240, 180)
FRAMES_PER_SECOND = 12.5
COLOURS = 40


def run(job: Job, results: Path) -> list[Path]:
    """Film one episode; writes `videos/<environment>.gif`, `.png` (how it starts) and `.frames.png` (how it goes on)."""
    config = job.config
    assert isinstance(config, Config)
    task, settings, to = config.environment, config.film, paths(job, STUDY, results)
    made = references.make(task.id, render_mode="rgb_array", width=SIZE[0], height=SIZE[1])
    planner = references.planner("mppi", made, config.plans)
    frames = film(made, planner, settings.seed, settings.seconds)
    made.close()
    to["film"].parent.mkdir(parents=True, exist_ok=True)
    write_gif(to["film"], frames)
    Image.fromarray(frames[0]).save(to["still"], optimize=True)
    chosen = np.linspace(0, len(frames) - 1, min(settings.frames, len(frames))).round().astype(int)
    contact_sheet([frames[index] for index in chosen]).save(to["sheet"], optimize=True)
    return list(to.values())


def film(made: gym.Env, planner, seed: int, seconds: float) -> list[NDArray]:
    """Frames (height, width, 3) of the first `seconds` of an episode, FRAMES_PER_SECOND of them a second.

    Raises display.NoPicture when there is nothing to draw with.
    """
    frames: list[NDArray] = []
    control = made.unwrapped.task.control_seconds

    def watch(environment: gym.Env) -> None:
        time = environment.unwrapped.data.time
        if (
            len(frames) < seconds * FRAMES_PER_SECOND
            and time + control / 2 >= len(frames) / FRAMES_PER_SECOND
        ):
            frames.append(environment.render())

    episode(made, seed, planner, watch)
    return frames


def write_gif(path: Path, frames: Sequence[NDArray]) -> None:
    """An endless GIF of frames (height, width, 3), with one palette for all, so that still parts cost nothing."""
    images = [Image.fromarray(frame) for frame in frames]
    step = max(1, len(images) // 8)
    strip = np.concatenate(frames[::step], axis=0)
    palette = Image.fromarray(strip).quantize(COLOURS, dither=Image.Dither.NONE)
    small = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    duration = round(1000 / FRAMES_PER_SECOND)
    small[0].save(path, save_all=True, append_images=small[1:], duration=duration, loop=0, optimize=False)


def contact_sheet(frames: Sequence[NDArray], columns: int = 4) -> Image.Image:
    """Frames of a film in rows, in order."""
    height, width = frames[0].shape[:2]
    sheet = Image.new(
        "RGB", (width * min(columns, len(frames)), height * -(-len(frames) // columns)), "white"
    )
    for index, frame in enumerate(frames):
        place = (index % columns * width, index // columns * height)
        sheet.paste(Image.fromarray(frame), place)
        ImageDraw.Draw(sheet).text((place[0] + 4, place[1] + 2), str(index + 1), fill="black")
    return sheet
