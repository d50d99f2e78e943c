"""Parts of a Markdown page."""

from __future__ import annotations

from collections.abc import Iterable


def bullets(sentences: Iterable[str]) -> str:
    """A list of sentences."""
    return "".join(f"- {sentence}\n" for sentence in sentences)


def image(name: str, link: str) -> str:
    """A figure of a published profile; link: the profile's folder, seen from the page."""
    return f"![{name}]({link}/{name}.png)\n"
