"""Experience replay with a seed axis: of vectors, of pictures, and one that threads share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subcritic import seeding

# What minibatches are drawn with: each seed's own generator, or numbers drawn ahead from them.
Randomness = Sequence[np.random.Generator] | seeding.Draws

# Columns of the pictures that an encoder reads.
PICTURES = ("picture", "next_picture")


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


class PictureReplay(Replay):
    """A replay of pictures of 8 bits, each of which is kept once: in the columns `picture` and `next_picture`.

    What is added lies in [0, 1], in steps of 1/255, what is sampled is uint8. A transition's next picture is that of the
    transition stored after it, and is kept beside only where that one begins with another: at the end of an episode, and of
    the newest one. A million transitions take 10⁶ bytes for each number of a picture, besides their other columns.
    """

    def __init__(
        self, seeds: int, capacity: int, columns: Mapping[str, int], dtype: torch.dtype = torch.float32
    ) -> None:
        others = {name: width for name, width in columns.items() if name not in PICTURES}
        super().__init__(seeds, capacity, others, dtype)
        self.pictures = np.zeros((seeds, capacity, columns[PICTURES[0]]), np.uint8)
        # (seed, slot) → the next picture of that row, where it is kept; and in which rows it is.
        self.ends: dict[tuple[int, int], np.ndarray] = {}
        self._is_end = np.zeros((seeds, capacity), bool)

    def add(self, transition: Mapping[str, Tensor]) -> None:
        seen, reached = (_bytes(transition[name].numpy()) for name in PICTURES)
        slot, before = self.added % self.capacity, (self.added - 1) % self.capacity
        self.pictures[:, slot] = seen
        for s, picture in enumerate(reached):
            kept = self.ends.get((s, before)) if self.added else None
            if kept is not None and np.array_equal(kept, seen[s]):
                self._keep(s, before, None)
            self._keep(s, slot, picture)
        super().add(transition)

    def _keep(self, seed: int, slot: int, picture: np.ndarray | None) -> None:
        self._is_end[seed, slot] = picture is not None
        if picture is None:
            self.ends.pop((seed, slot), None)
        else:
            self.ends[seed, slot] = picture.copy()

    def _gather(self, slots: np.ndarray) -> dict[str, Tensor]:
        flat = self.pictures.reshape(-1, self.pictures.shape[2])
        seen = flat.take(slots + self._offsets, axis=0)
        reached = flat.take((slots + 1) % self.capacity + self._offsets, axis=0)
        for s, row in np.argwhere(np.take_along_axis(self._is_end, slots, axis=1)):
            reached[s, row] = self.ends[int(s), int(slots[s, row])]
        pictures = (torch.from_numpy(seen), torch.from_numpy(reached))
        return super()._gather(slots) | dict(zip(PICTURES, pictures, strict=True))

    def state_dict(self) -> dict[str, Any]:
        places = np.array(list(self.ends), int).reshape(-1, 2)
        return super().state_dict() | {
            "pictures": torch.from_numpy(self.pictures[:, : len(self)].copy()),
            "places": torch.from_numpy(places),
            "ends": torch.from_numpy(np.array(list(self.ends.values()), np.uint8)),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.pictures[:, : len(self)] = state["pictures"].numpy()
        self.ends.clear()
        self._is_end[:] = False
        for (s, slot), picture in zip(state["places"].tolist(), state["ends"].numpy(), strict=True):
            self._keep(s, slot, picture)


def _bytes(picture: np.ndarray) -> np.ndarray:
    """Numbers k/255 in [0, 1] as k."""
    found: np.ndarray = np.rint(picture * 255).astype(np.uint8)
    return found


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
