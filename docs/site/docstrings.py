"""Docstrings as they are written here, for Sphinx: plain text with `code` in backticks.

Paragraphs such as "weight: (S, n_in, n). bias: (S, 1, n)." become lists, indented equations stay as they are, and characters
that mean something to reStructuredText only, as in |Q| or N_, are themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from pydantic import BaseModel
from sphinx.application import Sphinx

NAME = r"(?:[a-z]\w*|[A-Z])"
NAMES = rf"{NAME}(?:, {NAME})*"
# A paragraph that starts with what a name stands for; and, further on in it, the next name.
DESCRIBES = re.compile(rf"{NAMES}:\s")
NEXT = re.compile(rf"(?<=[.;)])\s+(?={NAMES}:\s)")


def process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """autodoc's event: rewrite the lines in place."""
    blocks = [list(block) for full, block in groupby(lines, key=lambda line: bool(line.strip())) if full]
    lines[:] = [line for block in blocks for line in (*_block(block), "")]


def readable(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> Any:
    """autodoc's event: the signature of what is called; none of settings, which profiles make."""
    if isinstance(obj, type) and issubclass(obj, BaseModel):
        return "", None
    return signature and re.sub(r"<function (\w+)>", r"\1", signature), returns


def unexplained(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """autodoc's event: leave out the fields of a NamedTuple, of which it says nothing but their number."""
    return True if str(obj.__doc__).startswith("Alias for field number") else None


def _block(lines: list[str]) -> Iterator[str]:
    if lines[0].startswith(" "):
        yield from ("::", "", *(f"    {line}" for line in lines))
    elif DESCRIBES.match(lines[0]):
        text = " ".join(line.strip() for line in lines)
        for part in NEXT.split(text):
            names, _, meaning = part.partition(":")
            yield f"- **{_plain(names)}**: {_plain(meaning.strip())}"
    else:
        yield from map(_plain, lines)


def _plain(text: str) -> str:
    """Outside of code, no character is markup but the stars of *emphasis*."""
    parts = re.split(r"(`[^`]*`)", text)
    for index in range(0, len(parts), 2):
        kept = re.sub(r"(?<![\w*])\*(\w[^*]*\w)\*(?![\w*])", "\0\\1\0", parts[index])
        escaped = re.sub(r"([|*])|(?<=\w)(_)(?!\w)", r"\\\1\2", kept.replace("\\", "\\\\"))
        parts[index] = escaped.replace("\0", "*")
    return "".join(parts)


def setup(app: Sphinx) -> dict[str, bool]:
    # Before napoleon, which takes the sections such as `Raises:`.
    app.connect("autodoc-process-docstring", process, priority=400)
    app.connect("autodoc-process-signature", readable)
    app.connect("autodoc-skip-member", unexplained)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
