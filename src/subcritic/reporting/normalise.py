"""Scores with the uniform random policy at 0 and the reference return at 1."""

from __future__ import annotations

import numpy as np
import pandas as pd

from subcritic.stats import CLEAR

NO_REFERENCE = "no reference return: raw only"
UNCLEAR_REFERENCE = f"reference within {CLEAR:g} standard errors of random: raw only"


def normalise(scores: np.ndarray, anchor: pd.Series) -> np.ndarray:
    """Scores with the uniform random policy at 0 and the reference at 1; NaN where the anchors are not clear."""
    if why_raw_only(anchor):
        return np.full_like(scores, np.nan, dtype=float)
    return (scores - anchor["random_mean"]) / (anchor["reference_return"] - anchor["random_mean"])


def why_raw_only(anchor: pd.Series) -> str:
    """Why an environment's scores cannot be normalised; empty when they can."""
    if np.isnan(anchor["reference_return"]):
        return NO_REFERENCE
    distance = anchor["reference_return"] - anchor["random_mean"]
    error = np.hypot(anchor["random_standard_error"], anchor.get("reference_standard_error", 0.0))
    clear = distance >= CLEAR * error and distance > 0
    return "" if clear else UNCLEAR_REFERENCE
