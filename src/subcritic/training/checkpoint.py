"""Checkpoints: written whole or not at all, and never mixed with another config's."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from subcritic import stored

# Bytes of free space below which a failed write is put down to the full disk.
NEARLY_NOTHING = 2**20


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be written; the message names the file and the reason."""


def save(path: Path, identity: str, state: dict[str, Any]) -> None:
    """Write to a temporary file beside `path`, then rename. Raises CheckpointError, leaving the old one in place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            stored.write(file, {"identity": identity, "state": state})
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except TypeError as error:
        temporary.unlink(missing_ok=True)
        raise CheckpointError(f"{path}: the training could not be continued from it: {error}") from error
    except (OSError, RuntimeError) as error:
        # torch reports a full disk as an internal error of its archive writer.
        full = shutil.disk_usage(path.parent).free < NEARLY_NOTHING
        reason = "No space left on the disk" if full else error
        temporary.unlink(missing_ok=True)
        raise CheckpointError(
            f"{path}: the checkpoint could not be written ({reason}); the previous one is kept. "
            "Free some space and run the same command again"
        ) from error


def load(path: Path, identity: str) -> dict[str, Any] | None:
    """The state saved under `identity`; None when there is none, or it belongs to another config or code, or is damaged.

    Says on stderr why a file that is there is not used.
    """
    if not path.exists():
        return None
    try:
        # What was on a device is copied back to it by who takes it.
        saved = stored.read(path)
        found, state = saved["identity"], saved["state"]
    except (stored.UnreadableFile, LookupError, TypeError) as error:
        print(f"{path}: unreadable checkpoint ({error}); starting anew", file=sys.stderr)
        return None
    if found != identity:
        print(f"{path}: made by another configuration or version of the code; starting anew", file=sys.stderr)
        return None
    return state
