"""Proposition 6 of docs/theory.md: a neuron's own noise times a TD error is the policy gradient of the noisy policy.

On small decision processes that are solved exactly: expectations over noise are sums over the nodes of Gauss-Hermite rules.
"""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from subcritic.nn import MLP, Voltages
from subcritic.nn.activations import slope

STATES, DISCOUNT = 4, 0.9
# Layers of the actor, and nodes per neuron: enough for ten digits.
SHAPES = {"2-2-1": ((2, 2, 1), 22), "2-1-2-1": ((2, 1, 2, 1), 14)}
ALL = torch.arange(STATES)[:, None]
EXACT = {"rtol": 0, "atol": 1e-10}


def normal(number, *shape):
    return torch.from_numpy(np.random.default_rng(number).normal(size=shape))


class Process:
    """Four states and an end: P(s′|s, a) is a softmax of linear functions of a, r(s, a, s′) is quadratic in a."""

    def __init__(self, number, aliased):
        self.features = normal([number, 0], STATES, 2)
        if aliased:  # the actor cannot tell state 1 from state 0
            self.features[1] = self.features[0]
        self.offset, self.pull, self.gain = normal([number, 1], 3, STATES, STATES + 1)

    def outcomes(self, states, action):
        """P and r of every next state: states (m, 1 or k), action (m, k, 1) to (m, k, STATES + 1); the last is the end."""
        chances = torch.softmax(self.offset[states] + self.pull[states] * action, dim=-1)
        return chances, 2 * self.gain[states] * (1 + action) - 0.5 * action**2


@dataclass
class Solved:
    """A noisy policy solved: P and r in every state and node, V (STATES,), Σ γ^t P(s_t = s), and the return J."""

    chances: torch.Tensor
    rewards: torch.Tensor
    values: torch.Tensor
    visits: torch.Tensor
    objective: torch.Tensor
    network: Voltages

    def error(self, baseline=0.0, after=None):
        """E[D | s, ξ], D = r + γ (1 − terminated) V(s′) − b, (STATES, nodes, 1 or n). after: in place of V(s′)."""
        after = self.values if after is None else after
        future = (self.chances[..., :-1] * after).sum(-1, keepdim=True)
        return (self.chances * self.rewards).sum(-1, keepdim=True) + DISCOUNT * future - baseline


class Problem:
    """A process and an actor with noise of standard deviation sigma on every neuron."""

    def __init__(self, shape="2-2-1", sigma=0.2, number=0, aliased=False):
        sizes, nodes = SHAPES[shape]
        self.sigma, self.process = sigma, Process(number, aliased)
        self.actor = MLP(sizes, "tanh", "tanh")
        self.layers = range(self.actor.depth)
        self.flat = 0.8 * normal([number, 2], 1, self.actor.parameters(1).flat.shape[1])
        neurons = sum(sizes[1:])
        points, weights = np.polynomial.hermite_e.hermegauss(nodes)
        points, weights = (
            np.stack(np.meshgrid(*[axis] * neurons, indexing="ij"), axis=-1).reshape(-1, neurons)
            for axis in (points, weights / weights.sum())
        )
        self.weights = torch.from_numpy(weights.prod(axis=1))[:, None]
        # The batch is STATES × nodes.
        self.noise = list((sigma * torch.from_numpy(points)).repeat(STATES, 1)[None].split(sizes[1:], dim=-1))
        self.observation = self.process.features.repeat_interleave(len(weights), dim=0)[None]

    def run(self, flat):
        return self.actor.forward(self.actor.views(flat), self.observation, perturbation=self.noise)

    def solve(self, flat=None):
        network = self.run(self.flat if flat is None else flat)
        chances, rewards = self.process.outcomes(ALL, network.output.view(STATES, -1, 1))
        moves = (self.weights * chances[..., :-1]).sum(1)
        system = torch.eye(STATES, dtype=torch.float64) - DISCOUNT * moves
        values = torch.linalg.solve(system, (self.weights * chances * rewards).sum((1, 2)))
        visits = torch.linalg.solve(system.mT, torch.full((STATES,), 1 / STATES, dtype=torch.float64))
        return Solved(chances, rewards, values, visits, values.mean(), network)

    def gradient(self):
        """∇_K J by autograd through the exact solution, per layer (n_in, n)."""
        flat = self.flat.clone().requires_grad_()
        (found,) = torch.autograd.grad(self.solve(flat).objective, flat)
        return [part[0] for part in self.actor.views(found).weights]

    def seen(self, layer):
        """v, α, and σ'(z) of a layer in every state and node, (STATES · nodes, n_in or n)."""
        network = self.run(self.flat)
        return network.inputs[layer][0], network.h[layer + 1][0], slope(network.activations[layer], "tanh")[0]

    def update(self, layer, error, visits):
        """Σ_s visits(s) E_ξ[error ξ/σ² σ'(z) v], (n_in, n); error (STATES, nodes, 1 or n)."""
        v, _, slopes = self.seen(layer)
        weighed = (visits[:, None, None] * self.weights * error).flatten(0, 1)
        return v.mT @ (weighed * self.noise[layer][0] / self.sigma**2 * slopes)

    def compatible(self, layer):
        """σ'(z) v and ξ σ'(z) v of every neuron, v with a 1 for the bias, (n, STATES · nodes, n_in + 1)."""
        v, _, slopes = self.seen(layer)
        slopes = slopes.mT[..., None] * torch.cat((v, torch.ones_like(v[:, :1])), dim=-1)
        return slopes, self.noise[layer][0].mT[..., None] * slopes


@pytest.fixture(params=SHAPES)
def problem(request):
    return Problem(request.param)


def test_noise_times_td_error_is_the_gradient_of_the_return_for_every_neuron(problem):
    solved, true = problem.solve(), problem.gradient()
    for layer in problem.layers:
        assert true[layer].abs().max() > 1e-3
        torch.testing.assert_close(problem.update(layer, solved.error(), solved.visits), true[layer], **EXACT)


def test_a_baseline_that_does_not_depend_on_the_neurons_noise_leaves_the_mean_as_it_is(problem):
    solved, true = problem.solve(), problem.gradient()
    for layer in problem.layers:
        v, alpha = (x.view(STATES, -1, x.shape[-1]) for x in problem.seen(layer)[:2])
        of_v = 5 * torch.sin(3 * v.sum(-1, keepdim=True)) - 40
        of_others = alpha.sum(-1, keepdim=True) - alpha  # for each neuron, of all other voltages of its layer
        for baseline in (of_v, of_v + of_others):
            found = problem.update(layer, solved.error(baseline), solved.visits)
            torch.testing.assert_close(found, true[layer], **EXACT)


def test_an_exact_critic_that_sees_what_was_done_leaves_nothing_to_learn(problem):
    solved = problem.solve()
    action_value = solved.error()
    for layer in problem.layers:
        assert problem.update(layer, solved.error(action_value), solved.visits).abs().max() < 1e-12


def test_a_wrong_next_value_biases_by_its_covariance_with_the_noise(problem):
    solved, true = problem.solve(), problem.gradient()
    off = normal(7, STATES)
    for layer in problem.layers:
        found = problem.update(layer, solved.error(after=solved.values + off), solved.visits)
        bias = DISCOUNT * (solved.chances[..., :-1] * off).sum(-1, keepdim=True)
        torch.testing.assert_close(found - true[layer], problem.update(layer, bias, solved.visits), **EXACT)
        assert (found - true[layer]).abs().max() > 1e-5


def test_where_v_does_not_tell_s_the_mean_value_given_v_is_not_enough_but_given_v_and_alpha_it_is():
    problem = Problem(aliased=True)
    solved, true = problem.solve(), problem.gradient()[0]
    members = torch.tensor(
        [[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.float64
    )  # states of each v
    of_v = (members @ (solved.visits * solved.values)) / (members @ solved.visits)
    found = problem.update(0, solved.error(after=members.mT @ of_v), solved.visits)
    assert (found - true).abs().max() > 1e-3

    # E[V(s′) | v, α of the layer, v′]: the states of one v and the noise of the layers above are averaged over.
    own = len(problem.weights) // SHAPES["2-2-1"][1]
    joint = solved.visits[:, None, None] * problem.weights * solved.chances[..., :-1]
    joint = joint.view(STATES, own, -1, STATES)
    grouped = torch.einsum("cs,sokt->cot", members, joint)
    given = ((grouped * solved.values) @ members.mT) / (grouped @ members.mT)
    after = torch.einsum("cs,cod,dt->sot", members, given, members)
    after = after.repeat_interleave(SHAPES["2-2-1"][1], dim=1)
    torch.testing.assert_close(problem.update(0, solved.error(after=after), solved.visits), true, **EXACT)


def test_the_distance_to_the_gradient_without_noise_falls_with_the_noise_squared():
    clean = Problem(sigma=0.0).gradient()
    errors = [
        max((a - b).abs().max() for a, b in zip(Problem(sigma=s).gradient(), clean, strict=True))
        for s in (0.2, 0.1, 0.05)
    ]
    assert errors[0] > 1e-3
    np.testing.assert_allclose([errors[0] / errors[1], errors[1] / errors[2]], 4, rtol=0.1)


def test_own_compatible_critics_fitted_to_own_td_errors_have_the_gradient_of_the_noisy_policy(problem):
    solved, true = problem.solve(), problem.gradient()
    rows = (solved.visits[:, None] * problem.weights[:, 0]).flatten()
    error = solved.error(baseline=solved.values[:, None, None]).flatten()
    for layer in problem.layers:
        slopes, features = problem.compatible(layer)
        gram = torch.einsum("r,nri,nrj->nij", rows, features, features)
        weight = torch.linalg.solve(gram, torch.einsum("r,nri,r->ni", rows, features, error))
        found = torch.einsum("r,nri,nrj,nj->in", rows, slopes, slopes, weight)[:-1]
        torch.testing.assert_close(found, true[layer], **EXACT)


def test_compatible_features_of_different_neurons_are_uncorrelated_so_each_fits_alone_what_all_fit_together(
    problem,
):
    solved = problem.solve()
    rows = (solved.visits[:, None] * problem.weights[:, 0]).flatten()
    error = solved.error(baseline=solved.values[:, None, None]).flatten()
    apart, features = [], []
    for layer in problem.layers:
        for own in problem.compatible(layer)[1]:
            apart.append(torch.linalg.solve(own.mT @ (rows[:, None] * own), own.mT @ (rows * error)))
            features.append(own)
    joint = torch.cat(features, dim=1)
    together = torch.linalg.solve(joint.mT @ (rows[:, None] * joint), joint.mT @ (rows * error))
    torch.testing.assert_close(together, torch.cat(apart), rtol=1e-8, atol=1e-8)


def test_replayed_noise_gives_the_slopes_of_the_network_that_acted(problem):
    """With a, r and s′ of older weights, v and σ'(z) of the current ones, and any baseline."""
    solved, true = problem.solve(), problem.gradient()
    older = problem.flat + 0.2 * normal(5, *problem.flat.shape)
    noise = [xi.clone().requires_grad_() for xi in problem.noise]
    action = problem.actor.forward(problem.actor.views(older), problem.observation, perturbation=noise).output
    chances, rewards = problem.process.outcomes(ALL, action.view(STATES, -1, 1))
    action_value = (chances * rewards).sum(-1) + DISCOUNT * chances[..., :-1] @ solved.values
    slopes = torch.autograd.grad(action_value.sum(), noise)
    weights = (solved.visits[:, None] * problem.weights[:, 0]).flatten()[:, None]
    for layer in problem.layers:
        found = problem.update(layer, (action_value - 3).detach()[..., None], solved.visits)
        v, _, local = problem.seen(layer)
        expected = v.mT @ (weights * slopes[layer][0] * local)
        torch.testing.assert_close(found, expected, **EXACT)
        assert (found - true[layer]).abs().max() > 1e-3


def test_the_ratio_of_all_neurons_densities_on_stored_voltages_removes_the_bias_of_replay_and_its_own_does_not(
    problem,
):
    solved, true = problem.solve(), problem.gradient()
    older = problem.flat + 0.05 * normal(5, *problem.flat.shape)
    stored, params = problem.run(older), problem.actor.views(problem.flat)
    chances, rewards = problem.process.outcomes(ALL, stored.output.view(STATES, -1, 1))
    error = ((chances * rewards).sum(-1) + DISCOUNT * chances[..., :-1] @ solved.values).flatten()[:, None]
    means = [
        torch.tanh(v[0] @ weight[0] + bias[0, 0])
        for v, weight, bias in zip(stored.inputs, params.weights, params.biases, strict=True)
    ]
    noise = [alpha[0] - mean for alpha, mean in zip(stored.h[1:], means, strict=True)]
    own = [
        ((old[0] ** 2 - new**2) / (2 * problem.sigma**2)).exp()
        for old, new in zip(problem.noise, noise, strict=True)
    ]
    every = torch.cat(own, dim=1).prod(dim=1, keepdim=True)
    rows = (solved.visits[:, None] * problem.weights[:, 0]).flatten()[:, None]
    for layer in problem.layers:
        eligibility = rows * error * noise[layer] / problem.sigma**2 * slope(means[layer], "tanh")
        v = stored.inputs[layer][0].mT
        torch.testing.assert_close(v @ (every * eligibility), true[layer], rtol=0, atol=1e-8)
        assert (v @ (own[layer] * eligibility) - true[layer]).abs().max() > 1e-5


def test_sampled_transitions_give_the_gradient_within_four_standard_errors():
    problem, draws = Problem(sigma=0.3), 200_000
    solved, true = problem.solve(), problem.gradient()
    generator = torch.Generator().manual_seed(0)
    states = torch.multinomial(solved.visits, draws, replacement=True, generator=generator)
    noise = [
        0.3 * torch.randn(1, draws, n, dtype=torch.float64, generator=generator)
        for n in problem.actor.sizes[1:]
    ]
    network = problem.actor.forward(
        problem.actor.views(problem.flat), problem.process.features[states][None], perturbation=noise
    )
    chances, rewards = problem.process.outcomes(states, network.output[0])
    after = torch.multinomial(chances, 1, generator=generator)
    values = torch.cat((solved.values, torch.zeros(1, dtype=torch.float64)))
    error = rewards.gather(1, after) + DISCOUNT * values[after] - solved.values[states][:, None]
    for layer, xi in enumerate(noise):
        eligibility = xi / 0.09 * slope(network.activations[layer], "tanh")
        draw = solved.visits.sum() * network.inputs[layer][0][..., None] * (error * eligibility[0])[:, None]
        bound = 4 * draw.std(0) / draws**0.5
        assert ((draw.mean(0) - true[layer]).abs() < bound).all()
        largest = true[layer].abs().flatten().argmax()
        assert bound.flatten()[largest] < 0.5 * true[layer].abs().flatten()[largest]


# One of N neurons against the noise of all others.


def slopes_from_noise(neurons, draws, spread, repeats, seed=0):
    """mean_b(A_b ξ_b)/σ² for A = g·ξ + ε, ε uniform of standard deviation `spread`; and g. In units of σ = 0.3."""
    rng = np.random.default_rng(seed)
    g = rng.normal(size=neurons)
    noise = 0.3 * rng.normal(size=(repeats, draws, neurons))
    error = rng.uniform(-1, 1, size=(repeats, draws)) * np.sqrt(3) * spread
    return np.einsum("rb,rbn->rn", noise @ g + error, noise) / (draws * 0.09), g


@pytest.mark.parametrize("spread", [0.0, 2.0])
@pytest.mark.parametrize(("neurons", "draws"), [(1, 20), (30, 20), (60, 240)])
def test_the_expected_square_error_of_the_slopes_is_that_of_the_remark(neurons, draws, spread):
    found, g = slopes_from_noise(neurons, draws, spread, repeats=2000)
    square = ((found - g) ** 2).sum(axis=1)
    expected = ((neurons + 1) * (g @ g) + neurons * spread**2 / 0.09) / draws
    assert abs(square.mean() - expected) < 4 * square.std() / np.sqrt(len(square))


@pytest.mark.parametrize("spread", [0.0, 2.0])
@pytest.mark.parametrize(("neurons", "draws"), [(200, 100), (200, 400), (400, 100)])
def test_the_cosine_of_the_slopes_is_that_of_the_remark(neurons, draws, spread):
    found, g = slopes_from_noise(neurons, draws, spread, repeats=60)
    cosine = (found @ g) / (np.linalg.norm(found, axis=1) * np.linalg.norm(g))
    expected = 1 / np.sqrt(1 + neurons / draws * (1 + spread**2 / (0.09 * (g @ g))))
    assert abs(cosine.mean() - expected) < 0.02
    assert cosine.std() < 0.1
