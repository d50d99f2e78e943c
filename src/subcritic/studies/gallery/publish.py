"""Keep the films of the suite, and a page that shows them, in docs/."""

from __future__ import annotations

import shutil
from pathlib import Path

from subcritic.config import ConfigError, Profile
from subcritic.envs import suite
from subcritic.studies.references.settings import References


def publish(profile: Profile, results: Path, published: Path, docs: Path) -> list[Path]:
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
    horizon = profile.section(References).horizon_seconds
    lines = [
        "# Gallery of the suite\n",
        "The tasks at the start of an episode; below, MPPI, the planner that defines score 1, plays each of them on the "
        f"true physics with a horizon of {horizon:g} s. Made by `subcritic publish`.\n",
        "![All tasks](gallery/gallery.png)\n",
    ]
    for environment in profile.environments:
        task = suite.by_id(environment.id)
        if task is None:
            raise ConfigError(f"{environment.id!r} is no task of the suite, and only those are filmed")
        lines += [
            f"## {task.name}\n",
            f"`{task.paper}` in Lillicrap et al. 2016: {task.summary}.\n",
            f"![{task.name}, played by MPPI](gallery/{environment.name}.gif)\n",
        ]
    return "\n".join(lines)
