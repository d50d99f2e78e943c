"""What a number depends on besides its config: the code, and the versions of what it was made with."""

from __future__ import annotations

import ast
import functools
import hashlib
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).parent
# Imported by the stages, but no part of their numbers: what of the config matters is among a job's params.
NO_PART_OF_NUMBERS = ("config", "provenance.py", "tracking")
PACKAGES = ("torch", "gymnasium", "numpy", "mujoco", "box2d", "mlflow", "snakemake")


@functools.cache
def code_digest(*parts: str) -> str:
    """Twelve hex digits over the source of `parts` of the package (files or folders, relative to it)."""
    hashed = hashlib.sha256()
    for part in sorted(parts):
        path = PACKAGE / part
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            hashed.update(file.relative_to(PACKAGE).as_posix().encode() + file.read_bytes())
    return hashed.hexdigest()[:12]


@functools.cache
def stage_digest(stage: str) -> str:
    """The digest of all code that the results of a stage depend on: its module and whatever that imports of ours."""
    return code_digest(*(file.relative_to(PACKAGE).as_posix() for file in sources(f"studies/{stage}/run.py")))


def sources(part: str) -> list[Path]:
    """The files that a module of the package and its imports consist of, NO_PART_OF_NUMBERS left out."""
    found, waiting = set(), [PACKAGE / part]
    while waiting:
        file = waiting.pop()
        if file in found or file.relative_to(PACKAGE).as_posix().startswith(NO_PART_OF_NUMBERS):
            continue
        found.add(file)
        waiting += _imported(file)
    return sorted(found)


def _imported(file: Path) -> list[Path]:
    """Files of the package that `file` names in its import statements, with the `__init__` of their folders."""
    names = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = (
                ".".join(("subcritic", *file.relative_to(PACKAGE).parts)[: -node.level]) if node.level else ""
            )
            module = ".".join(part for part in (package, node.module) if part)
            names += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    parts = [name.split(".")[1:] for name in names if name.split(".")[0] == "subcritic"]
    files = [PACKAGE.joinpath(*steps).with_suffix(".py") for steps in parts if steps]
    folders = [
        PACKAGE.joinpath(*steps[:n]) / "__init__.py" for steps in parts for n in range(1, len(steps) + 1)
    ]
    return [path for path in (*files, *folders) if path.is_file()]


def versions() -> dict[str, str]:
    """Installed versions of the packages that shape results."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
