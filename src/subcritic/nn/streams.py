"""Work that does not depend on each other, side by side on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

Result = TypeVar("Result")


def side_by_side(pieces: Sequence[Callable[[], Result]], device: torch.device) -> list[Result]:
    """What each piece returns. On a GPU every piece has a stream of its own, which begins when all work before is done, and
    later work waits for all; a capture of a CUDA graph keeps this order. On the CPU they come one after the other.
    """
    if device.type != "cuda":
        return [piece() for piece in pieces]
    current, found = torch.cuda.current_stream(), []
    streams = [torch.cuda.Stream() for _ in pieces]
    for stream, piece in zip(streams, pieces, strict=True):
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            found.append(piece())
    for stream in streams:
        current.wait_stream(stream)
    return found
