"""Neurons with clocks: all together they are Definition 2.2.1, each with its own they tick as a queue of events has it."""

import heapq

import numpy as np
import pytest

from subcritic.neuro import NeurocomputationalAgent, NotAnAgent, topologies
from subcritic.neuro.clocks import Clocks

INPUTS, OUTPUTS = 3, 2


def agent(kind="recurrent", ticks=2, seed=0):
    rng = np.random.default_rng(seed)
    if kind == "random":
        return topologies.random_graph(INPUTS, 7, OUTPUTS, 0.4, rng, delay=ticks)
    gain = 1.0 if kind == "recurrent" else None
    return topologies.layered(INPUTS, (5, 4), OUTPUTS, rng, gain=gain, delay=ticks)


def constants_of(agent, seed=1):
    return np.random.default_rng(seed).uniform(0.2, 3.0, agent.neurons)


@pytest.mark.parametrize("kind", ["recurrent", "feedforward", "random"])
@pytest.mark.parametrize("ticks", [1, 2, 3])
def test_a_common_clock_without_time_constants_is_the_agent_of_the_definition(kind, ticks):
    network = agent(kind, ticks)
    clocks, rng = Clocks.common(network, ticks), np.random.default_rng(2)
    voltages, internal = np.zeros((1, network.neurons)), np.zeros((1, network.neurons))
    for _ in range(4):
        observation = rng.normal(size=(1, INPUTS))
        clocks.step(voltages, observation, clocks.connections())
        action, internal = network.act(observation, internal)
        np.testing.assert_allclose(network.decode(voltages), action, atol=1e-13)
        np.testing.assert_allclose(voltages[:, clocks.free], internal[:, clocks.free], atol=1e-13)


def test_own_clocks_tick_as_a_queue_of_events_with_real_times_does():
    """Each neuron once in its own period: as far as a leaky integrator goes in a period, by what it hears then."""
    network = agent()
    constants = constants_of(network)
    clocks = Clocks.own(network, 3, np.random.default_rng(3), constants)
    rng, order = np.random.default_rng(3), list(clocks.free)
    rates = rng.integers(2, 5, len(order))
    phases = rng.uniform(0, 1, len(order))
    queue = [(phase / rate, n, 1 / rate) for n, rate, phase in zip(order, rates, phases, strict=True)]
    heapq.heapify(queue)
    v, stepped = np.zeros(network.neurons), np.zeros((1, network.neurons))
    draw = np.random.default_rng(5)
    for step in range(5):
        observation = draw.normal(size=INPUTS)
        v[network.inputs], v[network.constants] = observation, 1.0
        while queue[0][0] < step + 1:
            time, n, period = heapq.heappop(queue)
            tau = constants[n] if n not in network.outputs else 0.0
            kept = np.exp(-period / tau) if tau else 0.0
            v[n] = kept * v[n] + (1 - kept) * network.local(n, v)
            heapq.heappush(queue, (time + period, n, period))
        clocks.step(stepped, observation[None], clocks.connections())
        np.testing.assert_allclose(stepped[0], v, atol=1e-12)


def test_own_clocks_have_the_rates_that_they_promise():
    network = agent()
    clocks = Clocks.own(network, 4, np.random.default_rng(0))
    assert all(len(group) == 1 for group in clocks.ticks)
    counts = np.bincount(np.concatenate(clocks.ticks), minlength=network.neurons)
    assert set(counts[clocks.free]) <= set(range(2, 7)) and len(set(counts[clocks.free])) > 1
    assert not counts[network.inputs].any()


def test_stacked_agents_move_as_each_does_alone():
    alone = [agent(seed=seed) for seed in (0, 1)]
    first = alone[0]
    stacked = NeurocomputationalAgent(
        np.stack([one.K for one in alone]),
        first.inputs,
        first.outputs,
        first.activation,
        first.constants,
        2,
        first.mask,
    )
    rng = np.random.default_rng(0)
    observation, voltages = rng.normal(size=(2, 6, INPUTS)), rng.normal(size=(2, 6, first.neurons))
    together = voltages.copy()
    clocks = Clocks.common(stacked, 2)
    clocks.step(together, observation, clocks.connections())
    for s, one in enumerate(alone):
        moved = voltages[s].copy()
        its = Clocks.common(one, 2)
        its.step(moved, observation[s], its.connections())
        np.testing.assert_allclose(together[s], moved, atol=1e-14)


@pytest.mark.parametrize("ticks", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["feedforward", "recurrent"])
def test_steps_to_an_action_are_those_after_which_a_perturbation_changes_one(kind, ticks):
    network = agent(kind, ticks)
    clocks = Clocks.common(network, ticks)
    for neuron in clocks.free:
        found = [changed_after(clocks, neuron, tick) for tick in range(ticks)]
        expected = min((steps for steps in found if steps is not None), default=None)
        assert clocks.steps_to_action(neuron) == expected


def changed_after(clocks, neuron, tick):
    """How many steps after a perturbation of a neuron at a tick the action is another one."""
    agent = clocks.agent
    quiet, moved = np.full((1, agent.neurons), 0.1), np.full((1, agent.neurons), 0.1)
    noise = np.zeros((1, len(clocks.order)))
    noise[0, sum(clocks.widths[:tick]) + list(clocks.ticks[tick]).index(neuron)] = 0.5
    for step in range(6):
        clocks.step(quiet, np.ones((1, INPUTS)), clocks.connections())
        clocks.step(moved, np.ones((1, INPUTS)), clocks.connections(), noise if step == 0 else None)
        if not np.allclose(agent.decode(quiet), agent.decode(moved), atol=1e-12):
            return step
    return None


def test_what_does_not_fit_is_refused():
    network = agent()
    ones = np.ones(network.neurons)
    with pytest.raises(NotAnAgent, match="never ticks"):
        Clocks(network, (network.outputs,), ones)
    with pytest.raises(NotAnAgent, match="neurons of the action have no time constant"):
        Clocks(network, (Clocks.common(network, 1).free,), 0.5 * ones)
    with pytest.raises(NotAnAgent, match="not positive"):
        Clocks.common(network, 2, -ones)
    inhibited = NeurocomputationalAgent(
        network.K,
        network.inputs,
        network.outputs,
        network.activation,
        network.constants,
        inhibition=lambda z: z / 2,
    )
    with pytest.raises(NotAnAgent, match="without an inhibition"):
        Clocks.common(inhibited, 2)
