"""Films of MPPI solving the tasks of the suite: what a reward asks for is seen best where it is fulfilled."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from subcritic.config import ConfigError, Profile
from subcritic.envs.planners import episode
from subcritic.studies.references import run as references

SIZE = (240, 180)
FRAMES_PER_SECOND = 12.5
COLOURS = 40


def run(profile: Profile, environment_name: str, results: Path) -> list[Path]:
    """Film one episode; writes `videos/<environment>.gif`, `.png` (how it starts) and `.frames.png` (how it goes on)."""
    environment = profile.environment(environment_name)
    settings = profile.references
    made = references.make(environment.id, render_mode="rgb_array", width=SIZE[0], height=SIZE[1])
    frames = film(made, references.planner("mppi", made, settings), settings.film_seed, settings.film_seconds)
    made.close()
    folder = results / profile.profile / "videos"
    folder.mkdir(parents=True, exist_ok=True)
    video, still, sheet = (
        folder / f"{environment.name}{suffix}" for suffix in (".gif", ".png", ".frames.png")
    )
    write_gif(video, frames)
    Image.fromarray(frames[0]).save(still, optimize=True)
    chosen = np.linspace(0, len(frames) - 1, min(settings.film_frames, len(frames))).round().astype(int)
    contact_sheet([frames[index] for index in chosen]).save(sheet, optimize=True)
    return [video, still, sheet]


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


def publish(profile: Profile, results: Path, docs: Path) -> list[Path]:
    """Copy the gallery and the films of all environments of the profile to docs/gallery/, and write docs/gallery.md."""
    root, folder = results / profile.profile, docs / "gallery"
    films = [root / "videos" / f"{environment.name}.gif" for environment in profile.environments]
    missing = [str(path) for path in (root / "figures" / "gallery.png", *films) if not path.is_file()]
    if missing:
        raise ConfigError(f"{', '.join(missing)} missing: run `subcritic gallery` on every environment first")
    folder.mkdir(parents=True, exist_ok=True)
    copied = [Path(shutil.copy(path, folder)) for path in (root / "figures" / "gallery.png", *films)]
    page = docs / "gallery.md"
    page.write_text(_page(profile))
    return [page, *copied]


def _page(profile: Profile) -> str:
    horizon = profile.references.horizon_seconds
    lines = [
        "# Gallery of the suite\n",
        "The tasks at the start of an episode; below, MPPI, the planner that defines score 1, plays each of them on the "
        f"true physics with a horizon of {horizon:g} s. Made by `subcritic gallery --publish`.\n",
        "![All tasks](gallery/gallery.png)\n",
    ]
    for environment in profile.environments:
        task = references.task_of(environment.id)
        lines += [
            f"## {task.name}\n",
            f"`{task.paper}` in Lillicrap et al. 2016: {task.summary}.\n",
            f"![{task.name}, played by MPPI](gallery/{environment.name}.gif)\n",
        ]
    return "\n".join(lines)
