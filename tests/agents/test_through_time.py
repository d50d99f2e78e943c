"""Errors over time: closed-form backpropagation against autograd, learned feedback against the mean derivative."""

import numpy as np
import pytest
import torch

from subcritic.agents import through_time
from subcritic.agents.lagged_feedback import LaggedFeedback
from subcritic.neuro import NeurocomputationalAgent, topologies
from subcritic.neuro.clocks import Clocks
from subcritic.nn import compiled

INPUTS, OUTPUTS, SEEDS, ROWS, STEPS = 2, 2, 2, 3, 4


def stacked(kind, activation="tanh", ticks=2):
    made = []
    for seed in range(SEEDS):
        # The random graph's connections are drawn with the first seed's generator for all.
        rng = np.random.default_rng(0 if kind == "random" else seed)
        if kind == "random":
            made.append(topologies.random_graph(INPUTS, 6, OUTPUTS, 0.4, rng, activation))
        else:
            gain = 0.8 if kind == "recurrent" else None
            made.append(topologies.layered(INPUTS, (4, 3), OUTPUTS, rng, activation, gain, ticks))
    first = made[0]
    names = first.activation if activation == "tanh" else "identity"
    return NeurocomputationalAgent(
        np.stack([one.K for one in made]),
        first.inputs,
        first.outputs,
        names,
        first.constants,
        ticks,
        first.mask,
    )


def clocks_of(agent, kind, ticks=2, leaky=True):
    constants = np.random.default_rng(9).uniform(0.3, 2.0, agent.neurons) if leaky else None
    if kind == "own":
        return Clocks.own(agent, ticks, np.random.default_rng(4), constants)
    return Clocks.common(agent, ticks, constants)


def traces_of(clocks, observation, voltages):
    voltages = voltages.copy()
    connections = clocks.connections()
    return [clocks.step(voltages, observation[:, :, t], connections) for t in range(observation.shape[2])]


def by_autograd(clocks, observation, voltages, error):
    """∂/∂K of Σ e · z, with z of the action's neurons at their last tick, by PyTorch."""
    agent = clocks.agent
    K = torch.from_numpy(agent.K.copy()).requires_grad_()
    v, total = torch.from_numpy(voltages), 0.0
    held = torch.ones(agent.neurons, dtype=torch.bool)
    held[clocks.free] = False
    for t in range(observation.shape[2]):
        given = torch.zeros_like(v)
        given[..., agent.inputs] = torch.from_numpy(observation[:, :, t])
        given[..., agent.constants] = 1.0
        v = torch.where(held, given, v)
        for j, group in enumerate(clocks.ticks):
            z = v @ K
            names = np.array(agent.activation)
            h = torch.where(torch.from_numpy(names == "tanh"), torch.tanh(z), z)
            moved = v + torch.from_numpy(clocks.relax) * (h - v)
            for output, neuron in enumerate(agent.outputs):
                if neuron in group and not any(neuron in later for later in clocks.ticks[j + 1 :]):
                    total = total + (torch.from_numpy(error[:, :, t, output]) * z[..., neuron]).sum()
            ticking = torch.zeros(agent.neurons, dtype=torch.bool)
            ticking[group] = True
            v = torch.where(ticking, moved, v)
    total.backward()
    return K.grad.numpy()


@pytest.mark.parametrize("clock", ["common", "own"])
@pytest.mark.parametrize("kind", ["recurrent", "feedforward", "random"])
def test_backpropagation_through_time_is_the_gradient(kind, clock):
    agent = stacked(kind)
    clocks, rng = clocks_of(agent, clock), np.random.default_rng(1)
    observation = rng.normal(size=(SEEDS, ROWS, STEPS, INPUTS))
    voltages = rng.normal(size=(SEEDS, ROWS, agent.neurons))
    error = rng.normal(size=(SEEDS, ROWS, STEPS, OUTPUTS))
    traces = traces_of(clocks, observation, voltages)
    errors = through_time.backpropagated(clocks, clocks.connections(), traces, error)
    found = through_time.ascent(clocks, clocks.connections(), traces, errors)
    expected = by_autograd(clocks, observation, voltages, error)
    np.testing.assert_allclose(found * agent.mask, expected * agent.mask, atol=1e-10)
    assert np.abs(expected[:, :, clocks.free]).max() > 0.1


def existing(clocks):
    return np.stack([clocks.agent.existing] * SEEDS)


def learned(clocks, observation, voltages, lags, updates, rate=1.0, scale=0.1):
    feedback = LaggedFeedback(clocks, existing(clocks), range(SEEDS), lags, scale, rate)
    steps, connections = observation.shape[2], clocks.connections()
    for _ in range(updates):
        noise = feedback.noise(observation.shape[1], steps)
        quiet, moved, deviation = voltages.copy(), voltages.copy(), []
        for t in range(steps):
            clean = clocks.step(quiet, observation[:, :, t], connections)
            noisy = clocks.step(moved, observation[:, :, t], connections, noise[:, :, t])
            deviation.append(noisy.z - clean.z)
        feedback.learn(np.stack(deviation, axis=2), noise)
    return feedback


@pytest.mark.parametrize("clock", ["common", "own"])
@pytest.mark.parametrize("kind", ["recurrent", "random"])
def test_in_a_linear_network_feedback_over_all_lags_becomes_backpropagation_through_time(kind, clock):
    agent = stacked(kind, "identity")
    clocks, rng = clocks_of(agent, clock), np.random.default_rng(1)
    observation = rng.normal(size=(SEEDS, 20, 3, INPUTS))
    voltages = rng.normal(size=(SEEDS, 20, agent.neurons))
    error = rng.normal(size=(SEEDS, 20, 3, OUTPUTS))
    feedback = learned(clocks, observation, voltages, lags=2, updates=1500)
    traces = traces_of(clocks, observation, voltages)
    truth = through_time.backpropagated(clocks, clocks.connections(), traces, error)
    np.testing.assert_allclose(feedback.errors(traces, error), truth, atol=1e-6)


def test_feedback_of_a_nonlinear_network_comes_near_the_mean_derivative():
    """B_k of a tick against the mean over rows of ∂z_{t+k}/∂v, by backpropagation of each action's error alone."""
    agent = stacked("recurrent")
    clocks, rng = clocks_of(agent, "common", leaky=False), np.random.default_rng(1)
    observation = rng.normal(size=(SEEDS, 60, 3, INPUTS))
    voltages = 0.1 * rng.normal(size=(SEEDS, 60, agent.neurons))
    feedback = learned(clocks, observation, voltages, lags=1, updates=800, rate=0.05, scale=0.02)
    traces = traces_of(clocks, observation, voltages)
    for output in range(OUTPUTS):
        error = np.zeros((SEEDS, 60, 3, OUTPUTS))
        error[:, :, 2, output] = 1.0
        truth = through_time.backpropagated(clocks, clocks.connections(), traces, error)
        mean = (truth[:, :, 1] / traces[1].slopes).mean(axis=1)
        np.testing.assert_allclose(feedback.feedback[:, 1, output], mean, atol=0.06)
    assert np.abs(feedback.feedback[:, 1]).max() > 0.2


def test_without_lags_a_neuron_below_the_depth_gets_no_error():
    """With ℓ ticks per step, a voltage that needs more than the ticks left in its step moves no action of that step."""
    agent = stacked("feedforward", ticks=2)
    clocks, rng = Clocks.common(agent, 2), np.random.default_rng(1)
    observation = rng.normal(size=(SEEDS, 20, 3, INPUTS))
    voltages = rng.normal(size=(SEEDS, 20, agent.neurons))
    feedback = learned(clocks, observation, voltages, lags=0, updates=300, rate=0.3)
    below = [n for n in clocks.free if clocks.steps_to_action(n) > 0]
    assert below, "the first of two hidden layers, with two ticks"
    first = feedback.feedback[:, 0, :, : clocks.widths[0]]
    places = np.isin(clocks.ticks[0], below)
    assert np.abs(first[..., places]).max() < 0.05 < np.abs(first[..., ~places]).max()


def test_leaving_out_lags_errs_by_no_more_than_what_effects_decay_to():
    """Proposition 8 (d): exact D_k of a linear network, whose norms are bounded by c ρ^k, in place of learned ones."""
    agent = stacked("recurrent", "identity", ticks=3)
    agent.K[:, :, :] *= 0.6
    clocks, rng, steps = Clocks.common(agent, 3), np.random.default_rng(1), 8
    observation = rng.normal(size=(SEEDS, 1, steps, INPUTS))
    traces = traces_of(clocks, observation, rng.normal(size=(SEEDS, 1, agent.neurons)))
    exact = LaggedFeedback(clocks, existing(clocks), range(SEEDS), steps - 1, 0.1, 1.0)
    for k in range(steps):
        for output in range(OUTPUTS):
            error = np.zeros((SEEDS, 1, steps, OUTPUTS))
            error[:, :, -1, output] = 1.0
            found = through_time.backpropagated(clocks, clocks.connections(), traces, error)
            exact.feedback[:, k, output] = found[:, 0, steps - 1 - k]
        # What an action's neuron does to its own z at its last tick is no effect of a voltage.
        exact.feedback[:, 0][..., clocks.last] = 0.0
    norms = np.linalg.norm(exact.feedback, axis=2).max(axis=(0, 2))
    decay = 0.9
    bound = (norms / decay ** np.arange(steps)).max()
    error = rng.normal(size=(SEEDS, 1, steps, OUTPUTS))
    whole = exact.errors(traces, error)
    truth = through_time.backpropagated(clocks, clocks.connections(), traces, error)
    np.testing.assert_allclose(whole, truth, atol=1e-10)
    largest = np.linalg.norm(error, axis=-1).max()
    for lags in range(steps - 1):
        missed = np.abs(exact.errors(traces, error, lags) - whole).max()
        assert 0 < missed <= bound * decay ** (lags + 1) / (1 - decay) * largest


@pytest.mark.parametrize("kind", ["recurrent", "random"])
def test_compiled_functions_give_the_numbers_of_the_readable_ones(kind):
    agent = stacked(kind)
    clocks, rng = clocks_of(agent, "own", ticks=3), np.random.default_rng(1)
    observation = rng.normal(size=(SEEDS, ROWS, STEPS, INPUTS))
    voltages = rng.normal(size=(SEEDS, ROWS, agent.neurons))
    noise = 0.1 * rng.normal(size=(SEEDS, ROWS, STEPS, len(clocks.order)))
    error = rng.normal(size=(SEEDS, ROWS, STEPS, OUTPUTS))

    def everything():
        connections, moved = clocks.connections(), voltages.copy()
        traces = [clocks.step(moved, observation[:, :, t], connections, noise[:, :, t]) for t in range(STEPS)]
        errors = through_time.backpropagated(clocks, connections, traces, error)
        direction = through_time.ascent(clocks, connections, traces, errors)
        return connections.compiled, [
            moved,
            errors,
            direction,
            traces[-1].z,
            traces[-1].slopes,
            traces[0].start,
            traces[0].after,
        ]

    used, fast = everything()
    with compiled.off():
        unused, plain = everything()
    assert used is not None and unused is None
    for mine, theirs in zip(fast, plain, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12)
