"""The pages of the API: one for each module that docs/api.md links to, made from its docstrings."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

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
    left_out = ["model_config"]
    for offered, thing in _offered(module):
        home = getattr(thing, "__module__", module)
        left_out += [offered] if home != module and home in modules else []
    options = f"   :exclude-members: {', '.join(left_out)}"
    return f"# {module.removeprefix('subcritic.')}\n\n```{{eval-rst}}\n.. automodule:: {module}\n{options}\n```\n"


def linked(text: str, modules: list[str]) -> str:
    """The text of a page in which names of code, `module:name`, lead to their place in the API, where they have one."""
    passed_on = {
        f"{getattr(offered, '__module__', module)}.{name}": f"{module}.{name}"
        for module in modules
        for name, offered in _offered(module)
    }

    def link(found: re.Match[str]) -> str:
        module, name = found.groups()
        first, dot, rest = name.partition(".")
        place = passed_on.get(f"{module}.{first}", f"{module}.{first}") + dot + rest
        return f"{{py:obj}}`{module}:{name} <{place}>`"

    return re.sub(r"`(subcritic(?:\.\w+)+):([\w.]+)`", link, text)


def _offered(module: str) -> list[tuple[str, Any]]:
    """What a package offers by `__all__`, by its name."""
    found = import_module(module)
    return [(name, getattr(found, name)) for name in getattr(found, "__all__", ())]
