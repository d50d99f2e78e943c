"""What a number depends on besides its config: the code, and the versions of what it was made with."""

from __future__ import annotations

import functools
import hashlib
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).parent
# What a trained number depends on; reports and tracking may change without touching it.
LEARNING = (
    "nn",
    "agents",
    "rules",
    "subcritics",
    "envs",
    "training",
    "stats/similarity.py",
    "stats/agreement.py",
    "replay.py",
    "exploration.py",
    "seeding.py",
)
# Modules of experiments/ that a stage's own module computes with.
SHARED = {
    "theorem": (
        "experiments/gradients.py",
        "experiments/interventions.py",
        "experiments/trajectory.py",
        "bellman.py",
    ),
    "asynchronous": ("experiments/comparison.py", "experiments/throughput.py"),
    "recurrent": ("experiments/comparison.py", "experiments/anchors.py"),
}
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


def stage_digest(stage: str) -> str:
    """The digest of all code that the results of a stage depend on."""
    return code_digest(*LEARNING, f"experiments/{stage}.py", "experiments/session.py", *SHARED.get(stage, ()))


def versions() -> dict[str, str]:
    """Installed versions of the packages that shape results."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
