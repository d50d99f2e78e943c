"""Stacked networks: where their weights start, whose randomness they use, and what shares memory with what."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from subcritic import seeding
from subcritic.nn import MLP

SPEC = MLP((3, 40, 30, 2), "relu", "tanh", side=(2, 5), output_init=3e-3)


def init(spec, seeds):
    return spec.init(seeding.generators(seeds, "test"), torch.float64)


def bounds(spec):
    """Lillicrap et al. 2016, section 7: ±1/√fan-in, the second input counted in; the last layer ±output_init."""
    found = [1 / math.sqrt(n_in) for n_in, _ in spec.shapes()]
    return found if spec.output_init is None else [*found[:-1], spec.output_init]


@pytest.mark.parametrize("spec", [SPEC, MLP((4, 50, 60, 20))], ids=["with output_init", "without"])
def test_weights_and_biases_start_uniform_within_their_bounds(spec):
    params = init(spec, range(20))
    for weight, bias, bound in zip(params.weights, params.biases, bounds(spec), strict=True):
        for drawn in (weight, bias):
            assert drawn.abs().max() <= bound
            assert drawn.abs().max() > 0.9 * bound
            # A uniform variable on ±b has variance b²/3; five standard errors of that estimate (kurtosis 1.8).
            error = 5 * math.sqrt(0.8 / drawn.numel())
            assert drawn.square().mean().item() == pytest.approx(bound**2 / 3, rel=error)


def test_the_second_input_widens_the_layer_it_joins_and_no_other():
    assert SPEC.shapes() == [(3, 40), (45, 30), (30, 2)]
    params, x, side = init(SPEC, [0]), torch.randn(1, 6, 3).double(), torch.randn(1, 6, 5).double()
    changed = SPEC.forward(params, x, side + 1)
    same = SPEC.forward(params, x, side)
    assert torch.equal(changed.h[1], same.h[1])
    assert not torch.equal(changed.h[2], same.h[2])


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=4, unique=True), st.data())
@settings(max_examples=25, deadline=None)
def test_a_seed_starts_the_same_whoever_its_neighbours_are(seeds, data):
    chosen = data.draw(st.sampled_from(seeds))
    together, alone = init(SPEC, seeds), init(SPEC, [chosen])
    assert torch.equal(together.flat[seeds.index(chosen)], alone.flat[0])


def test_different_seeds_start_differently():
    flat = init(SPEC, range(5)).flat
    correlation = np.corrcoef(flat[:, :1000].numpy()) - np.eye(5)
    assert np.abs(correlation).max() < 5 / math.sqrt(1000)


def test_weights_and_biases_are_views_that_cover_the_flat_vector_once():
    params = SPEC.parameters(seeds=2)
    for part in (*params.weights, *params.biases):
        part += 1
    assert torch.equal(params.flat, torch.ones_like(params.flat))
    params.flat.copy_(torch.arange(params.flat.numel()).view_as(params.flat))
    parts = zip(params.weights, params.biases, strict=True)
    packed = torch.cat([part.flatten(1) for pair in parts for part in pair], dim=1)
    assert torch.equal(packed, params.flat)


@given(st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_polyak_averaging_moves_a_target_by_its_share_and_leaves_the_other_alone(polyak):
    target, online = init(SPEC, [0, 1]), init(SPEC, [2, 3])
    start, goal = target.flat.clone(), online.flat.clone()
    target.move_towards(online, polyak)
    torch.testing.assert_close(target.flat, polyak * goal + (1 - polyak) * start, rtol=0, atol=1e-12)
    assert torch.equal(online.flat, goal)
    assert torch.equal(target.weights[0].flatten(1), target.flat[:, :120]), "the views must see the move"


def test_a_stacked_forward_pass_is_each_network_run_alone():
    params = init(SPEC, [0, 1, 2])
    x, side = torch.randn(3, 7, 3).double(), torch.randn(3, 7, 5).double()
    stacked = SPEC.forward(params, x, side)
    for s in range(3):
        alone = SPEC.forward(SPEC.views(params.flat[s : s + 1]), x[s : s + 1], side[s : s + 1])
        for ours, theirs in zip(stacked.h, alone.h, strict=True):
            torch.testing.assert_close(ours[s : s + 1], theirs, rtol=0, atol=1e-12)
