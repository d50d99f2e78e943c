"""A package imports only packages below it, as docs/architecture.md draws them."""

import ast
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
PACKAGE = PROJECT / "src" / "subcritic"
PAGE = (PROJECT / "docs" / "architecture.md").read_text()
DRAWN = PAGE.split("src/subcritic/\n")[1].split("```")[0]
# "  cli.py reproduce.py     level 7: …" → {"cli": 7, "reproduce": 7}
LEVELS = {
    name.removesuffix(".py").rstrip("/"): int(level)
    for names, level in re.findall(r"^  (\S.*?) +level (\d+):", DRAWN, re.MULTILINE)
    for name in names.split()
}
# "- `cli` imports `forkserver`, `commands`" → ("cli", "forkserver"), ("cli", "commands")
BESIDE = {
    (package, other)
    for package, others in re.findall(r"^- `(\w+)` imports (`.*)$", PAGE, re.MULTILINE)
    for other in re.findall(r"`(\w+)`", others)
}


def imports(package):
    """(file, imported package) of every import of ours in a package or module."""
    files = (PACKAGE / package).rglob("*.py") if (PACKAGE / package).is_dir() else [PACKAGE / f"{package}.py"]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("subcritic"):
                parts = node.module.split(".")
                for other in [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]:
                    yield str(file.relative_to(PACKAGE)), other


def test_every_exception_is_used():
    assert {(package, other) for package in LEVELS for _, other in imports(package)} >= BESIDE


def test_every_package_is_drawn():
    found = {path.stem for path in PACKAGE.iterdir() if path.name not in ("__init__.py", "__pycache__")}
    assert set(LEVELS) == found


@pytest.mark.parametrize("package", LEVELS)
def test_a_package_imports_only_packages_below_it(package):
    above = [
        (file, other)
        for file, other in imports(package)
        if other != package and LEVELS[other] >= LEVELS[package] and (package, other) not in BESIDE
    ]
    assert not above
