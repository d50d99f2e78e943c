"""Statistics as pure functions of arrays: similarity, gradient agreement, intervals over seeds."""

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
    interquartile_mean,
    jackknife_interval,
    median_interval,
    performance_profile,
    probability_of_improvement,
    t_interval,
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
    "cosine",
    "directional_cosine",
    "first_crossing",
    "interquartile_mean",
    "jackknife_interval",
    "limit_cosine",
    "median_interval",
    "pearson",
    "performance_profile",
    "permutation_test",
    "permutation_without_fixed_points",
    "probability_of_improvement",
    "scalar_agreement",
    "similarity",
    "t_interval",
    "window_mean",
]
