"""One figure of all tasks of the suite, from the stills that their films begin with."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from subcritic import suite
from subcritic.config import Profile
from subcritic.reporting import style
from subcritic.reporting.records import MissingResult


def make(profile: Profile, root: Path) -> list[Path]:
    """Write figures/gallery.png."""
    path = root / "figures" / "gallery.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure(profile, root).savefig(path, dpi=100)
    return [path]


@style.styled
def figure(profile: Profile, root: Path) -> Figure:
    """A still of every environment, under its name and the paper's."""
    fig, panels = style.grid(len(profile.environments), columns=6, width=2.0, height=1.75)
    for axes, environment in zip(panels, profile.environments, strict=True):
        path = root / "videos" / f"{environment.name}.png"
        if not path.is_file():
            raise MissingResult(
                f"{path} is missing: `subcritic gallery --environment {environment.name}` makes it"
            )
        axes.imshow(Image.open(path))
        axes.set_axis_off()
        axes.set_title(environment.name, fontsize=8, pad=12)
        axes.text(0, 1.02, suite.PAPER_NAMES.get(environment.id, ""), transform=axes.transAxes, fontsize=7)
    return fig


def section(folder: Path, link: str) -> list[str]:
    """What the results page says, from the published files of `folder`; link: the folder, seen from the page."""
    return ["Films of the planner on every task: [gallery.md](gallery.md).\n"]
