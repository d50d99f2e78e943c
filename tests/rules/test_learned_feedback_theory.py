"""Proposition 7 of docs/theory.md: feedback learned from noise, by the correlation rule and by the residual rule."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from subcritic.nn import MLP

SIZES, HIDDEN = (3, 4, 3, 2), 7
EXACT = {"rtol": 0, "atol": 1e-10}


def actor_of(number, scale=0.7, states=6):
    actor = MLP(SIZES, "tanh", "identity")  # the output is z_L
    rng = np.random.default_rng(number)
    flat = scale * torch.from_numpy(rng.normal(size=(1, actor.parameters(1).flat.shape[1])))
    return actor, actor.views(flat), torch.from_numpy(rng.normal(size=(1, states, SIZES[0])))


def move(actor, params, observation, xi):
    """z_L of every state with noise ξ (1, B, HIDDEN) on the hidden neurons, (1, B, n_L)."""
    noise = [*xi.split(list(SIZES[1:-1]), dim=-1), None]
    return actor.forward(params, observation, perturbation=noise).output


def jacobian(actor, params, observation, xi):
    """∂z_L/∂h_n of all hidden neurons, (B, n_L, HIDDEN), at noise ξ."""
    xi = xi.clone().requires_grad_()
    z = move(actor, params, observation, xi)
    parts = [torch.autograd.grad(z[..., i].sum(), xi, retain_graph=True)[0][0] for i in range(SIZES[-1])]
    return torch.stack(parts, dim=1)


def quadrature(nodes, sigma, active):
    """Nodes ξ (k, HIDDEN), noise on the `active` neurons only, and weights (k,)."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    grid = np.stack(np.meshgrid(*[points] * len(active), indexing="ij"), axis=-1).reshape(-1, len(active))
    product = np.stack(np.meshgrid(*[weights / weights.sum()] * len(active), indexing="ij"), axis=-1)
    xi = np.zeros((len(grid), HIDDEN))
    xi[:, active] = sigma * grid
    return torch.from_numpy(xi), torch.from_numpy(product.reshape(-1, len(active)).prod(axis=1))


def over_states(actor, params, observation, xi):
    """Every state with every node: observation (1, B k, n_0), ξ (1, B k, HIDDEN)."""
    states, count = observation.shape[1], len(xi)
    return observation.repeat_interleave(count, dim=1), xi.repeat(states, 1)[None]


# The fixed point.


@pytest.mark.parametrize("number", range(3))
def test_both_rules_stand_still_at_the_mean_jacobian_of_the_noisy_network(number):
    actor, params, observation = actor_of(number)
    active, sigma = [0, 2, 4, 6], 0.2  # neurons of both hidden layers
    xi, weights = quadrature(12, sigma, active)
    observation, xi = over_states(actor, params, observation, xi)
    weights = weights.repeat(observation.shape[1] // len(weights)) / (observation.shape[1] // len(weights))
    mean = torch.einsum("b,bin->in", weights, jacobian(actor, params, observation, xi))[:, active]
    deviation = (move(actor, params, observation, xi) - move(actor, params, observation, 0 * xi))[0]
    xi = xi[0][:, active]
    correlation = torch.einsum("b,bi,bn->in", weights, deviation, xi) - mean * sigma**2
    residual = torch.einsum("b,bi,bn->in", weights, deviation - xi @ mean.T, xi)
    assert mean.abs().max() > 0.1
    for step in (correlation, residual):
        torch.testing.assert_close(step, torch.zeros_like(step), **EXACT)


def test_for_the_last_hidden_layer_the_fixed_point_is_its_weights_at_any_noise():
    actor, params, observation = actor_of(0)
    last = list(range(SIZES[1], HIDDEN))
    xi, weights = quadrature(3, 2.0, last)
    observation, xi = over_states(actor, params, observation, xi)
    weights = weights.repeat(6) / 6
    deviation = (move(actor, params, observation, xi) - move(actor, params, observation, 0 * xi))[0]
    feedback = torch.einsum("b,bi,bn->in", weights, deviation, xi[0][:, last]) / 4
    torch.testing.assert_close(feedback, params.weights[-1][0].T, **EXACT)


# One linear response Δz = J ξ, many replicas of learning at once. x = η σ²; noise in units of σ.


def learn(rule, effect, x, draws, steps, replicas, rng, start=0.0, spread=0.0):
    """B − J of every replica after each step, (steps, replicas, N). spread: of J over states, per neuron."""
    error = np.full((replicas, len(effect)), start) if np.isscalar(start) else start.copy()
    path = []
    for _ in range(steps):
        xi = rng.normal(size=(replicas, draws, len(effect)))
        deviation = xi @ effect
        if spread:
            deviation = deviation + (spread * rng.normal(size=xi.shape) * xi).sum(axis=2)
        feedback = effect + error
        if rule == "residual":
            error = (
                error
                + x * np.einsum("rbn,rb->rn", xi, deviation - np.einsum("rbn,rn->rb", xi, feedback)) / draws
            )
        else:
            error = error + x * (
                np.einsum("rbn,rb->rn", xi, deviation) / draws - feedback * (xi**2).mean(axis=1)
            )
        path.append(error)
    return np.stack(path)


def stationary(path):
    """The mean of ‖B − J‖² over the second half, and its standard error over replicas."""
    squares = (path[len(path) // 2 :] ** 2).sum(axis=2).mean(axis=0)
    return squares.mean(), squares.std() / np.sqrt(len(squares))


@pytest.mark.parametrize(("neurons", "draws", "x"), [(4, 16, 0.3), (16, 16, 0.1), (64, 16, 0.1)])
def test_the_correlation_rules_variance_is_that_of_the_proposition_and_grows_with_the_number_of_neurons(
    neurons, draws, x
):
    rng = np.random.default_rng(0)
    effect = rng.normal(size=neurons)
    found, deviation = stationary(learn("correlation", effect, x, draws, steps=160, replicas=150, rng=rng))
    expected = x * (neurons - 1) / (draws * (2 - x * (1 + 2 / draws))) * (effect @ effect)
    assert abs(found - expected) < 4 * deviation
    assert deviation < 0.05 * expected


@pytest.mark.parametrize(("neurons", "draws", "x"), [(4, 16, 0.5), (16, 16, 0.4), (64, 16, 0.2)])
def test_the_residual_rules_variance_is_that_of_the_spread_of_the_jacobian_alone(neurons, draws, x):
    rng = np.random.default_rng(0)
    effect, spread = 3 + rng.normal(size=neurons), 0.2
    found, deviation = stationary(
        learn("residual", effect, x, draws, steps=160, replicas=150, rng=rng, spread=spread)
    )
    total = neurons * spread**2
    expected = x * (neurons + 2) * total / (draws * (2 - x * (1 + (neurons + 1) / draws)))
    assert abs(found - expected) < 4 * deviation
    assert deviation < 0.05 * expected


@pytest.mark.parametrize(("neurons", "draws"), [(8, 32), (64, 64), (256, 64)])
def test_without_spread_the_residual_rule_arrives_exactly_at_its_step_size_of_the_page(neurons, draws):
    rng = np.random.default_rng(0)
    x = 1 / (1 + np.sqrt(neurons / draws)) ** 2
    path = learn("residual", rng.normal(size=neurons), x, draws, 400, 3, rng, start=1.0)
    squares = (path**2).sum(axis=2)
    assert (squares[-1] < 1e-20).all()
    assert (np.diff(squares, axis=0) <= 1e-25).all()  # the error grows in no batch


@pytest.mark.parametrize("x", [0.1, 0.4, 0.8])
@pytest.mark.parametrize(("neurons", "draws"), [(1, 4), (20, 40), (60, 30)])
def test_one_step_of_the_residual_rule_multiplies_the_expected_square_error_by_the_factor_of_the_page(
    neurons, draws, x
):
    rng = np.random.default_rng(0)
    start = np.tile(rng.normal(size=neurons), (4000, 1))
    (after,) = learn("residual", rng.normal(size=neurons), x, draws, 1, 4000, rng, start=start)
    ratio = (after**2).sum(axis=1) / (start[0] @ start[0])
    expected = 1 - 2 * x + x**2 * (1 + (neurons + 1) / draws)
    assert abs(ratio.mean() - expected) < 4 * ratio.std() / np.sqrt(len(ratio))


@pytest.mark.parametrize(("neurons", "draws"), [(40, 40), (120, 40)])
def test_below_the_bound_on_the_step_size_the_residual_rule_converges_and_above_it_diverges(neurons, draws):
    rng = np.random.default_rng(0)
    bound = 2 / (1 + (neurons + 1) / draws)
    assert bound < 2  # with the mean of the covariance alone, every x < 2 would converge
    effect = rng.normal(size=neurons)
    below, above = (
        (learn("residual", effect, part * bound, draws, 150, 8, rng, start=1.0) ** 2).sum(axis=2)
        for part in (0.85, 1.15)
    )
    assert (below[-1] < 1e-3 * below[0]).all()
    assert (above[-1] > 1e3 * above[0]).all()


@pytest.mark.parametrize(("neurons", "draws"), [(100, 400), (300, 300), (900, 300)])
def test_the_largest_eigenvalue_of_the_sample_covariance_is_that_of_marchenko_and_pastur(neurons, draws):
    xi = np.random.default_rng(0).normal(size=(draws, neurons))
    largest = np.linalg.norm(xi, ord=2) ** 2 / draws
    assert abs(largest / (1 + np.sqrt(neurons / draws)) ** 2 - 1) < 0.05


# Backpropagation with the mean Jacobian.


def local_gradients(number, scale):
    """Per-neuron true and learned-feedback gradients, and what the bound is made of."""
    actor, params, observation = actor_of(number, scale, states=40)
    network = actor.forward(params, observation)
    effects = jacobian(actor, params, observation, torch.zeros(1, 40, HIDDEN, dtype=torch.float64))
    mean = effects.mean(dim=0, keepdim=True)
    error = torch.from_numpy(np.random.default_rng([number, 1]).normal(size=(40, SIZES[-1])))
    error = error + 2 * torch.tanh(network.output[0])  # related to the state
    found = []
    for layer, columns in ((0, slice(0, SIZES[1])), (1, slice(SIZES[1], HIDDEN))):
        slopes = 1 - network.activations[layer][0] ** 2
        v = network.inputs[layer][0]
        parts = [torch.einsum("bi,bin,bn,bk->bnk", error, part[..., columns], slopes, v)
                 for part in (effects, mean.expand_as(effects))]  # fmt: skip
        eligibility = torch.einsum("bi,bn,bk->bink", error, slopes, v)
        spread = (effects - mean)[..., columns]
        found.append((parts[0].mean(0), parts[1].mean(0), eligibility, spread, effects[..., columns]))
    return found


@pytest.mark.parametrize("number", range(5))
def test_learned_feedback_misses_the_covariance_of_the_jacobian_with_the_rest_and_nothing_for_the_last_layer(
    number,
):
    below, last = local_gradients(number, 0.8)
    for true, learned, eligibility, _, effects in (below, last):
        centred = eligibility - eligibility.mean(dim=0, keepdim=True)
        covariance = torch.einsum("bin,bink->nk", effects, centred) / len(effects)
        torch.testing.assert_close(true - learned, covariance, rtol=0, atol=1e-12)
    assert last[3].abs().max() < 1e-12
    assert (below[0] - below[1]).abs().max() > 1e-4


def bounded(number, scale):
    """cos of the first layer's learned with its true gradient, and the bound r of the page."""
    true, learned, eligibility, spread, _ = local_gradients(number, scale)[0]
    cosine = (true * learned).sum() / (true.norm() * learned.norm())
    size = eligibility.square().sum(dim=(1, 3)).mean(dim=0)  # E[|e|² σ'² |v|²], (n,)
    bound = (spread.square().sum(dim=1).mean(dim=0) * size).sum().sqrt() / true.norm()
    return float(cosine), float(bound)


@settings(max_examples=40, deadline=None)
@given(number=st.integers(0, 10_000), scale=st.floats(0.05, 0.3))
def test_the_cosine_is_at_least_what_the_spread_of_the_jacobian_allows(number, scale):
    cosine, bound = bounded(number, scale)
    if bound < 1:
        assert cosine >= np.sqrt(1 - bound**2) - 1e-9


def test_the_bound_on_the_cosine_says_something_and_tightens_as_the_network_becomes_linear():
    bounds = [np.median([bounded(number, scale)[1] for number in range(20)]) for scale in (0.3, 0.1)]
    assert bounds[0] < 0.9 and bounds[1] < 0.25 * bounds[0]
