"""Reading files that `torch.save` wrote: tensors, arrays and plain data. Nothing in them is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core.multiarray import _reconstruct, scalar  # type: ignore[attr-defined]

# What a pickled NumPy array or number is made by; torch knows tensors and plain data itself.
ARRAYS: list[Any] = [np.ndarray, np.dtype, _reconstruct, scalar]
ARRAYS += {type(np.dtype(code)) for code in np.typecodes["All"]}


class UnreadableFile(RuntimeError):
    """A file that is damaged, or asks for more than data; the message names it."""


def read(path: Path) -> Any:
    """The content of a file, tensors on the CPU.

    It may come from elsewhere: a file that asks for anything but tensors, NumPy arrays and plain data is refused before
    anything of it is made.

    Raises:
        UnreadableFile: it is damaged, or asks for something else.
    """
    try:
        with torch.serialization.safe_globals(ARRAYS):
            return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # a damaged file raises errors of many classes
        foreign = _foreign(path)
        reason = f"it asks for {', '.join(foreign)}" if foreign else f"{type(error).__name__}: {error}"
        raise UnreadableFile(f"{path}: not a file of tensors and plain data ({reason})") from None


def _foreign(path: Path) -> list[str]:
    """What a file asks for that is no data; none where that cannot be told."""
    try:
        with torch.serialization.safe_globals(ARRAYS):
            return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:
        return []
