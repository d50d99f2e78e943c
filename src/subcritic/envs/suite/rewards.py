"""Functions that the rewards are composed of; all are pure and accept any leading axes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def near(distance: NDArray, width: float) -> NDArray:
    """1 / (1 + (distance / width)²): 1 at distance 0, 1/2 at `width`; smooth, with a gradient at every other distance."""
    return 1 / (1 + np.square(distance / width))


def effort(action: NDArray) -> NDArray:
    """Mean squared action, (..., nu) → (...) in [0, 1]."""
    return np.square(action).mean(axis=-1)
