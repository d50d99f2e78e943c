"""Experience replay with a seed axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subcritic import seeding

# What minibatches are drawn with: each seed's own generator, or numbers drawn ahead from them.
Randomness = Sequence[np.random.Generator] | seeding.Draws


class Replay:
    """S ring buffers of `capacity` transitions; a transition is one packed row of named columns.

    columns: name → width, in the order of packing.
    """

    def __init__(
        self, seeds: int, capacity: int, columns: Mapping[str, int], dtype: torch.dtype = torch.float32
    ) -> None:
        self.columns = dict(columns)
        self.capacity = capacity
        self.added = 0
        self.rows = torch.zeros(seeds, capacity, sum(columns.values()), dtype=dtype)
        self._all_rows = self.rows.view(seeds * capacity, -1).numpy()
        self._offsets = np.arange(seeds)[:, None] * capacity
        self._widths = list(self.columns.values())
        ends = np.cumsum(self._widths)
        self._parts = {
            name: self.rows.numpy()[..., end - width : end]
            for (name, width), end in zip(self.columns.items(), ends, strict=True)
        }

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def add(self, transition: Mapping[str, Tensor]) -> None:
        """Store one transition per seed: every column (S, width)."""
        slot = self.added % self.capacity
        for name, part in self._parts.items():
            part[:, slot] = transition[name].numpy()
        self.added += 1

    def sample(
        self,
        batch_size: int,
        rngs: Randomness,
        consecutive: int = 1,
        newest: int | None = None,
    ) -> dict[str, Tensor]:
        """A minibatch, drawn with replacement by each seed's own generator: every column (S, B, width).

        newest: only from so many rows, those stored last.

        consecutive > 1 adds `following` (S, B, consecutive − 1, W): the packed rows stored after each. They may cross the
        end of an episode, or of what is stored; the caller must mask them.
        """
        return self.at(self._draw(batch_size, rngs, newest), consecutive)

    def at(self, slots: np.ndarray, consecutive: int = 1) -> dict[str, Tensor]:
        """The rows at slots (S, B), each below `len(self)`; otherwise as `sample`."""
        batch = self._gather(slots)
        if consecutive > 1:
            after = (slots[..., None] + np.arange(1, consecutive)) % self.capacity
            batch["following"] = self._rows(after.reshape(len(slots), -1)).view(*after.shape, -1)
        return batch

    def _draw(self, batch_size: int, rngs: Randomness, newest: int | None = None) -> np.ndarray:
        """Slots (S, B) of stored rows."""
        among = len(self) if newest is None else min(newest, len(self))
        drawn = (seeding.uniform(rngs, batch_size) * among).astype(np.int64)
        return drawn if newest is None else (self.added - 1 - drawn) % self.capacity

    def _gather(self, slots: np.ndarray) -> dict[str, Tensor]:
        return self.unpack(self._rows(slots))

    def _rows(self, slots: np.ndarray) -> Tensor:
        """Packed rows (S, B, W) at slots (S, B)."""
        return torch.from_numpy(self._all_rows.take(slots + self._offsets, axis=0))

    def unpack(self, rows: Tensor) -> dict[str, Tensor]:
        """Views of packed rows (…, W) by column name."""
        return dict(zip(self.columns, rows.split_with_sizes(self._widths, dim=-1), strict=True))

    def state_dict(self) -> dict[str, Any]:
        return {"added": self.added, "rows": self.rows[:, : len(self)].clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.added = state["added"]
        self.rows[:, : len(self)] = state["rows"]


class SharedReplay(Replay):
    """A replay that one thread writes while others sample, without a lock; no sampled row is half written.

    `begun` is increased before a row is written, `added` after it. A thread compares both after sampling, and draws again
    if one of its rows was written meanwhile (a sequence lock: Lameter 2005, "Effective synchronization on Linux/NUMA
    systems").
    """

    def __init__(
        self, seeds: int, capacity: int, columns: Mapping[str, int], dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__(seeds, capacity, columns, dtype)
        self.begun = 0

    def add(self, transition: Mapping[str, Tensor]) -> None:
        """Store one transition per seed; only one thread may do so."""
        self.begun = self.added + 1
        super().add(transition)

    def sample(
        self,
        batch_size: int,
        rngs: Randomness,
        consecutive: int = 1,
        newest: int | None = None,
    ) -> dict[str, Tensor]:
        """As `Replay.sample`, for any number of threads, each with its own generators; single rows of the whole replay only.

        Raises ValueError for consecutive > 1 or newest.
        """
        if consecutive > 1 or newest is not None:
            raise ValueError(
                f"consecutive = {consecutive}, newest = {newest}: a SharedReplay samples single rows, from the whole replay"
            )
        while True:
            before = self.added
            slots = self._draw(batch_size, rngs)
            batch = self._gather(slots)
            written_since = (slots - before) % self.capacity < self.begun - before
            if not written_since.any():
                return batch

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.begun = self.added
