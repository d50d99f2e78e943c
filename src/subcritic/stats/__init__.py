"""Statistics as pure functions of arrays: similarity, gradient agreement, bootstrap intervals."""

from .agreement import (
    Agreement,
    DirectionalCosine,
    PermutationTest,
    ScalarAgreement,
    agreement,
    directional_cosine,
    limit_cosine,
    permutation_test,
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
from .similarity import Similarity, cosine, first_crossing, pearson, similarity, window_mean

__all__ = [
    "CLEAR",
    "Agreement",
    "DirectionalCosine",
    "Interval",
    "PermutationTest",
    "ScalarAgreement",
    "Similarity",
    "agreement",
    "bootstrap_interval",
    "cosine",
    "directional_cosine",
    "first_crossing",
    "interquartile_mean",
    "limit_cosine",
    "pearson",
    "performance_profile",
    "permutation_test",
    "permutation_without_fixed_points",
    "probability_of_improvement",
    "scalar_agreement",
    "similarity",
    "stratified_interval",
    "window_mean",
]
