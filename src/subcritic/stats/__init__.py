"""Statistics as pure functions of arrays: similarity, gradient agreement, bootstrap intervals."""

from .agreement import (
    Agreement,
    ScalarAgreement,
    agreement,
    permutation_without_fixed_points,
    scalar_agreement,
)
from .intervals import (
    CLEAR,
    Interval,
    bootstrap_interval,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    stratified_interval,
)
from .similarity import Similarity, first_crossing, pearson, similarity, window_mean

__all__ = [
    "CLEAR",
    "Agreement",
    "Interval",
    "ScalarAgreement",
    "Similarity",
    "agreement",
    "bootstrap_interval",
    "first_crossing",
    "interquartile_mean",
    "pearson",
    "performance_profile",
    "permutation_without_fixed_points",
    "probability_of_improvement",
    "scalar_agreement",
    "similarity",
    "stratified_interval",
    "window_mean",
]
