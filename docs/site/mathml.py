"""Formulae as MathML, which browsers draw by themselves: neither building nor reading needs a network or JavaScript.

docutils, on which Sphinx stands, translates LaTeX; what it cannot translate is a warning, which fails the build.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)


def inline(writer: Any, node: nodes.math) -> None:
    _write(writer, node)


def block(writer: Any, node: nodes.math_block) -> None:
    writer.body.append('<div class="formula">')
    _write(writer, node, as_block=True)
    writer.body.append("</div>\n")


def _write(writer: Any, node: nodes.Element, *, as_block: bool = False) -> None:
    try:
        # One sign, not two with a space between them.
        source = node.astext().replace(":=", r"\coloneqq ")
        writer.body.append(tex2mathml(source, as_block=as_block))
    except MathError as error:
        LOGGER.warning("formula %r: %s", node.astext(), error, location=node)
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
