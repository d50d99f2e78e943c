import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as scipy_stats

from subcritic.stats import (
    agreement,
    cosine,
    directional_cosine,
    limit_cosine,
    permutation_test,
    permutation_without_fixed_points,
    scalar_agreement,
)

numbers = st.floats(-100, 100, width=32)
gradients = st.integers(2, 30).flatmap(lambda n: arrays(float, (2, n), elements=numbers))


def long_enough(pair):
    return np.all(np.linalg.norm(pair, axis=-1) > 1e-2)


@given(gradients)
def test_proportionality_is_the_sine_of_the_angle(pair):
    assume(long_enough(pair))
    result = agreement(*pair)
    np.testing.assert_allclose(result.proportionality, np.sqrt(1 - result.cosine**2), atol=1e-6)


@given(gradients, st.floats(1e-3, 1e3))
def test_only_equality_and_scale_see_the_length_of_the_local_gradient(pair, factor):
    assume(long_enough(pair))
    plain, scaled = agreement(*pair), agreement(factor * pair[0], pair[1])
    np.testing.assert_allclose(scaled.cosine, plain.cosine, atol=1e-9)
    np.testing.assert_allclose(scaled.proportionality, plain.proportionality, atol=1e-6)
    np.testing.assert_allclose(scaled.scale * factor, plain.scale, rtol=1e-6, atol=1e-9)


@given(gradients)
def test_the_best_scale_is_no_worse_than_its_neighbours(pair):
    assume(long_enough(pair))
    local, global_ = pair
    result = agreement(local, global_)
    for other in (1.0, result.scale + 0.01, result.scale - 0.01):
        assert (
            np.linalg.norm(other * local - global_) / np.linalg.norm(global_)
            >= result.proportionality - 1e-12
        )


def test_equal_gradients_agree_in_every_measure():
    gradient = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(agreement(gradient, gradient), [0, 0, 1, 1, 1], atol=1e-12)


def test_opposite_gradients_are_proportional_with_a_negative_scale():
    gradient = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(agreement(-2 * gradient, gradient), [3, 0, -0.5, -1, -1], atol=1e-12)


def test_orthogonal_gradients_share_nothing():
    result = agreement([1.0, 0.0], [0.0, 1.0])
    np.testing.assert_allclose([result.equality, result.proportionality, result.scale], [np.sqrt(2), 1, 0])
    assert result.cosine == 0


def test_pearson_is_scipys_over_the_entries():
    local, global_ = np.random.default_rng(0).normal(size=(2, 40))
    np.testing.assert_allclose(
        agreement(local, global_).pearson, scipy_stats.pearsonr(local, global_).statistic
    )


def test_zero_gradients_give_nan_where_nothing_is_defined():
    some, zero = np.array([1.0, 2.0]), np.zeros(2)
    vanished_local = agreement(zero, some)
    np.testing.assert_array_equal(vanished_local[:3], [1, 1, 0])
    assert np.isnan(vanished_local.cosine) and np.isnan(vanished_local.pearson)
    assert np.all(np.isnan(agreement(some, zero)))


def test_one_entry_has_a_cosine_and_no_correlation():
    result = agreement([2.0], [-3.0])
    assert result.cosine == -1 and np.isnan(result.pearson)


def test_neurons_are_treated_one_by_one():
    local, global_ = np.random.default_rng(0).normal(size=(2, 3, 5, 20))
    together = agreement(local, global_)
    for index in np.ndindex(3, 5):
        alone = agreement(local[index], global_[index])
        np.testing.assert_allclose([field[index] for field in together], alone, rtol=1e-12)


def test_differing_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(3,\).*\(4,\)"):
        agreement(np.zeros(3), np.zeros(4))


def test_scalars_agree_in_correlation_and_sign_separately():
    result = scalar_agreement([1.0, 2.0, 3.0, 4.0], [-1.0, 1.0, 3.0, 5.0])
    np.testing.assert_allclose(result, [1.0, 0.75])


def test_a_constant_push_has_a_sign_and_no_correlation():
    result = scalar_agreement(np.full(4, 0.3), [-1.0, 1.0, 3.0, 5.0])
    assert np.isnan(result.pearson) and result.sign == 0.75


@given(st.integers(2, 20), st.integers(0, 2**32))
def test_a_derangement_is_a_permutation_that_moves_everything(n, seed):
    permutation = permutation_without_fixed_points(n, np.random.default_rng(seed))
    assert sorted(permutation) == list(range(n))
    assert np.all(permutation != np.arange(n))


def test_all_derangements_are_equally_likely():
    rng = np.random.default_rng(0)
    draws = [tuple(permutation_without_fixed_points(4, rng)) for _ in range(4500)]
    _, counts = np.unique(draws, axis=0, return_counts=True)
    assert len(counts) == 9
    assert scipy_stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_neurons_cannot_be_permuted(n):
    with pytest.raises(ValueError, match=f"n = {n}"):
        permutation_without_fixed_points(n, np.random.default_rng(0))


def flat_cosine(first, second):
    first, second = (np.concatenate([layer.ravel() for layer in side]) for side in (first, second))
    return first @ second / np.linalg.norm(first) / np.linalg.norm(second)


def two_layers(seed, agree):
    """Gradients of layers of 4 and 3 neurons; `agree`: how much of the true gradient is in the local one."""
    rng = np.random.default_rng(seed)
    true = [rng.normal(0, 1, (4, 3)), rng.normal(0, 1, (3, 5))]
    return [rng.normal(0, 1, layer.shape) + agree * layer for layer in true], true


@pytest.mark.parametrize("agree", [0.0, 1.0])
def test_a_permutation_test_is_the_loop_over_all_orders(agree):
    local, true = two_layers(0, agree)
    orders = list(itertools.product(itertools.permutations(range(4)), itertools.permutations(range(3))))
    everything = np.array([
        [
            flat_cosine([local[0][list(first)]], true[:1]),
            flat_cosine([local[1][list(second)]], true[1:]),
            flat_cosine([local[0][list(first)], local[1][list(second)]], true),
        ]
        for first, second in orders
    ])  # fmt: skip
    found = permutation_test(local, true, 20_000, np.random.default_rng(1))
    np.testing.assert_allclose(found.cosine, everything[0], atol=1e-12)
    np.testing.assert_allclose(found.permuted, everything.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(found.p, (everything >= everything[0] - 1e-12).mean(axis=0), atol=0.02)


def test_p_values_of_unrelated_gradients_are_uniform():
    found = [
        permutation_test(*two_layers(seed, 0.0), 199, np.random.default_rng(seed)).p[-1]
        for seed in range(600)
    ]
    assert scipy_stats.kstest(found, "uniform").pvalue > 0.01


def test_a_layer_of_one_neuron_has_no_p_and_zero_gradients_have_nothing():
    rng = np.random.default_rng(0)
    one, more = rng.normal(0, 1, (1, 4)), rng.normal(0, 1, (5, 4))
    found = permutation_test([more, one], [more, one], 99, rng)
    np.testing.assert_array_equal(np.isnan(found.p), [False, True, False])
    assert found.p[0] == found.p[2] == 0.01 and found.permuted[1] == pytest.approx(1)
    assert np.isnan(permutation_test([one], [one], 99, rng).p).all()
    zero = permutation_test([0 * more], [more], 99, rng)
    assert all(np.isnan(values).all() for values in zero)


@pytest.mark.parametrize("noise", [0.5, 5.0])
def test_the_limit_cosine_is_that_of_the_expectations(noise):
    rng = np.random.default_rng(0)
    true = rng.normal(0, 1, (3, 400))
    bias = true + rng.normal(0, 0.7, true.shape)
    samples = bias + noise * rng.normal(0, 1, (200, *true.shape))
    around = true + 0.3 * rng.normal(0, 1, (200, *true.shape))
    expected = np.sum(true * bias, axis=-1) / np.linalg.norm(true, axis=-1) / np.linalg.norm(bias, axis=-1)
    np.testing.assert_allclose(limit_cosine(samples, around), expected, atol=0.03)
    np.testing.assert_allclose(limit_cosine(samples, samples), 1)


def test_the_limit_cosine_is_undefined_where_noise_hides_the_expectation():
    rng = np.random.default_rng(0)
    true = np.ones((10, 2, 50))
    samples = np.stack(
        [true[:, 0] + 0.1 * rng.normal(0, 1, (10, 50)), 100 * rng.normal(0, 1, (10, 50))], axis=1
    )
    found = limit_cosine(samples, true)
    assert found[0] > 0.99 and np.isnan(found[1])
    assert np.isnan(limit_cosine(samples[:1], true[:1])).all(), "one sample says nothing of its noise"


def test_a_directional_cosine_is_found_from_derivatives_and_corrected_for_start_states():
    rng = np.random.default_rng(0)
    size, count, episodes = 300, 20_000, 8
    shared = rng.normal(0, 1, size)
    gradients = shared + 3 * rng.normal(0, 1, (episodes, size))
    guess = shared + rng.normal(0, 1, size)
    along = rng.normal(0, 1, (count, size))
    derivatives = gradients @ (guess / np.linalg.norm(guess) * np.sqrt(size))
    found = directional_cosine(derivatives, along @ gradients.T, size)
    assert found.played == pytest.approx(float(cosine(guess, gradients.mean(axis=0))), rel=0.03)
    between = (gradients @ gradients.T)[~np.eye(episodes, dtype=bool)].mean()
    assert found.reliability == pytest.approx(between / np.square(gradients.mean(axis=0)).sum(), rel=0.05)
    assert found.cosine == pytest.approx(found.played / np.sqrt(found.reliability))
    alone = directional_cosine(derivatives, 5 * rng.normal(0, 1, (count, episodes)), size)
    assert np.isnan(alone.cosine) and np.isfinite(alone.played), "start states have nothing in common"
    assert np.isnan(directional_cosine(0 * derivatives, np.zeros((3, episodes)), size).played)
    with pytest.raises(ValueError, match="at least 2 start states"):
        directional_cosine(derivatives[:1], along @ gradients[:1].T, size)
