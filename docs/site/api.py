"""The pages of the API: one for each module that docs/api.md links to, made from its docstrings."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

PAGE = Path("docs/api.md")


def modules(text: str) -> list[str]:
    """The modules that the page links to, in its order."""
    files = re.findall(r"\]\(\.\./(src/subcritic/[\w/]+(?:\.py)?)\)", text)
    return list(dict.fromkeys(name(Path(file)) for file in files))


def name(path: Path) -> str:
    """The module of a file, or of a folder with an __init__.py, below src/; empty for other files."""
    if path.parts[:1] != ("src",) or path.suffix not in (".py", ""):
        return ""
    return ".".join(path.relative_to("src").with_suffix("").parts).removesuffix(".__init__")


def path(module: str) -> Path:
    return Path("api") / f"{module}.md"


def page(module: str, modules: list[str]) -> str:
    """What a module offers, without what it passes on from another one that has a page."""
    found = import_module(module)
    left_out = ["model_config"]
    for offered in getattr(found, "__all__", ()):
        home = getattr(getattr(found, offered), "__module__", module)
        left_out += [offered] if home != module and home in modules else []
    options = f"   :exclude-members: {', '.join(left_out)}"
    return f"# {module.removeprefix('subcritic.')}\n\n```{{eval-rst}}\n.. automodule:: {module}\n{options}\n```\n"
