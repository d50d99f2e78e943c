"""Neurocomputational agents, and Appendix A: a feed-forward network embedded in K acts as the network does."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from subcritic import seeding
from subcritic.neuro import NeurocomputationalAgent, NonFiniteVoltage, NotAnAgent, feedforward
from subcritic.nn import MLP

ACTIVATIONS = ["identity", "relu", "tanh", "sigmoid"]
PAIR = partial(NeurocomputationalAgent, np.array([[0.0, 2.0], [0.0, 0.0]]), [0], [1])


def network(sizes, hidden="tanh", output="tanh", seeds=(0,)):
    spec = MLP(tuple(sizes), hidden, output)
    return spec, spec.init(seeding.generators(seeds, "network"), torch.float64)


def actions_of(spec, params, seed_index, states):
    stacked = torch.from_numpy(states).expand(params.flat.shape[0], -1, -1)
    return spec.forward(params, stacked).output[seed_index].numpy()


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 12), min_size=2, max_size=6),
    hidden=st.sampled_from(ACTIVATIONS),
    output=st.sampled_from(ACTIVATIONS),
    seeds=st.lists(st.integers(0, 2**31), min_size=1, max_size=3, unique=True),
    data=st.data(),
)
def test_an_embedded_network_acts_exactly_as_the_network(sizes, hidden, output, seeds, data):
    spec, params = network(sizes, hidden, output, seeds)
    which = data.draw(st.integers(0, len(seeds) - 1))
    rng = np.random.default_rng(seeds[0])
    states = rng.normal(0, 3, (7, sizes[0]))
    agent = feedforward(spec, params, which)
    # Whatever the neurons did before: what is left of it never reaches the outputs.
    before = rng.normal(0, 3, agent.neurons)
    before[[*agent.inputs, *agent.constants]] = 0.0
    for internal in (0.0, before):
        action, _ = agent.act(states, internal)
        np.testing.assert_allclose(action, actions_of(spec, params, which, states), rtol=0, atol=1e-12)
    assert agent.delay == spec.depth


def test_one_application_of_the_dynamic_less_is_not_enough():
    spec, params = network((3, 8, 8, 2))
    agent, states = feedforward(spec, params), np.random.default_rng(0).normal(size=(4, 3))
    short, _ = replace(agent, delay=agent.delay - 1).act(states)
    assert np.abs(short - actions_of(spec, params, 0, states)).max() > 0.01


def test_after_l_applications_layer_l_holds_the_networks_voltages():
    spec, params = network((3, 5, 4, 2), "relu")
    agent, states = feedforward(spec, params), np.random.default_rng(0).normal(size=(6, 3))
    voltages = [h[0].numpy() for h in spec.forward(params, torch.from_numpy(states)[None]).h]
    starts = [4, 9, 13]
    v = agent.encode(states)
    for layer in range(1, 4):
        v = agent.dynamics(v, agent.encode(states))
        start = starts[layer - 1]
        found = v[:, start : start + spec.sizes[layer]]
        np.testing.assert_allclose(found, voltages[layer], rtol=0, atol=1e-12)


def test_the_columns_of_K_are_the_connections_into_a_neuron():
    spec, params = network((2, 3, 1))
    agent = feedforward(spec, params)
    assert agent.K[:, 4] == pytest.approx(
        [*params.weights[0][0, :, 1].tolist(), params.biases[0][0, 0, 1].item(), *[0] * 4]
    )
    assert agent.presynaptic(4).tolist() == [0, 1, 2]
    assert agent.presynaptic(6).tolist() == [2, 3, 4, 5]


def test_the_dynamic_is_equation_2_2_1():
    rng = np.random.default_rng(0)
    K, v, v_in = rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=4)
    inhibit = lambda z: z - z.mean()  # noqa: E731
    names = ("identity", "relu", "tanh", "sigmoid")
    agent = NeurocomputationalAgent(K, [0], [3], names, inhibition=inhibit)
    z = K.T @ v
    z = z - z.mean()
    expected = np.array([z[0], max(z[1], 0), np.tanh(z[2]), 1 / (1 + np.exp(-z[3]))]) + v_in
    np.testing.assert_allclose(agent.dynamics(v, v_in), expected, atol=1e-15)
    for n in range(4):
        assert agent.local(n, v) == pytest.approx((expected - v_in)[n])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_are_those_of_the_activations(name):
    agent = NeurocomputationalAgent(np.zeros((6, 6)), [0], [5], name)
    z, step = np.array([-3.0, -1.0, -0.1, 0.2, 1.0, 4.0]), 1e-6
    difference = (agent.activate(z + step) - agent.activate(z - step)) / (2 * step)
    np.testing.assert_allclose(agent.slope(agent.activate(z)), difference, atol=1e-8)


def test_what_arrives_now_cannot_reach_an_output_before_the_next_application():
    """Why (2.2.2) with one application needs the state to be in v already: ε(s) is added after σ."""
    agent = PAIR("identity")
    assert agent.decode(agent.dynamics(np.zeros(2), agent.encode(np.array([1.0])))) == 0.0
    assert agent.act(np.array([1.0]))[0] == 2.0


def test_an_agent_with_memory_needs_its_internal_voltages_back():
    remembering = NeurocomputationalAgent(np.array([[0.0, 1.0], [0.0, 1.0]]), [0], [1], "identity")
    first, internal = remembering.act(np.array([1.0]))
    second, _ = remembering.act(np.array([1.0]), internal)
    assert (first.item(), second.item()) == (1.0, 2.0)


def test_in_a_feedforward_network_one_application_decides_for_each_neuron():
    spec, params = network((2, 3, 4, 1))
    agent = feedforward(spec, params)
    assert [agent.decisive_ticks(n) for n in range(3, 11)] == [{1}] * 3 + [{2}] * 4 + [{3}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"K": np.zeros((2, 3))}, r"shape \(2, 3\); it must be square"),
        ({"K": np.full((2, 2), np.nan)}, "not finite"),
        ({"mask": np.zeros((3, 3))}, r"mask has shape \(3, 3\)"),
        ({"mask": np.zeros((2, 2))}, "no connection"),
        ({"inputs": [2]}, r"inputs name neuron 2; allowed: 0 … 1"),
        ({"outputs": [-1]}, "outputs name neuron -1"),
        ({"outputs": [0]}, "share neurons"),
        ({"activation": "softmax"}, "unknown activation 'softmax'; known: identity"),
        ({"activation": ("tanh",) * 3}, "3 activations for 2 neurons"),
        ({"delay": 0}, "at least 1"),
    ],
)
def test_parts_that_do_not_fit_are_refused_with_what_would(change, message):
    with pytest.raises(NotAnAgent, match=message):
        replace(PAIR(), **change)


def test_a_neuron_that_does_not_exist_is_refused():
    with pytest.raises(IndexError, match=r"neuron 2 of an agent with 2 neurons; allowed: 0 … 1"):
        PAIR().local(2, np.zeros(2))


def test_a_voltage_that_is_not_finite_is_named():
    with pytest.raises(NonFiniteVoltage, match="neuron 0 became inf"):
        PAIR("identity").act(np.array([np.inf]))
    exploding = NeurocomputationalAgent(np.array([[0.0, 1.0], [0.0, 1e200]]), [0], [1], "identity", delay=3)
    with pytest.raises(NonFiniteVoltage, match="neuron 1 became inf"):
        exploding.act(np.array([1.0]))


def test_an_observation_of_the_wrong_size_is_refused():
    with pytest.raises(ValueError, match=r"shape \(3,\) for 1 input neurons"):
        PAIR().act(np.zeros(3))
