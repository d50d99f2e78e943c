"""One-way connections between processes: a buffer in shared memory, and a count of all that was written into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerContext
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Seconds after which one who waits looks whether those it waits for still live.
LOOK_EVERY = 1.0

_BYTES, _MESSAGES, _CLOCK = range(3)


class Link:
    """From one process to another: at most one message lies in it, float32 numbers alone.

    numbers: how many a message may have. A message carries the sender's clock, see `Endpoint`, beside its numbers, and
    nothing that says what they are: whoever receives it knows.
    """

    def __init__(self, context: ForkServerContext, numbers: int) -> None:
        # Neither has a lock of its own: only one process writes, and the semaphores say when.
        self._numbers: Any = context.RawArray("f", numbers)
        self._counts: Any = context.RawArray("q", 3)
        self._empty, self._full = context.Semaphore(1), context.Semaphore(0)

    @property
    def bytes(self) -> int:
        """Bytes of numbers that were written so far."""
        return int(self._counts[_BYTES])

    @property
    def messages(self) -> int:
        return int(self._counts[_MESSAGES])

    def send(self, tensors: Sequence[Tensor], clock: int, look: Callable[[], None]) -> None:
        """Write a message as soon as the one before was read. look: called while waiting, to raise if that is in vain."""
        _wait(self._empty, look)
        buffer, at = np.frombuffer(self._numbers, np.float32), 0
        for tensor in tensors:
            part = buffer[at : at + tensor.numel()]
            part[:] = tensor.reshape(-1).numpy()
            self._counts[_BYTES] += part.nbytes
            at += part.size
        self._counts[_MESSAGES] += 1
        self._counts[_CLOCK] = clock
        self._full.release()

    def receive(
        self, shapes: Sequence[tuple[int, ...]], look: Callable[[], None]
    ) -> tuple[list[Tensor], int]:
        """The next message as tensors of these shapes, and the clock it carries."""
        _wait(self._full, look)
        buffer, at, found = np.frombuffer(self._numbers, np.float32), 0, []
        for shape in shapes:
            size = int(np.prod(shape))
            found.append(torch.from_numpy(buffer[at : at + size].copy()).view(shape))
            at += size
        clock = int(self._counts[_CLOCK])
        self._empty.release()
        return found, clock


class Endpoint:
    """A process's end of its links, with a clock that counts messages one after the other (Lamport 1978).

    A message carries the number of messages that had to come one after the other until it arrives, itself counted:
    `longest` is the largest number that was seen here.
    """

    def __init__(self, look: Callable[[], None]) -> None:
        self._look, self._clock, self.longest = look, 0, 0

    def begin(self) -> None:
        """Count from 0 again, for the next update."""
        self._clock = 0

    def send(self, link: Link, *tensors: Tensor) -> None:
        link.send(tensors, self._clock + 1, self._look)

    def receive(self, link: Link, *shapes: tuple[int, ...]) -> list[Tensor]:
        found, clock = link.receive(shapes, self._look)
        self._clock = max(self._clock, clock)
        self.longest = max(self.longest, self._clock)
        return found


def _wait(semaphore: Any, look: Callable[[], None]) -> None:
    while not semaphore.acquire(timeout=LOOK_EVERY):
        look()
