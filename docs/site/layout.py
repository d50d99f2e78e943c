"""Every figure leads to its file, where it can be seen in full size; long names of code may break in narrow columns; and the
navigation is made from titles."""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import quote

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

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


def navigate(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Make a page's navigation from titles: Sphinx copies all contents of all pages, for every page, to throw them away."""
    whole = context["toctree"]

    def toctree(**options: Any) -> str:
        contents, app.env.tocs = app.env.tocs, titles(app.env) if options.get("titles_only") else app.env.tocs
        try:
            return whole(**options)
        finally:
            app.env.tocs = contents

    context["toctree"] = toctree


@functools.cache
def titles(env: BuildEnvironment) -> dict[str, nodes.bullet_list]:
    """The contents of every page without what is below its title, but for lists of further pages."""
    found = {page: contents.deepcopy() for page, contents in env.tocs.items()}
    for contents in found.values():
        for title in contents:
            if len(title) > 1:
                further = list(title.findall(addnodes.toctree))
                title[1:] = [nodes.bullet_list("", *further)] if further else []
    return found


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", mark)
    app.connect("doctree-resolved", link)
    # Before the theme asks for it.
    app.connect("html-page-context", navigate, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
