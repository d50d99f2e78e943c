import numpy as np
import pytest

from subcritic import seeding
from subcritic.nn import compiled
from subcritic.nn.normal import normals


def drawn(seeds, shape):
    return normals(seeding.generators(seeds, "normal"), shape)


def test_compiled_numbers_are_those_of_the_formula():
    found = drawn([0, 1], (1001, 33))
    with compiled.off():
        expected = drawn([0, 1], (1001, 33))
    # float32 rounds the angle to 2e-7, times a length of up to 5.8.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=4e-6)


def test_they_are_normal_and_independent():
    numbers = drawn([3], (400_000, 2))[0].astype(float)
    moments = [(numbers**power).mean() for power in (1, 2, 3, 4)]
    np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=0.02)
    assert abs((numbers[:200_000] * numbers[200_000:]).mean()) < 0.01
    assert abs((numbers[:, 0] ** 2 * numbers[:, 1] ** 2).mean() - 1) < 0.02
    assert np.mean(np.abs(numbers) > 3) == pytest.approx(0.0027, abs=0.0003)


def test_a_seed_draws_the_same_beside_others():
    np.testing.assert_array_equal(drawn([2], (7, 5))[0], drawn([0, 1, 2], (7, 5))[2])
