"""A package imports only packages below it, as docs/architecture.md draws them."""

import ast
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
PACKAGE = PROJECT / "src" / "subcritic"
DRAWN = (PROJECT / "docs" / "architecture.md").read_text().split("src/subcritic/\n")[1].split("```")[0]
# "  cli.py reproduce.py     floor 7: …" → {"cli": 7, "reproduce": 7}
FLOORS = {
    name.removesuffix(".py").rstrip("/"): int(floor)
    for names, floor in re.findall(r"^  (\S.*?) +floor (\d+):", DRAWN, re.MULTILINE)
    for name in names.split()
}
# On one floor, as the page says; and config, which reads the list of names in rules/__init__.py.
BESIDE = {
    ("cli", "forkserver"), ("cli", "commands"), ("commands", "forkserver"), ("commands", "reproduce"),
    ("commands", "workflow"), ("forkserver", "cli"), ("reproduce", "forkserver"), ("reproduce", "workflow"),
    ("reproduce", "chain"), ("publishing", "profiles"),
    ("agents", "rules"), ("agents", "neuro"), ("subcritics", "rules"), ("config", "rules"), ("config", "importing"),
    ("config", "suite"),
}  # fmt: skip


def imports(package):
    """(file, imported package) of every import of ours in a package or module."""
    files = (PACKAGE / package).rglob("*.py") if (PACKAGE / package).is_dir() else [PACKAGE / f"{package}.py"]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("subcritic"):
                parts = node.module.split(".")
                for other in [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]:
                    yield str(file.relative_to(PACKAGE)), other


def test_every_package_is_drawn():
    found = {path.stem for path in PACKAGE.iterdir() if path.name not in ("__init__.py", "__pycache__")}
    assert set(FLOORS) == found


@pytest.mark.parametrize("package", FLOORS)
def test_a_package_imports_only_packages_below_it(package):
    above = [
        (file, other)
        for file, other in imports(package)
        if other != package and FLOORS[other] >= FLOORS[package] and (package, other) not in BESIDE
    ]
    assert not above
