"""The closing screen: what the studies of a profile found, and where everything lies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from subcritic.config import Profile
from subcritic.publishing.reports import module_of
from subcritic.reporting import documents
from subcritic.reporting.records import must_exist
from subcritic.study import Study

ALWAYS = (
    ("figures", "figures/ (png, svg, pdf)"),
    ("run records, mirrored to MLflow", "runs/<study>/<environment>/<method>/s<seed>/"),
)


def make(profile: Profile, studies: Sequence[Study], root: Path) -> list[Path]:
    """Write summary.md, and summary.html for Snakemake's report. Needs what the reports of the studies made."""
    summary = text(profile, studies, root)
    return [
        documents.write(root / "summary.md", summary),
        documents.write(root / "summary.html", documents.html(summary)),
    ]


def text(profile: Profile, studies: Sequence[Study], root: Path) -> str:
    """The summary as Markdown, which reads well on a terminal too."""
    blocks = [
        f"# subcritic: profile {profile.profile}, {profile.seeds} seed{'s' if profile.seeds > 1 else ''}\n"
    ]
    for study in studies:
        for file in study.shown.values():
            must_exist(root / file.path, study.name)
        if hasattr(module := module_of(study), "headline"):
            blocks += [f"## {study.question}\n", module.headline(root)]
    return "\n".join([*blocks, "## Where everything lies\n", places(studies, root) + "\n"])


def places(studies: Sequence[Study], root: Path) -> str:
    """What the studies show, and the file it lies in, one line each."""
    shown = [(file.about, file.path) for study in studies for file in study.shown.values() if file.about]
    lines = [*shown, *ALWAYS]
    width = max(len(about) for about, _ in lines)
    return "\n".join(f"    {about.ljust(width)}  {root / path}" for about, path in lines)
