"""Films of trained policies: the same episode of a task of the suite, one method beside the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from subcritic.config import ConfigError
from subcritic.envs.suite.environment import SuiteEnvironment, observed
from subcritic.measuring import policies
from subcritic.measuring.tables import paths
from subcritic.nn import MLP, Parameters
from subcritic.studies.films import STUDY
from subcritic.studies.films.settings import Config
from subcritic.studies.gallery.run import SIZE, film, write_gif
from subcritic.studies.references import run as references
from subcritic.study import Job


class Policy:
    """A trained actor as a player of `subcritic.envs.planners.episode`: it reads the observation of the present state."""

    name = "policy"

    def __init__(self, environment: SuiteEnvironment, network: MLP, parameters: Parameters) -> None:
        self.environment, self.network, self.parameters = environment, network, parameters

    def reset(self, rng: np.random.Generator) -> None:
        """It remembers nothing."""

    def plan(self) -> NDArray:
        """The action (nu,) without noise."""
        played = self.environment
        seen = observed(played.task, played.layout.readings(played.data.sensordata))
        action: NDArray = (
            self.network.forward(self.parameters, torch.from_numpy(seen)[None, None]).output[0, 0].numpy()
        )
        return action


def run(job: Job, results: Path) -> list[Path]:
    """Film the first seed's policy of every method; writes `films/<environment>.gif`, and frames along it as `.png`."""
    config = job.config
    assert isinstance(config, Config)
    torch.set_num_threads(1)
    films = []
    for training, path in zip(config.policies, job.reads, strict=True):
        network, flat, seeds = policies.load(results / job.profile / path)
        if training.seeds[0] not in seeds:
            raise ConfigError(
                f"{path} has no policy of seed {training.seeds[0]}: it was taken from published runs"
            )
        task, first = training.environment, seeds.index(training.seeds[0])
        made = references.make(task.id, render_mode="rgb_array", width=SIZE[0], height=SIZE[1], **task.kwargs)
        player = Policy(made.unwrapped, network, network.views(flat[first : first + 1]))  # type: ignore[arg-type]
        frames = film(made, player, config.film.episode_seed, config.film.seconds)
        made.close()
        films.append([labelled(frame, training.agent.name) for frame in frames])
    to = paths(job, STUDY, results)
    to["film"].parent.mkdir(parents=True, exist_ok=True)
    write_gif(to["film"], side_by_side(films))
    rows = [row_of(frames, config.film.frames) for frames in films]
    Image.fromarray(np.concatenate(rows, axis=0)).save(to["sheet"], optimize=True)
    return list(to.values())


def labelled(frame: NDArray, text: str) -> NDArray:
    """A frame with a name in its corner."""
    image = Image.fromarray(frame)
    ImageDraw.Draw(image).text((4, 2), text, fill="white", stroke_width=2, stroke_fill="black")
    return np.asarray(image)


def side_by_side(films: list[list[NDArray]]) -> list[NDArray]:
    """Films of the same height as one; one that ends early keeps its last frame."""
    length = max(map(len, films))
    return [
        np.concatenate([frames[min(index, len(frames) - 1)] for frames in films], axis=1)
        for index in range(length)
    ]


def row_of(frames: list[NDArray], count: int) -> NDArray:
    """So many frames along a film, beside each other; one that is too short repeats some."""
    chosen = np.linspace(0, len(frames) - 1, count).round().astype(int)
    return np.concatenate([frames[index] for index in chosen], axis=1)
