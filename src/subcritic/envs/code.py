"""What the code of an environment is: what makes its results stale when it changes."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib
from importlib import metadata, util
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, find_highest_version, get_env_id, parse_env_id

from subcritic import provenance
from subcritic.envs import suite
from subcritic.envs.errors import UnusableEnvironment
from subcritic.envs.make import explained, register_atari

# Import names of simulators: another version of one may move the same bodies differently.
PHYSICS = ("Box2D", "ale_py", "brax", "dm_control", "mujoco", "pybullet", "pymunk")


def code_of(environment_id: str) -> dict[str, Any]:
    """What defines an environment, as JSON-able data for a digest; nothing of it is run.

    - `files`: for an environment of this package, the files of ours it consists of, relative to the package. They are
      named here and hashed by who makes the digest.
    - `entry`: of a task of the suite, what the list of tasks says of it, its time limit for one.
    - `packages`: name and version of the installed distribution it comes from, and of the simulators it imports.
    - `source`: for a package that did not come from an index (editable, or a plain module on the path), twelve hex digits
      over the files of the top-level package or module that holds its entry point. They are hashed as bytes: there a
      comment counts too, and so do files that are not Python, such as a model in XML.

    An id `module:Name` imports the module. Raises UnusableEnvironment for an unknown id, and where no source is found.
    """
    entry = suite.entry(environment_id)
    module = f"{suite.__name__}.{entry.family}" if entry else _module(_spec(environment_id))
    package = module.partition(".")[0]
    packages = {name: _version(name) for top in _physics(module) for name in _distributions(top)}
    if package == provenance.PACKAGE.name:
        own = Path(*module.split(".")[1:]).with_suffix(".py")
        files = [
            path.relative_to(provenance.PACKAGE).as_posix() for path in provenance.sources(own.as_posix())
        ]
        if entry:
            # The list of tasks is no part of a digest, so that a new one changes none; what it says of this one is.
            files += ["envs/suite/environment.py", "envs/suite/task.py"]
        return {
            "files": files,
            "packages": packages | {"gymnasium": _version("gymnasium")},
            **({"entry": list(entry)} if entry else {}),
        }
    installed = _distributions(package)
    packages |= {name: _version(name) for name in installed}
    if installed and all(_from_an_index(name) for name in installed):
        return {"packages": packages}
    return {"packages": packages, "source": source_digest(package, environment_id)}


def _spec(environment_id: str) -> EnvSpec:
    module, _, name = environment_id.rpartition(":")
    if name.startswith("ALE/"):
        register_atari(environment_id)
    with explained(environment_id):
        if module:
            importlib.import_module(module)
        namespace, base, version = parse_env_id(name)
        newest = find_highest_version(namespace, base) if version is None else version
        return gym.spec(get_env_id(namespace, base, newest))


def _module(spec: EnvSpec) -> str:
    """The module of an entry point: a string `module:name`, a class, a function, or a partial of one."""
    entry: Any = spec.entry_point
    if entry is None:
        raise UnusableEnvironment(
            f"{spec.id!r} is registered without an entry point for a single environment"
        )
    if isinstance(entry, str):
        return entry.partition(":")[0]
    while isinstance(entry, functools.partial):
        entry = entry.func
    return entry.__module__


def _physics(module: str) -> set[str]:
    """Simulators that a module imports, or the modules beside it (in its package) that it imports."""
    beside = module.rpartition(".")[0] or module
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for imported in _imported(name):
            top = imported.partition(".")[0]
            if top in PHYSICS:
                found.add(top)
            elif f"{imported}.".startswith(f"{beside}."):
                waiting.append(imported)
    return found


def _imported(module: str) -> frozenset[str]:
    """Absolute names in the import statements of a module; of `from a import b`, both a and a.b."""
    file = _file(module)
    if file is None or file.suffix != ".py":
        return frozenset()
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    return _names(file.read_bytes(), package)


@functools.cache
def _names(source: bytes, package: str) -> frozenset[str]:
    """What `_imported` says, of the source of a module; parsed once for all jobs that ask."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = util.resolve_name("." * node.level + (node.module or ""), package)
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def _file(module: str) -> Path | None:
    """The file of a module, found without importing its package; None where the name is none (a class, say)."""
    top, *steps = module.split(".")
    spec = _top_level(top)
    if not steps and spec and spec.origin and Path(spec.origin).is_file():
        return Path(spec.origin)
    for folder in _folders(spec):
        path = folder.joinpath(*steps)
        for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
            if steps and file.is_file():
                return file
    return None


def _top_level(package: str) -> ModuleSpec | None:
    try:
        return util.find_spec(package)
    except ValueError:  # a module without a spec, such as __main__
        return None


def _folders(spec: ModuleSpec | None) -> list[Path]:
    """Where the modules of a top-level package lie; empty for a module."""
    return [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []


@functools.cache
def _version(distribution: str) -> str:
    return metadata.version(distribution)


@functools.cache
def _distributions(package: str) -> list[str]:
    """Installed distributions that provide a top-level package or module.

    As `metadata.packages_distributions` finds them, which reads everything about all of them.
    """
    found = (distribution for distribution in metadata.distributions() if _provides(distribution, package))
    return sorted({distribution.metadata["Name"] for distribution in found})


def _provides(distribution: metadata.Distribution, package: str) -> bool:
    declared = distribution.read_text("top_level.txt")
    if declared:
        return package in declared.split()
    record = distribution.read_text("RECORD") or ""
    paths = (line.partition(",")[0] for line in record.splitlines() if line.startswith(package))
    return any(
        path == f"{package}.py" or (path.startswith(f"{package}/") and path.endswith(".py")) for path in paths
    )


def _from_an_index(distribution: str) -> bool:
    """Whether name and version say what was installed; pip writes where it came from if it was a folder or an address."""
    return metadata.distribution(distribution).read_text("direct_url.json") is None


def source_digest(package: str, environment_id: str) -> str:
    """Twelve hex digits over the names and bytes of the files of a top-level package or module, bytecode left out."""
    hashed = hashlib.sha256()
    for root, file in _source_files(package, environment_id):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        hashed.update(f"{file.relative_to(root).as_posix()} {content}\n".encode())
    return hashed.hexdigest()[:12]


def _source_files(package: str, environment_id: str) -> list[tuple[Path, Path]]:
    """(folder searched, file) of a top-level package or module."""
    folders = _folders(_top_level(package))
    if folders:
        return [
            (folder, file)
            for folder in folders
            for file in sorted(folder.rglob("*"))
            if _counts(folder, file)
        ]
    file = _file(package)
    if file is None:
        raise UnusableEnvironment(
            f"{environment_id!r} is registered by {package!r}, whose source cannot be found; register it in a module on "
            "Python's path"
        )
    return [(file.parent, file)]


def _counts(folder: Path, file: Path) -> bool:
    parts = file.relative_to(folder).parts
    return file.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in parts)
