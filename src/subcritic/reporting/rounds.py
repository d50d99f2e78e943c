"""Rounds in which learners took turns, at several sizes of network and minibatch."""

from __future__ import annotations

import pandas as pd

SETTING = ["hidden", "batch"]


def settings(table: pd.DataFrame) -> list[tuple[str, int]]:
    """The (hidden, batch) measured, in the order of measurement."""
    return list(dict.fromkeys(zip(table["hidden"], table["batch"], strict=True)))
