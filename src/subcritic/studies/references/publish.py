"""Make the measured references those that come with the package."""

from __future__ import annotations

import json
from pathlib import Path

from subcritic import published
from subcritic.config import ConfigError, Profile


def publish(profile: Profile, results: Path, folder: Path, docs: Path) -> list[Path]:
    """Write the references of all environments of the profile into the package; returns the file."""
    measured = results / profile.profile / "environments"
    paths = [measured / f"{environment.name}.json" for environment in profile.environments]
    missing = [path.stem for path in paths if not path.is_file()]
    if missing:
        raise ConfigError(
            f"{measured}: not measured yet: {', '.join(missing)}; run `subcritic references` on them first"
        )
    return [published.write([json.loads(path.read_text()) for path in paths])]
