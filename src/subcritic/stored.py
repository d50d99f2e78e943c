"""Files of tensors and plain data: what is written to one can be read again, and nothing in one that is read is run."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

# What stands in a file for an array: a dict with this key, whose value is the same numbers as a tensor. PyTorch reads arrays
# only where it is allowed to make any dtype, which a crafted file could misuse.
ARRAY = "numpy array"
NUMBERS = "biuf"
PLAIN = (type(None), bool, int, float, str, bytes, Tensor)
TOGETHER = (list, tuple, set, frozenset)


class UnreadableFile(RuntimeError):
    """A file that is damaged, or asks for more than data; the message names it."""


def write(file: IO[bytes] | Path, content: Any) -> None:
    """Write tensors, arrays of numbers, and plain data (None, numbers, text, bytes) in dicts, lists, tuples and sets.

    Raises:
        TypeError: there is something else in it, which could not be read; the message says where.
    """
    torch.save(_packed(content, ""), file)


def read(path: Path) -> Any:
    """The content of a file, tensors on the CPU. It may come from elsewhere.

    Raises:
        UnreadableFile: it is damaged, or asks for something that is no data; nothing of it was made then.
    """
    try:
        return _unpacked(torch.load(path, weights_only=True, map_location="cpu"))
    except Exception as error:  # a damaged file raises errors of many classes
        foreign = _foreign(path)
        reason = f"it asks for {', '.join(foreign)}" if foreign else f"{type(error).__name__}: {error}"
        raise UnreadableFile(f"{path}: not a file of tensors and plain data ({reason})") from None


def _packed(content: Any, where: str) -> Any:
    kind = type(content)
    if isinstance(content, np.generic):
        return {**_packed(np.array(content), where), "scalar": True}
    if isinstance(content, np.ndarray) and content.dtype.kind in NUMBERS:
        # The same memory, unless that is read-only or runs backwards, which tensors cannot.
        return {ARRAY: torch.from_numpy(np.require(content, requirements=["C", "W"]))}
    if isinstance(content, dict):
        return {key: _packed(value, f"{where}[{key!r}]") for key, value in content.items()}
    if kind in TOGETHER:
        return kind(_packed(value, f"{where}[{i}]") for i, value in enumerate(content))
    if isinstance(content, Tensor) or kind in PLAIN:
        return content
    raise TypeError(
        f"{where or 'the content'} is a {kind.__module__}.{kind.__qualname__}; what is kept must be tensors, arrays, "
        "numbers, text, bytes or None, in dicts, lists, tuples or sets"
    )


def _unpacked(content: Any) -> Any:
    if isinstance(content, dict):
        if ARRAY in content:
            array = content[ARRAY].numpy()
            return array[()] if content.get("scalar") else array
        return {key: _unpacked(value) for key, value in content.items()}
    if type(content) in TOGETHER:
        return type(content)(_unpacked(value) for value in content)
    return content


def _foreign(path: Path) -> list[str]:
    """What a file asks for that is no data; none where that cannot be told."""
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:
        return []
