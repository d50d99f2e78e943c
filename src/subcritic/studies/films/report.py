"""One figure of all films: frames along them."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from subcritic.config import Profile
from subcritic.reporting import style
from subcritic.reporting.pages import image
from subcritic.reporting.records import must_exist
from subcritic.studies.films.settings import Films


def make(profile: Profile, root: Path) -> list[Path]:
    """Write figures/films.png."""
    path = root / "figures" / "films.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure(profile, root).savefig(path, dpi=120)
    return [path]


@style.styled
def figure(profile: Profile, root: Path) -> Figure:
    """The sheet of every task, a row of frames for each method."""
    chosen = profile.section(Films).chosen(profile)
    sheets = []
    for environment in chosen:
        path = root / "films" / f"{environment.name}.png"
        must_exist(path, "films")
        sheets.append(Image.open(path))
    width, height = sheets[0].size
    fig, panels = style.grid(len(chosen), columns=1, width=8.0, height=8.0 * height / width + 0.3)
    for axes, environment, sheet in zip(panels, chosen, sheets, strict=True):
        axes.imshow(sheet)
        axes.set_axis_off()
        axes.set_title(environment.name, fontsize=9)
    return fig


def section(folder: Path, link: str) -> list[str]:
    """What the results page says, from the published files of `folder`; link: the folder, seen from the page."""
    films = sorted(path.name for path in folder.glob("*.gif"))
    return [
        "The first seed's policies, without noise, from the same start state:\n",
        *(f"![{name.removesuffix('.gif')}]({link}/{name})\n" for name in films),
        image(folder, link, "films"),
    ]
