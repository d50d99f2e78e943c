"""Products are what they say for narrow and for wide matrices, lone rows and several seeds."""

import pytest
import torch

from subcritic.nn.products import add_outer, add_product, affine, product

SEEDS, N_IN = 2, 7
# Columns on both sides of where a product is turned, and rows: the acting neuron's single one, and a minibatch.
shapes = pytest.mark.parametrize(("rows", "columns"), [(1, 6), (1, 30), (20, 1), (20, 6), (20, 11), (20, 30)])


def draw(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


@shapes
def test_products_equal_sums_over_indices(rows, columns):
    v, weight, bias = draw(SEEDS, rows, N_IN), draw(SEEDS, N_IN, columns), draw(SEEDS, 1, columns)
    expected = (v.unsqueeze(-1) * weight.unsqueeze(1)).sum(dim=2)
    assert expected.shape == (SEEDS, rows, columns)
    torch.testing.assert_close(product(v, weight), expected, rtol=0, atol=1e-12)
    out = draw(SEEDS, rows, columns)
    torch.testing.assert_close(add_product(out.clone(), v, weight), expected + out, rtol=0, atol=1e-12)
    assert add_product(out, v, weight) is out
    torch.testing.assert_close(affine(bias, v, weight), expected + bias, rtol=0, atol=1e-12)
    torch.testing.assert_close(affine(bias, v, weight, scale=2), 2 * (expected + bias), rtol=0, atol=1e-12)


@shapes
@pytest.mark.parametrize("n_in", [3, 20])
def test_an_outer_product_is_added_to_views_of_a_larger_tensor(rows, columns, n_in):
    flat = draw(SEEDS, 5 + n_in * columns)
    weight, before = flat[:, 5:].view(SEEDS, n_in, columns), flat.clone()
    v, signal = draw(SEEDS, rows, n_in), draw(SEEDS, rows, columns)
    add_outer(weight, v, signal, 0.3)
    expected = (v.unsqueeze(-1) * signal.unsqueeze(2)).sum(dim=1) * 0.3
    moved = (flat - before)[:, 5:].view_as(weight)
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-12)
    assert torch.equal(flat[:, :5], before[:, :5])
