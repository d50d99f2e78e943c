"""Folders that are there whole or not at all."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A new folder to write to; at the end it takes the place of `folder`, which stays as it is if anything is raised."""
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    # On the same disk, so that both only get other names.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
        new = Path(beside) / "new"
        new.mkdir()
        yield new
        if folder.exists():
            folder.rename(Path(beside) / "old")
        new.rename(folder)
