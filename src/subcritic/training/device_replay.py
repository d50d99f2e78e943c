"""Experience replay whose rows lie on a device."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from subcritic.nn.devices import to_device
from subcritic.replay import Randomness, Replay


class DeviceReplay(Replay):
    """A Replay on a device. Which rows are drawn is decided on the CPU, by the same random numbers; they are gathered there.

    Adding comes in two parts, so that rows can be drawn between them: `reserve` a slot, `write` to it.
    """

    def __init__(
        self,
        seeds: int,
        capacity: int,
        columns: Mapping[str, int],
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.columns, self.capacity, self.added = dict(columns), capacity, 0
        self.rows = torch.zeros(seeds, capacity, sum(columns.values()), dtype=dtype, device=device)
        self._widths = list(self.columns.values())
        self._first = torch.arange(seeds, device=device).unsqueeze(1) * capacity

    def reserve(self) -> int:
        """The slot of the next transition, which counts as stored from now on."""
        self.added += 1
        return (self.added - 1) % self.capacity

    def write(self, slot: int, transition: Mapping[str, Tensor]) -> None:
        """Store one transition per seed, on the device: every column (S, width)."""
        self.rows[:, slot] = torch.cat([transition[name] for name in self.columns], dim=-1)

    def add(self, transition: Mapping[str, Tensor]) -> None:
        self.write(self.reserve(), transition)

    def slots(self, batch_size: int, rngs: Randomness, newest: int | None = None) -> np.ndarray:
        """Where the rows of a minibatch are, (S, B), drawn as `sample` does."""
        return self._draw(batch_size, rngs, newest)

    def at(self, slots: np.ndarray, consecutive: int = 1) -> dict[str, Tensor]:
        return self.gather(to_device(slots, self.rows.device), consecutive)

    def gather(self, slots: Tensor, consecutive: int = 1) -> dict[str, Tensor]:
        """As `at`, for slots that are on the device."""
        batch = self.unpack(self._rows_at(slots))
        if consecutive > 1:
            ahead = torch.arange(1, consecutive, device=slots.device)
            after = (slots.unsqueeze(-1) + ahead) % self.capacity
            batch["following"] = self._rows_at(after.flatten(1)).view(*after.shape, -1)
        return batch

    def _rows_at(self, slots: Tensor) -> Tensor:
        """Packed rows (S, B, W) at slots (S, B)."""
        found = self.rows.flatten(0, 1).index_select(0, (slots + self._first).flatten())
        return found.view(*slots.shape, -1)
