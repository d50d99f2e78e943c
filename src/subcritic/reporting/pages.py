"""Parts of a Markdown page."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def bullets(sentences: Iterable[str]) -> str:
    """A list of sentences."""
    return "".join(f"- {sentence}\n" for sentence in sentences)


def image(folder: Path, link: str, name: str) -> str:
    """A figure of a published profile, nothing if it was not published; link: the folder, seen from the page."""
    return f"![{name}]({link}/{name}.png)\n" if (folder / f"{name}.png").is_file() else ""
