"""What a number depends on besides its config: the code, and the versions of what it was made with."""

from __future__ import annotations

import ast
import functools
import hashlib
import re
import subprocess
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
# No part of a number, though what computes numbers imports it. What counts of the config is in the config of a job; lists
# of rules, tasks and studies import none of them, and what a job uses of a list is among the code of the job. This file and
# envs/code.py say what a number depends on.
NO_PART_OF_NUMBERS = (
    "config",
    "tracking",
    "provenance.py",
    "profiles.py",
    "study.py",
    "suite.py",
    "envs/code.py",
    "rules/__init__.py",
    "envs/suite/__init__.py",
)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# Folders of what publishing writes.
WRITTEN = ("results", "docs")
PACKAGES = ("torch", "gymnasium", "numpy", "numba", "mujoco", "box2d", "mlflow", "snakemake")


# Compiled functions are loaded by name when they are first called, see nn/compiled.py.
COMPILED = re.compile(r"""\bcompiled\.kernels\("([\w.]+)"\)""")


def code_digest(roots: Iterable[str]) -> str:
    """Twelve hex digits over some modules of the package and all that they import of it, see `sources`.

    Comments, docstrings and layout do not count: what is hashed is the syntax tree.
    """
    return _digest(tuple(sorted(set(roots))), PACKAGE)


@functools.cache
def _digest(roots: tuple[str, ...], package: Path) -> str:
    hashed = hashlib.sha256()
    for file in sorted({file for root in roots for file in sources(root)}):
        hashed.update(file.relative_to(package).as_posix().encode() + _tree(file, package).encode())
    return hashed.hexdigest()[:12]


def sources(root: str) -> list[Path]:
    """The files of a module (a path in the package) and of all that it imports of ours, but NO_PART_OF_NUMBERS.

    The module itself counts, whatever it is.
    """
    found, waiting = set(), [PACKAGE / root]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _imported(file, PACKAGE)
    return sorted(found)


def _no_part(path: str) -> bool:
    declaration = path.startswith("studies/") and path.endswith(("/settings.py", "/__init__.py"))
    return path.startswith(NO_PART_OF_NUMBERS) or declaration


@functools.cache
def _tree(file: Path, package: Path) -> str:
    """The syntax tree of a file without docstrings and without descriptions of settings; other files as they are."""
    if file.suffix != ".py":
        return file.read_text()
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and node.body and _is_docstring(node.body[0]):
            node.body = node.body[1:]
        if isinstance(node, ast.Call):
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "description"]
    return ast.dump(tree)


def _is_docstring(first: ast.stmt) -> bool:
    return (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )


@functools.cache
def _imported(file: Path, package: Path) -> list[Path]:
    """Files of the package that `file` names in its import statements, with the `__init__` of their folders.

    But NO_PART_OF_NUMBERS.
    """
    if file.suffix != ".py":
        return []
    parts = [name.split(".")[1:] for name in _names(file, package) if name.split(".")[0] == "subcritic"]
    files = [package.joinpath(*steps).with_suffix(".py") for steps in parts if steps]
    folders = [
        package.joinpath(*steps[:n]) / "__init__.py" for steps in parts for n in range(1, len(steps) + 1)
    ]
    found = dict.fromkeys(path for path in (*files, *folders) if path.is_file())
    return [path for path in found if not _no_part(path.relative_to(package).as_posix())]


def _names(file: Path, package: Path) -> Iterator[str]:
    text = file.read_text()
    yield from (f"subcritic.{name}" for name in COMPILED.findall(text))
    for node in _statements(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = ("subcritic", *file.relative_to(package).parts)[: -node.level] if node.level else ()
            module = ".".join((*parents, *([node.module] if node.module else [])))
            yield from (module, *(f"{module}.{alias.name}" for alias in node.names))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements below a node; expressions, most of a tree, hold none."""
    for field in ("body", "orelse", "handlers", "finalbody", "cases"):
        for inner in getattr(node, field, ()):
            yield inner
            yield from _statements(inner)


def versions() -> dict[str, str]:
    """Installed versions of the packages that shape results."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def source() -> dict[str, Any]:
    """Commit of the source, and whether tracked files differ from it, what publishing writes left aside."""

    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(PACKAGE), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    outside = (":(top)", *(f":(top,exclude){name}" for name in WRITTEN))
    changes = git("status", "--porcelain", "--untracked-files=no", "--", *outside)
    return {
        "commit": git("rev-parse", "HEAD") or "unknown",
        "dirty": None if changes is None else bool(changes),
    }


def source_name() -> str:
    """The commit of the source, with the suffix -dirty if `source` finds it so."""
    found = source()
    return f"{found['commit']}{'-dirty' if found['dirty'] else ''}"
