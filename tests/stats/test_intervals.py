import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as scipy_stats

from subcritic.stats import (
    bootstrap_interval,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    stratified_interval,
)

matrices = arrays(float, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=st.integers(-5, 5))


def test_interval_is_that_of_scipys_percentile_bootstrap():
    values = np.random.default_rng(0).exponential(size=12)
    expected = scipy_stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    ours = bootstrap_interval(values, resamples=20_000, rng=2)
    np.testing.assert_allclose(ours, expected, atol=0.02)


def test_interval_of_three_seeds_is_that_of_all_27_resamples():
    values = np.array([1.0, 5.0, 30.0])
    means = [np.mean(draw) for draw in itertools.product(values, repeat=3)]
    expected = np.quantile(means, [0.1, 0.9], method="inverted_cdf")
    np.testing.assert_allclose(bootstrap_interval(values, confidence=0.8, resamples=20_000), expected)


def test_interval_covers_the_mean_of_a_normal_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(20, 400))
    low, high = bootstrap_interval(samples, resamples=500, rng=rng)
    assert 0.88 < np.mean((low < 0) & (high > 0)) < 0.97


def test_interval_of_any_statistic_and_of_every_column():
    values = np.random.default_rng(0).normal(size=(9, 4))
    together = bootstrap_interval(values, np.median, resamples=300, rng=5)
    alone = bootstrap_interval(values[:, 2], np.median, resamples=300, rng=5)
    np.testing.assert_array_equal([together.low[2], together.high[2]], alone)


def test_a_wider_confidence_gives_a_wider_interval():
    values = np.random.default_rng(0).normal(size=10)
    narrow, wide = (bootstrap_interval(values, confidence=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_one_seed_has_no_interval():
    assert np.all(np.isnan(bootstrap_interval([3.0])))
    assert np.all(np.isnan(stratified_interval(interquartile_mean, [[3.0, 4.0]])))


@given(matrices)
def test_interquartile_mean_is_scipys_trimmed_mean(scores):
    np.testing.assert_allclose(
        interquartile_mean(scores), scipy_stats.trim_mean(scores.ravel(), 0.25), atol=1e-12
    )


def test_interquartile_mean_ignores_an_outlier():
    assert interquartile_mean([[1.0, 1.0], [1.0, 1e9]]) == 1.0


@given(st.data())
def test_probability_of_improvement_is_mann_and_whitneys(data):
    scores = data.draw(matrices)
    baseline = data.draw(arrays(float, (3, scores.shape[1]), elements=st.integers(-5, 5)))
    us = [
        scipy_stats.mannwhitneyu(scores[:, task], baseline[:, task], method="asymptotic").statistic
        if np.ptp(np.concatenate([scores[:, task], baseline[:, task]])) > 0
        else len(scores) * 3 / 2
        for task in range(scores.shape[1])
    ]
    expected = np.mean(us) / (len(scores) * 3)
    np.testing.assert_allclose(probability_of_improvement(scores, baseline), expected, atol=1e-12)


@given(matrices)
def test_a_method_improves_on_itself_half_the_time(scores):
    assert probability_of_improvement(scores, scores) == pytest.approx(0.5)


def test_certain_improvement_has_probability_one():
    scores = np.array([[1.0, 2.0], [1.5, 2.5]])
    assert probability_of_improvement(scores + 10, scores) == 1
    assert stratified_interval(probability_of_improvement, scores + 10, scores) == (1, 1)


def test_improvement_needs_the_same_tasks():
    with pytest.raises(ValueError, match="same tasks"):
        probability_of_improvement(np.zeros((2, 3)), np.zeros((2, 4)))


def test_performance_profile_counts_the_runs_above():
    scores = np.array([[0.0, 1.0], [0.5, 1.0]])
    np.testing.assert_allclose(performance_profile(scores, [-1.0, 0.2, 0.5, 2.0]), [1, 0.75, 0.5, 0])


def test_stratified_interval_keeps_every_task_in_every_resample():
    """Tasks differ by 100, runs by at most 1: mixing tasks would widen the interval far beyond 1."""
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=(6, 3)) + np.array([0.0, 100.0, 200.0])
    low, high = stratified_interval(lambda resampled: resampled.mean(axis=(-2, -1)), scores)
    assert 100 < low < scores.mean() < high < 101


def test_stratified_interval_of_a_mean_is_that_of_resampling_each_task():
    scores = np.random.default_rng(0).normal(size=(4, 2))
    rng = np.random.default_rng(1)
    means = [np.mean([rng.choice(task, 4).mean() for task in scores.T]) for _ in range(5000)]
    low, high = stratified_interval(lambda s: s.mean(axis=(-2, -1)), scores, confidence=0.9, resamples=5000)
    np.testing.assert_allclose([low, high], np.quantile(means, [0.05, 0.95]), atol=0.06)


def test_scores_must_be_runs_by_tasks():
    with pytest.raises(ValueError, match="runs, tasks"):
        interquartile_mean([1.0, 2.0])
