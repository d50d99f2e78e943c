"""Short sequences of the replay, cut where an episode ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor


@dataclass
class Sequences:
    """B sequences of T rows for each of S seeds.

    observation (S, B, T + 1, n_0): before every row, and after the last. action (S, B, T, n_L); reward, terminated
    (S, B, T, 1). valid (S, B, T, 1): 1 up to the end of the first row's episode, 0 afterwards. voltages (S, B, N): before
    the first row, as they were then. traces (S, B, T, size): see `MemoryTraces`.
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    valid: np.ndarray
    voltages: np.ndarray
    traces: np.ndarray

    @classmethod
    def of(cls, batch: Mapping[str, Tensor], columns: Mapping[str, int]) -> Self:
        """From a minibatch of replay rows and their `following`; columns: name → width, in the order of packing.

        A row's `time`, counted from 1 in every episode, and its `row`, counted from 1 in all, say which rows belong
        together.
        """
        parts = batch["following"].split(list(columns.values()), dim=-1)
        rows = {
            name: torch.cat((batch[name].unsqueeze(2), later), dim=2).double().numpy()
            for name, later in zip(columns, parts, strict=True)
        }
        next_time, next_row = (rows[name][:, :, 1:] == rows[name][:, :, :-1] + 1 for name in ("time", "row"))
        goes_on = (next_time & next_row).astype(float)
        return cls(
            # Where an episode goes on, a row's observation is what the row before led to.
            np.concatenate([rows["observation"][:, :, :1], rows["next_observation"]], axis=2),
            rows["action"],
            rows["reward"],
            rows["terminated"],
            np.concatenate([np.ones_like(goes_on[:, :, :1]), goes_on.cumprod(axis=2)], axis=2),
            rows["voltages"][:, :, 0],
            rows["traces"],
        )
