"""The three descriptions of the environment (pyproject.toml, requirements.lock, environment.yml) agree."""

import importlib.metadata
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIRED = [Requirement(line) for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]]
LOCK_LINES = [
    line
    for line in (ROOT / "requirements.lock").read_text().splitlines()
    if line and not line.startswith("#")
]
PINS = {
    canonicalize_name(name): version for name, _, version in (line.partition("==") for line in LOCK_LINES)
}
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())


def conda_lines() -> list[str]:
    return [entry for entry in CONDA["dependencies"] if isinstance(entry, str)]


def pip_lines() -> list[str]:
    (section,) = [entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict)]
    return section


def test_every_line_of_the_lock_is_an_exact_pin_without_url_path_or_local_version():
    pin = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.]*")
    assert [line for line in LOCK_LINES if not pin.fullmatch(line)] == []


def test_no_package_is_pinned_twice():
    assert len(PINS) == len(LOCK_LINES)


def test_the_lock_pins_torch_exactly():
    assert PINS["torch"] == "2.13.0"


@pytest.mark.parametrize("requirement", REQUIRED, ids=str)
def test_each_requirement_of_pyproject_is_satisfied_by_its_pin(requirement):
    assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])


def test_the_installed_environment_is_the_lock():
    installed = {name: Version(importlib.metadata.version(name)).public for name in PINS}
    assert installed == PINS


def test_conda_takes_nothing_but_python_and_pip_from_its_channels():
    assert CONDA["channels"] == ["conda-forge", "nodefaults"]
    assert [line.split()[0] for line in conda_lines()] == ["python", "pip"]


def test_conda_installs_the_lock_and_this_package_and_nothing_else():
    assert pip_lines() == ["-r requirements.lock", "-e ."]


def test_every_python_that_conda_may_choose_is_one_that_pyproject_allows():
    conda = SpecifierSet(conda_lines()[0].removeprefix("python "))
    pyproject = SpecifierSet(PROJECT["requires-python"])
    minors = [f"3.{minor}.0" for minor in range(30)]
    chosen = [version for version in minors if version in conda]
    assert chosen
    assert all(version in pyproject for version in chosen)
    assert minors.index(chosen[0]) == next(i for i, version in enumerate(minors) if version in pyproject)


def test_make_refuses_an_old_python_and_says_what_to_do(tmp_path):
    old = tmp_path / "python3.8"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.8.0" && exit 0\nexit 1\n')
    old.chmod(0o755)
    result = subprocess.run(
        ["make", "--no-print-directory", "-B", f"PYTHON={old}", "VENV=" + str(tmp_path / "venv"), "lint"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode != 0
    assert "needs Python 3.11 or newer" in result.stderr
    assert "Python 3.8.0" in result.stderr
    assert not (tmp_path / "venv").exists()


def test_make_without_a_target_lists_every_target():
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in set(phony.split()) - {"help"}:
        assert f"make {target}" in shown.stdout
