"""Keep the films beside the published figure."""

from __future__ import annotations

import shutil
from pathlib import Path

from subcritic.config import Profile
from subcritic.reporting.records import must_exist
from subcritic.studies.films.settings import Films


def publish(profile: Profile, results: Path, folder: Path, docs: Path) -> list[Path]:
    """Copy the films of all tasks to the published folder of the profile."""
    films = [
        results / profile.profile / "films" / f"{environment.name}.gif"
        for environment in profile.section(Films).chosen(profile)
    ]
    for film in films:
        must_exist(film, "films")
    return [Path(shutil.copy(film, folder)) for film in films]
