"""Running normalisation of single neurons: its gradient by autograd, that it is local, and where it is refused."""

import pytest
import torch
from local_helpers import filled

from subcritic import seeding
from subcritic.agents import LocalLearner
from subcritic.agents.asynchronous import AsynchronousLearner
from subcritic.agents.distributed import DistributedLearner
from subcritic.agents.recurrent import RecurrentLearner
from subcritic.agents.running_normalisation import EPSILON, SHARE, RunningNormalisation
from subcritic.config import dump, parse_method
from subcritic.nn import MLP

EXACT = {"rtol": 1e-10, "atol": 1e-10}
SMALL = {"hidden": [5, 4], "batch_size": 16, "normalisation": "running"}
METHODS = {
    "learned-feedback": {"algorithm": "learned_feedback", "optimiser": "adam"},
    "linear": {"algorithm": "linear"},
    "in-turn": {"algorithm": "linear", "layers_in_turn": 2, "optimiser": "adam"},
}


def learner(name, seeds=(0, 1), dtype=torch.float64, **extra):
    return LocalLearner(parse_method(SMALL | METHODS[name] | extra), 3, 2, list(seeds), dtype)


def trained(name, updates=8, **kwargs):
    agent = learner(name, **kwargs)
    batch = filled(agent)
    for _ in range(updates):
        agent.learn(batch)
    return agent, batch


def normalised_actor(spec, raw, means, variances, x):
    """The actor as the page says it, by raw weights and statistics of its hidden neurons."""
    h = x
    for layer in range(spec.depth - 1):
        z = h @ raw.weights[layer]
        h = torch.tanh((z - means[layer]) / (variances[layer] + EPSILON).sqrt() + raw.biases[layer])
    return torch.tanh(h @ raw.weights[-1] + raw.biases[-1])


def test_others_see_an_ordinary_actor_with_the_same_actions():
    agent, _ = trained("learned-feedback")
    own, x = agent.normalisation, torch.randn(2, 7, 3, dtype=torch.float64)
    expected = normalised_actor(agent.actor, own.raw, own.means, own.variances, x)
    torch.testing.assert_close(agent.act(x).output, expected, **EXACT)
    assert not torch.allclose(agent.online.flat, own.raw.flat)


def test_the_update_is_the_gradient_with_the_statistics_held_fixed():
    """Plain steps along a given δ: K and b move along the gradient of Σ δ · (net input as normalised)."""
    agent, _ = trained("learned-feedback", optimiser="sgd", actor_rate=0.5)
    own = agent.normalisation
    errors = seeding.generators([0, 1], "errors")
    for number, layer in enumerate(agent.layers):
        n_in, n = layer.weight.shape[1:]
        v, delta = (
            torch.stack([torch.from_numpy(rng.normal(size=(6, width))) for rng in errors])
            for width in (n_in, n)
        )
        weight, bias = (part[number].clone().requires_grad_() for part in (own.raw.weights, own.raw.biases))
        z = v @ weight
        if not layer.last:
            z = (z - own.means[number]) / (own.variances[number] + EPSILON).sqrt()
        (delta * (z + bias)).sum(dim=(0, 2)).mean().backward()
        before = own.statistics.clone()
        agent.rule_states[number].weight_optimiser.neurons(v, delta)
        for moved, start in ((own.raw.weights[number], weight), (own.raw.biases[number], bias)):
            torch.testing.assert_close(moved, start.detach() + 0.5 * start.grad, **EXACT)
        assert torch.equal(own.statistics, before)


def statistics_of(own, layer, neuron):
    return own.means[layer][..., neuron].clone(), own.variances[layer][..., neuron].clone()


def test_the_statistics_of_a_neuron_depend_on_its_own_net_input_alone():
    spec = MLP((3, 5, 4, 2), "tanh", "tanh")
    v = [torch.randn(1, 6, n, dtype=torch.float64) for n in (3, 5, 4)]
    found = []
    for change in (False, True):
        own = RunningNormalisation(spec, spec.init(seeding.generators([0], "x"), torch.float64))
        if change:
            for weight, bias in zip(own.raw.weights, own.raw.biases, strict=True):
                weight[..., 1:] += 1.0
                bias += 1.0
        for _ in range(3):
            own.follow(v)
        found.append([statistics_of(own, layer, 0) for layer in (0, 1)])
        z = v[1] @ own.raw.weights[1][..., :1]
        mean, variance = torch.zeros(()), torch.ones(())
        for _ in range(3):
            mean, variance = (
                mean + SHARE * (z - mean).mean(),
                variance + SHARE * ((z - mean).square() - variance).mean(),
            )
        torch.testing.assert_close(own.means[1][0, 0, 0], mean, **EXACT)
        torch.testing.assert_close(own.variances[1][0, 0, 0], variance, **EXACT)
    for one, other in zip(*found, strict=True):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


def test_what_a_state_adds_to_the_update_does_not_depend_on_the_other_states():
    agent, _ = trained("learned-feedback", optimiser="sgd", seeds=(0,))
    optimiser, weight = agent.rule_states[0].weight_optimiser, agent.normalisation.raw.weights[0]
    v, delta = torch.randn(1, 6, 3, dtype=torch.float64), torch.randn(1, 6, 5, dtype=torch.float64)
    start = weight.clone()
    optimiser.neurons(v, delta)
    whole = weight - start
    weight.copy_(start)
    for row in range(6):
        optimiser.neurons(v[:, row : row + 1], delta[:, row : row + 1])
    torch.testing.assert_close(whole, (weight - start) / 6, **EXACT)


@pytest.mark.parametrize("name", METHODS)
def test_a_saved_learner_goes_on_bit_for_bit_and_a_seed_learns_as_if_alone(name):
    agent, batch = trained(name, updates=4)
    other, alone = learner(name), learner(name, [1])
    other.load_state_dict(agent.state_dict())
    for _ in range(4):
        agent.learn(batch)
        other.learn(batch)
    for _ in range(8):
        alone.learn({key: column[1:] for key, column in batch.items()})
    assert torch.equal(agent.online.flat, other.online.flat)
    assert torch.equal(agent.target.flat, other.target.flat)
    torch.testing.assert_close(agent.online.flat[1], alone.online.flat[0], rtol=1e-9, atol=1e-9)
    assert agent.finite().all()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"algorithm": "linear", "frozen_hidden": True}, "normalisation must be none, not running"),
        ({"algorithm": "random_direction"}, "reads no presynaptic voltages"),
        ({"algorithm": "compatible", "natural": True}, "normalisation must be none, not running"),
        ({"algorithm": "linear", "normalisation": "batch"}, "'none' or 'running'"),
    ],
)
def test_what_cannot_be_normalised_is_refused(extra, message):
    with pytest.raises(ValueError, match=message):
        parse_method(SMALL | extra)


def test_threads_processes_and_recurrent_networks_are_refused():
    linear, feedback = (parse_method(SMALL | METHODS[name]) for name in ("linear", "learned-feedback"))
    for make, settings in (
        (AsynchronousLearner, linear),
        (RecurrentLearner, linear),
        (DistributedLearner, feedback),
    ):
        with pytest.raises(ValueError, match="normalisation"):
            make(settings, 3, 2, [0])


def test_it_is_left_out_of_data_where_there_is_none():
    assert "normalisation" not in dump(parse_method({"algorithm": "linear"}))
    method = parse_method(SMALL | METHODS["linear"])
    assert dump(method)["normalisation"] == "running"
    assert parse_method(dump(method)) == method
