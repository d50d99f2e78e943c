"""Intervals: their simulated coverage, against second implementations, and at their edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as scipy_stats

from subcritic.stats import (
    interquartile_mean,
    jackknife_interval,
    median_interval,
    performance_profile,
    probability_of_improvement,
    t_interval,
)

matrices = arrays(float, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=st.integers(-5, 5))
# Chances that a run solves its task, and what a run scores that fails.
CHANCES, FAILED = (0.5, 0.6, 0.7, 0.8, 0.9), (0.0, -0.3)


def normal(rng, shape):
    return rng.normal(0.5, 0.3, shape), 0.5


def solved_or_failed(rng, shape, chance, failed):
    """Scores near 1 with probability `chance`, near `failed` else; and their mean."""
    solved = rng.random(shape) < chance
    return np.where(solved, 1.0, failed) + rng.normal(0, 0.02, shape), chance + (1 - chance) * failed


def coverage(interval, truth):
    return np.mean((interval.low <= truth) & (truth <= interval.high))


def one_by_one(interval, samples):
    """The coverage of an interval that takes one sample; samples: (repeats, runs, tasks)."""
    return np.mean([coverage(interval(sample), truth) for sample, truth in samples])


@pytest.mark.parametrize("seeds", [5, 10])
def test_the_t_interval_covers_the_mean_of_a_normal_as_often_as_it_says(seeds):
    samples, mean = normal(np.random.default_rng(0), (seeds, 20_000))
    assert coverage(t_interval(samples), mean) == pytest.approx(0.95, abs=0.005)
    assert coverage(t_interval(samples, confidence=0.8), mean) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize("failed", FAILED)
@pytest.mark.parametrize("chance", CHANCES)
def test_with_a_failed_run_added_it_covers_the_mean_of_scores_that_are_solved_or_failed(
    seeds, failed, chance
):
    samples, mean = solved_or_failed(np.random.default_rng(0), (seeds, 20_000), chance, failed)
    assert coverage(t_interval(samples, added=0.0), mean) >= 0.93


@pytest.mark.parametrize("seeds", [5, 10])
def test_with_a_failed_run_added_it_covers_the_mean_of_a_normal(seeds):
    samples, mean = normal(np.random.default_rng(0), (seeds, 20_000))
    for shift in (-0.5, 0.0, 0.5, 5.0):
        assert coverage(t_interval(samples + shift, added=0.0), mean + shift) >= 0.94


@pytest.mark.parametrize("chance", CHANCES)
def test_without_it_samples_of_which_all_are_solved_miss_the_mean(chance):
    """The bound that no interval made from the spread alone can exceed, 1 − chance^seeds, nearly reached."""
    samples, mean = solved_or_failed(np.random.default_rng(0), (10, 20_000), chance, -0.3)
    assert min(0.94, 1 - chance**10) - 0.015 < coverage(t_interval(samples), mean) < 1 - chance**10 + 0.01


DIFFERENCES = {  # of two methods, by the chances that each solves the task, or of one that does and one that is normal
    "none": lambda rng, shape: rng.normal(0.0, 0.3, shape),
    "small": lambda rng, shape: rng.normal(0.2, 0.3, shape),
    "sure": lambda rng, shape: rng.normal(1.0, 0.05, shape),
    "0.9, 0.5": lambda rng, shape: np.subtract(*(rng.random((2, *shape)) < [[[0.9]], [[0.5]]]), dtype=float),
    "0.9, 0.1": lambda rng, shape: np.subtract(*(rng.random((2, *shape)) < [[[0.9]], [[0.1]]]), dtype=float),
    "0.7, normal": lambda rng, shape: (rng.random(shape) < 0.7) - rng.normal(0.5, 0.2, shape),
    "0.9, normal": lambda rng, shape: (rng.random(shape) < 0.9) - rng.normal(0.5, 0.2, shape),
}


@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize("kind", DIFFERENCES)
def test_with_a_seed_without_difference_added_it_covers_paired_differences(seeds, kind):
    rng = np.random.default_rng(0)
    mean = DIFFERENCES[kind](rng, (1, 1_000_000)).mean()
    assert coverage(t_interval(DIFFERENCES[kind](rng, (seeds, 20_000)), added=0.0), mean) >= 0.93


@pytest.mark.parametrize(("seeds", "bound"), [(5, 0.90), (10, 0.92)])
@pytest.mark.parametrize("chance", [None, *CHANCES])
def test_the_interval_of_the_interquartile_mean_over_three_tasks(seeds, bound, chance):
    """Covers what the statistic tends to with many seeds. Its bias with few seeds is the reason for less than 95 %."""
    rng = np.random.default_rng(0)

    def draw(runs):
        shape = (runs, 3)
        return normal(rng, shape)[0] if chance is None else solved_or_failed(rng, shape, chance, -0.1)[0]

    truth = interquartile_mean(draw(100_000))
    samples = ((draw(seeds), truth) for _ in range(1_000))
    assert one_by_one(lambda s: jackknife_interval(interquartile_mean, s, added=0.0), samples) >= bound


@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize("tasks", [1, 3])
@pytest.mark.parametrize("gain", [0.0, 1.0, 2.0, "solves"])
def test_the_interval_of_the_probability_of_improvement(seeds, tasks, gain):
    """A run that ties with all others is added. Also where a method's runs are paired with the baseline's by seed."""
    rng = np.random.default_rng(0)

    def draw(runs):
        shared, own, other = rng.normal(size=(3, runs, tasks))
        if gain == "solves":
            return (own < 1.28) + 0.02 * shared, (other < 0) + 0.02 * rng.normal(size=shared.shape)
        return shared + own + gain * 2**0.5, shared + other

    scores, baseline = draw(300_000)
    truth = np.mean(scores > np.roll(baseline, 1, axis=0))
    samples = ((draw(seeds), truth) for _ in range(1_000))

    def interval(sample):
        return jackknife_interval(probability_of_improvement, *sample, added=np.nan)

    assert one_by_one(interval, samples) >= 0.93


@pytest.mark.parametrize("seeds", [6, 10, 11])
def test_the_interval_of_a_median_covers_at_least_what_it_says_whatever_the_distribution(seeds):
    samples = np.random.default_rng(0).exponential(size=(2_000, seeds))
    assert one_by_one(median_interval, ((sample, np.log(2)) for sample in samples)) >= 0.945


def test_the_t_interval_is_scipys():
    values = np.random.default_rng(0).exponential(size=(12, 3))
    expected = scipy_stats.ttest_1samp(values, 0).confidence_interval(0.9)
    np.testing.assert_allclose(t_interval(values, confidence=0.9), expected)
    ours = t_interval(values, added=-1.0)
    extended = np.concatenate([values, np.full((1, 3), -1.0)])
    np.testing.assert_allclose(ours, scipy_stats.ttest_1samp(extended, 0).confidence_interval())


@given(arrays(float, st.integers(2, 8), elements=st.integers(-5, 5)), st.sampled_from([None, 0.0, 3.0]))
def test_the_jackknife_of_a_mean_is_the_t_interval_which_holds_the_mean(values, added):
    found = jackknife_interval(np.mean, values[:, None], added=added)
    np.testing.assert_allclose(found, t_interval(values, added=added), atol=1e-9)
    assert found.low <= values.mean() + 1e-9 and values.mean() <= found.high + 1e-9


def test_the_jackknife_leaves_out_a_seed_in_all_tasks_and_methods_at_once():
    """Tasks that share their seeds' luck: the interval is that of one task, however many copies there are."""
    scores = np.random.default_rng(0).normal(size=(8, 1))
    one = jackknife_interval(np.mean, scores)
    np.testing.assert_allclose(jackknife_interval(np.mean, np.tile(scores, 5)), one)
    equal = jackknife_interval(lambda ours, theirs: np.mean(ours - theirs), scores + 1, scores)
    np.testing.assert_allclose(equal, [1, 1])


def test_the_median_lies_between_order_statistics_as_in_scipys_test_of_a_quantile():
    values = np.random.default_rng(0).normal(size=15)
    expected = scipy_stats.quantile_test(values, q=0, p=0.5).confidence_interval(0.95)
    np.testing.assert_array_equal(median_interval(values), expected)


def test_from_few_seeds_the_median_lies_between_the_smallest_and_the_largest():
    np.testing.assert_array_equal(median_interval([3.0, 1.0, 2.0, 9.0, 4.0]), [1.0, 9.0])


def test_a_wider_confidence_gives_a_wider_interval():
    values = np.random.default_rng(0).normal(size=10)
    for interval in (t_interval, median_interval):
        narrow, wide = (interval(values, confidence=level) for level in (0.5, 0.99))
        assert wide.low < narrow.low < narrow.high < wide.high


def test_one_seed_has_no_interval():
    assert np.all(np.isnan(t_interval([3.0]))) and np.all(np.isnan(t_interval([3.0], added=0.0)))
    assert np.all(np.isnan(median_interval([3.0])))
    assert np.all(np.isnan(jackknife_interval(interquartile_mean, [[3.0, 4.0]], added=0.0)))


def test_constant_scores_have_an_interval_without_width_unless_a_run_is_added():
    values = np.ones(10)
    np.testing.assert_array_equal(t_interval(values), [1, 1])
    np.testing.assert_array_equal(median_interval(values), [1, 1])
    low, high = t_interval(values, added=0.0)
    assert low == pytest.approx(10 / 11 - scipy_stats.t.ppf(0.975, 10) / 11) and high > 1
    np.testing.assert_array_equal(t_interval(np.zeros(10), added=0.0), [0, 0])


@pytest.mark.parametrize(("seeds", "told"), [(3, False), (4, True)])
def test_a_difference_can_be_told_from_none_from_four_seeds_on(seeds, told):
    assert (t_interval(np.ones(seeds), added=0.0).low > 0) == told


def test_the_runs_of_all_matrices_must_be_the_same():
    with pytest.raises(ValueError, match="same runs"):
        jackknife_interval(probability_of_improvement, np.zeros((2, 3)), np.zeros((3, 3)))


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


def test_an_unknown_score_ties_with_all():
    assert probability_of_improvement([[np.nan], [1.0]], [[0.0], [0.0]]) == 0.75


def test_certain_improvement_has_probability_one():
    scores = np.array([[1.0, 2.0], [1.5, 2.5]])
    assert probability_of_improvement(scores + 10, scores) == 1
    assert jackknife_interval(probability_of_improvement, scores + 10, scores) == (1, 1)


def test_improvement_needs_the_same_tasks():
    with pytest.raises(ValueError, match="same tasks"):
        probability_of_improvement(np.zeros((2, 3)), np.zeros((2, 4)))


def test_performance_profile_counts_the_runs_above():
    scores = np.array([[0.0, 1.0], [0.5, 1.0]])
    np.testing.assert_allclose(performance_profile(scores, [-1.0, 0.2, 0.5, 2.0]), [1, 0.75, 0.5, 0])


def test_scores_must_be_runs_by_tasks():
    with pytest.raises(ValueError, match="runs, tasks"):
        interquartile_mean([1.0, 2.0])
