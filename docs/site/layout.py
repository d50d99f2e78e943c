"""Every figure leads to its file, where it can be seen in full size; long names of code may break in narrow columns."""

from __future__ import annotations

from urllib.parse import quote

from docutils import nodes
from sphinx.application import Sphinx

# Characters from which on a name of code counts as long.
LONG = 32


def mark(app: Sphinx, doctree: nodes.document) -> None:
    """Give long names of code a class, by which site.css lets them break."""
    for literal in doctree.findall(nodes.literal):
        literal["classes"] += ["long"] if len(literal.astext()) > LONG else []


def link(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Make a link of every image that is none; `page` is where it stands."""
    for image in list(doctree.findall(nodes.image)):
        if not isinstance(image.parent, nodes.reference) and image["uri"] in app.env.images:
            _, name = app.env.images[image["uri"]]
            file = "../" * page.count("/") + f"{app.builder.imagedir}/{quote(name)}"
            image.replace_self(nodes.reference("", "", image.deepcopy(), refuri=file, internal=True))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", mark)
    app.connect("doctree-resolved", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
