"""Folders that are there whole or not at all."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def replaced(folder: Path, check: Callable[[], object] = lambda: None) -> Iterator[Path]:
    """A new folder to write to; at the end it takes the place of `folder`, which stays as it is if anything is raised.

    check: called with the new folder in its place; if it raises, the old one is put back.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    # On the same disk, so that both only get other names.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
        new = Path(beside) / "new"
        new.mkdir()
        yield new
        old = Path(beside) / "old"
        try:
            if folder.exists():
                folder.rename(old)
            new.rename(folder)
            check()
        except BaseException:
            if not new.exists() and folder.exists():
                folder.rename(new)
            if old.exists():
                old.rename(folder)
            raise
