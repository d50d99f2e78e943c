import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as scipy_stats

from subcritic.stats import first_crossing, similarity, window_mean

numbers = st.floats(-1e3, 1e3, width=32)
pairs = st.integers(3, 30).flatmap(lambda n: arrays(float, (2, n), elements=numbers))


def not_nearly_constant(*series):
    return all(np.std(one) > 1e-3 * (1 + np.abs(one).max()) for one in series)


@given(pairs)
def test_correlations_are_scipys(pair):
    values, reference = pair
    assume(not_nearly_constant(values, reference))
    result = similarity(values, reference)
    np.testing.assert_allclose(result.pearson, scipy_stats.pearsonr(values, reference).statistic, atol=1e-9)
    np.testing.assert_allclose(result.spearman, scipy_stats.spearmanr(values, reference).statistic, atol=1e-9)


@given(pairs)
def test_affine_r2_is_pearson_squared_and_that_of_a_least_squares_line(pair):
    values, reference = pair
    assume(not_nearly_constant(values, reference))
    result = similarity(values, reference)
    np.testing.assert_allclose(result.affine_r2, result.pearson**2, atol=1e-9)
    fit = np.polyval(np.polyfit(values, reference, 1), values)
    np.testing.assert_allclose(result.affine_r2, 1 - np.var(reference - fit) / np.var(reference), atol=1e-6)


@given(pairs, st.floats(0.1, 10), st.floats(-100, 100))
def test_an_affine_change_of_values_leaves_the_correlations(pair, scale, shift):
    values, reference = pair
    assume(not_nearly_constant(values, reference))
    plain, changed = similarity(values, reference), similarity(scale * values + shift, reference)
    np.testing.assert_allclose(changed.pearson, plain.pearson, atol=1e-6)
    np.testing.assert_allclose(changed.affine_r2, plain.affine_r2, atol=1e-6)


def test_nrmse_is_zero_for_equal_values_and_one_for_the_mean():
    reference = np.array([1.0, 2.0, 6.0])
    assert similarity(reference, reference).nrmse == 0
    np.testing.assert_allclose(similarity(np.full(3, reference.mean()), reference).nrmse, 1.0)
    assert similarity(reference + 5, reference).nrmse > similarity(reference + 1, reference).nrmse > 0


def test_leading_axes_are_treated_one_by_one():
    rng = np.random.default_rng(0)
    values, reference = rng.normal(size=(2, 4, 3, 50))
    together = similarity(values, reference)
    for index in np.ndindex(4, 3):
        alone = similarity(values[index], reference[index])
        np.testing.assert_allclose([field[index] for field in together], alone, rtol=1e-12)


def test_one_reference_serves_many_critics():
    rng = np.random.default_rng(1)
    reference, noise = rng.normal(size=50), rng.normal(size=(5, 50))
    result = similarity(reference + noise * np.arange(5)[:, None], reference)
    assert result.pearson.shape == (5,)
    np.testing.assert_allclose(result.pearson[0], 1.0)
    assert result.pearson[4] < 0.9


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e8])
def test_a_constant_has_no_correlation(constant):
    values, varying = np.full(7, constant), np.arange(7.0)
    result = similarity(values, varying)
    assert np.isnan(result.pearson) and np.isnan(result.spearman)
    assert result.affine_r2 == 0
    result = similarity(varying, values)
    assert np.all(np.isnan(result))


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e150])
def test_correlation_survives_tiny_and_huge_numbers(scale):
    values = np.array([1.0, 2.0, 4.0, 3.0])
    np.testing.assert_allclose(similarity(values * scale, values).pearson, 1.0)


def test_differing_numbers_of_states_are_refused():
    with pytest.raises(ValueError, match=r"\(3,\), \(4,\)"):
        similarity(np.zeros(3), np.zeros(4))


def test_window_mean_averages_what_there_is_and_then_the_window():
    np.testing.assert_allclose(window_mean([1.0, 3.0, 5.0, 7.0], 2), [1, 2, 4, 6])
    np.testing.assert_allclose(window_mean([1.0, 3.0, 5.0, 7.0], 100), [1, 2, 3, 4])


def test_window_mean_leaves_nan_out():
    np.testing.assert_allclose(window_mean([np.nan, 3.0, np.nan, 7.0], 2), [np.nan, 3, 3, 7])


@given(arrays(float, st.integers(1, 20), elements=numbers), st.integers(1, 25))
def test_window_mean_is_the_plain_loop(series, window):
    loop = [series[max(0, end - window) : end].mean() for end in range(1, len(series) + 1)]
    np.testing.assert_allclose(window_mean(series, window), loop, atol=1e-9)


def test_window_below_one_is_refused():
    with pytest.raises(ValueError, match="window = 0"):
        window_mean([1.0], 0)


def test_first_crossing_is_the_first_step_at_the_threshold_or_nan():
    steps = [100, 200, 300]
    series = np.array([[0.1, 0.9, 0.2], [0.1, 0.2, 0.3], [np.nan, np.nan, 0.95]])
    np.testing.assert_array_equal(first_crossing(steps, series, 0.9), [200, np.nan, 300])
    with pytest.raises(ValueError, match="steps"):
        first_crossing([1, 2], series, 0.9)
