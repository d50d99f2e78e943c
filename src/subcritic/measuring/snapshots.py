"""Snapshots of Experiment 1 on disk: everything of its agents along training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from subcritic import files, stored
from subcritic.config import ConfigError, Section, digest, dump

# What is kept of one run, in the order it was taken.
Taken = list[dict[str, Any]]


def load_snapshots(path: Path, config: Section, environment: str) -> dict[str, Any]:
    """Experiment 1's snapshots of an environment; raises ConfigError when there are none, or none of this config."""
    advice = f"run `subcritic experiment1 --environment {environment}` with the same options first"
    if not path.exists():
        raise ConfigError(f"{path} is missing; {advice}")
    try:
        saved = stored.read(path)
    except stored.UnreadableFile as error:
        raise ConfigError(f"{error}; {advice}") from None
    if saved.get("key") != digest(dump(config)):
        raise ConfigError(f"{path} was made with other settings, seeds or steps; {advice}")
    return saved


def save_snapshots(
    path: Path, config: Section, sizes: tuple[int, ...], drafts: Taken, neuron_noise: Taken
) -> Path:
    """Write the snapshots of both runs, with a digest of the config they were made with."""
    kept = {"snapshots": drafts, "neuron_noise": neuron_noise}
    with files.whole(path) as file:
        stored.write(file, {"key": digest(dump(config)), "sizes": sizes, **kept})
    return path
