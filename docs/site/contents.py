"""The navigation, which is the list of pages in docs/README.md: a part for every heading, an entry for every link."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from subcritic.publishing import generated

PAGE = Path("docs/README.md")
START = Path("index.md")


def start(readme: str, listed: str) -> str:
    """The start page: the README, and the navigation, which is not seen there."""
    parts = re.split(r"^## (.*)\n", listed, flags=re.MULTILINE)[1:]
    trees = [hidden(_pages(text), caption) for caption, text in zip(parts[::2], parts[1::2], strict=True)]
    page = hidden([str(PAGE.with_suffix(""))])
    return "".join([readme, page, *trees])


def without_graph(text: str) -> str:
    """A page of docs/ with a link to the studies in place of their graph, which Sphinx cannot draw."""
    before, _, rest = text.partition(generated.GRAPH[0])
    _, _, after = rest.partition(generated.GRAPH[1])
    return "".join([before, "[The studies](../studies/index.md)", after])


def hidden(pages: Iterable[str], caption: str = "") -> str:
    """A part of the navigation."""
    options = [":hidden:", ":titlesonly:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["", "```{toctree}", *options, "", *pages, "```", ""])


def _pages(text: str) -> list[str]:
    """The pages that entries of a list link to first, as the start page names them."""
    found = re.findall(r"^- \[[^\]]*\]\(([^)#\s]+)\)", text, flags=re.MULTILINE)
    return [os.path.normpath(PAGE.parent / link).removesuffix(".md") for link in found]
