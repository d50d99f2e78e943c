"""Q^n and h_l in running text, as they are written in the documents and docstrings, set as superscripts and subscripts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx

# A single letter, then ^ or _ and one or two characters, or more in braces: no name of code, which has more.
SCRIPT = re.compile(
    r"(?<![^\WΔΣ])((?:[^\W\d_]|∇)[′̂̄']?)((?:[_^](?:\{(?:[^{}]|\{[^{}]*\})*\}|[^\W_]{1,2}′?(?!\w)))+)"
)
ONE = re.compile(r"([_^])(\{(?:[^{}]|\{[^{}]*\})*\}|[^\W_]+′?)")
KINDS = {"_": nodes.subscript, "^": nodes.superscript}
AS_WRITTEN = (nodes.literal, nodes.FixedTextElement, nodes.math, nodes.raw, nodes.image)


def typeset(app: Sphinx, doctree: nodes.document) -> None:
    """Set what is written in the text of a page."""
    for text in list(doctree.findall(nodes.Text)):
        above, kept = text.parent, False
        while above is not None and not kept:
            kept, above = isinstance(above, AS_WRITTEN), above.parent
        if not kept and SCRIPT.search(text):
            text.parent.replace(text, list(_parts(str(text))))


def _parts(text: str) -> Iterator[nodes.Node]:
    end = 0
    for found in SCRIPT.finditer(text):
        yield nodes.Text(text[end : found.end(1)])
        for mark, script in ONE.findall(found[2]):
            yield KINDS[mark]("", "", *_parts(script.removeprefix("{").removesuffix("}")))
        end = found.end()
    yield nodes.Text(text[end:])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", typeset)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
