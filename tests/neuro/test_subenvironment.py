"""Sub-environments E^n, and Theorem 2.2.3: the neuron as an agent in E^n is the neuron at work in E."""

import warnings
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from subcritic import envs, seeding
from subcritic.envs import UnusableEnvironment
from subcritic.neuro import (
    NeurocomputationalAgent,
    NonFiniteVoltage,
    SubEnvironment,
    feedforward,
    leaky_integrator,
    random_graph,
    recurrent,
)
from subcritic.nn import MLP

HIDDEN = (8, 8)


def feedforward_agent(environment, hidden=HIDDEN, activation="tanh"):
    n_in, n_out = envs.sizes(environment)
    spec = MLP((n_in, *hidden, n_out), activation, "tanh")
    return feedforward(spec, spec.init(seeding.generators([0], "network"), torch.float64))


def play_in_E(environment, agent, seed):
    """States, actions, rewards of μ in E, a whole episode."""
    state, _ = environment.reset(seed=seed)
    states, actions, rewards, internal = [state], [], [], 0.0
    while True:
        action, internal = agent.act(states[-1], internal)
        state, reward, terminated, truncated, _ = environment.step(action)
        for record, value in zip((states, actions, rewards), (state, action, reward), strict=True):
            record.append(value)
        if terminated or truncated:
            return np.array(states), np.array(actions), np.array(rewards)


def play_in_sub_environment(sub, seed, policy=None):
    """The same of E, seen while the local policy acts in E^n; and the rewards E^n gave, tick by tick."""
    observation, _ = sub.reset(seed=seed)
    states, actions, rewards, ticks = [], [], [], []
    ended = False
    while not ended:
        alpha = (policy or sub.local_policy)(observation)
        observation, reward, terminated, truncated, info = sub.step(alpha)
        ticks.append(reward)
        if "action" in info:
            states.append(info["state"])
            actions.append(info["action"])
            rewards.append(reward)
        ended = terminated or truncated
    return np.array(states), np.array(actions), np.array(rewards), np.array(ticks)


def assert_same_trajectory(expected, found, exact):
    states, actions, rewards = expected
    assert len(found[2]) == len(rewards)
    compare = (
        np.testing.assert_array_equal if exact else lambda a, b: np.testing.assert_allclose(a, b, atol=1e-9)
    )
    compare(found[0], states[1:])
    compare(found[1], actions)
    compare(found[2], rewards)


def all_neurons(agent):
    return range(agent.neurons)


def some_of_each_layer(agent):
    """For the costly environments: an input, the constant, two of each hidden layer, all outputs."""
    first = len(agent.inputs) + 1
    return [0, first - 1, first, first + 5, first + HIDDEN[0], first + HIDDEN[0] + 3, *agent.outputs]


@pytest.mark.parametrize(
    ("environment_id", "neurons"),
    [
        ("Pendulum-v1", all_neurons),
        ("LunarLanderContinuous-v3", all_neurons),
        ("HalfCheetah-v5", some_of_each_layer),
        pytest.param("HalfCheetah-v5", all_neurons, marks=pytest.mark.slow),
    ],
)
def test_theorem_2_2_3_local_policies_repeat_whole_episodes_of_the_agent(environment_id, neurons):
    environment, base = envs.make(environment_id), envs.make(environment_id)
    agent = feedforward_agent(environment)
    expected = play_in_E(environment, agent, seed=3)
    assert np.ptp(expected[1]) > 0.01
    for neuron in neurons(agent):
        sub = SubEnvironment(base, agent, neuron, dtype=np.float64)
        found = play_in_sub_environment(sub, seed=3)
        assert_same_trajectory(expected, found, exact=True)
        # Reward is 0 between E's steps, and E's at them.
        assert len(found[3]) == agent.delay * len(expected[2])
        assert found[3].sum() == pytest.approx(expected[2].sum(), abs=1e-9)


@pytest.mark.parametrize("make_agent", [recurrent, leaky_integrator, random_graph])
def test_theorem_2_2_3_holds_in_other_topologies(make_agent):
    sparsity = {"sparsity": 0.3} if make_agent is random_graph else {}
    agent = make_agent(3, 6, 1, rng=np.random.default_rng(0), **sparsity)
    environment, base = envs.make("Pendulum-v1"), envs.make("Pendulum-v1")
    expected = play_in_E(environment, agent, seed=0)
    for neuron in all_neurons(agent):
        sub = SubEnvironment(base, agent, neuron, dtype=np.float64)
        assert_same_trajectory(expected, play_in_sub_environment(sub, seed=0), exact=True)


def test_theorem_2_2_3_holds_with_inhibition():
    agent = recurrent(3, 6, 1, np.random.default_rng(0))
    agent = replace(agent, inhibition=lambda z: z - 0.1 * z.sum(axis=-1, keepdims=True))
    environment = envs.make("Pendulum-v1")
    expected = play_in_E(environment, agent, seed=0)
    for neuron in (0, 4, 10):
        sub = SubEnvironment(environment, agent, neuron, dtype=np.float64)
        assert_same_trajectory(expected, play_in_sub_environment(sub, seed=0), exact=True)


@pytest.mark.parametrize("view", ["all", "presynaptic"])
@pytest.mark.parametrize("clock", ["internal", "environment"])
def test_the_presynaptic_voltages_are_enough_and_so_is_one_tick_of_a_step(view, clock):
    environment, base = envs.make("Pendulum-v1"), envs.make("Pendulum-v1")
    agent = feedforward_agent(environment)
    expected = play_in_E(environment, agent, seed=1)
    for neuron in range(4, agent.neurons):
        sub = SubEnvironment(base, agent, neuron, view, clock, dtype=np.float64)
        # The neuron from what it sees and its own column K^n alone.
        column = agent.K[sub.seen, neuron]
        found = play_in_sub_environment(sub, 1, policy=lambda v, column=column: np.tanh(v @ column)[None])
        assert_same_trajectory(expected, found, exact=False)
        assert len(found[3]) == len(expected[2]) * (agent.delay if clock == "internal" else 1)


def test_a_feedforward_neuron_sees_the_layer_below_at_its_turn():
    environment = envs.make("Pendulum-v1")
    agent = feedforward_agent(environment)
    sub = SubEnvironment(environment, agent, 13, "presynaptic", "environment", dtype=np.float64)
    observation, _ = sub.reset(seed=0)
    for _ in range(3):
        state = sub.held[:3]
        below = np.tanh(state @ agent.K[:3, 4:12] + agent.K[3, 4:12])
        np.testing.assert_allclose(observation, [1.0, *below], atol=1e-14)
        observation, *_ = sub.step(np.zeros(1))


def test_the_last_voltages_of_a_truncated_episode_are_those_at_the_neurons_turn():
    environment = envs.make("Pendulum-v1")
    agent = feedforward_agent(environment)
    sub = SubEnvironment(environment, agent, 13, "presynaptic", "environment", dtype=np.float64)
    observation, _ = sub.reset(seed=0)
    truncated = False
    while not truncated:
        observation, _, _, truncated, info = sub.step(np.zeros(1))
    below = np.tanh(np.asarray(info["state"], float) @ agent.K[:3, 4:12] + agent.K[3, 4:12])
    np.testing.assert_allclose(observation, [1.0, *below], atol=1e-14)


def test_the_transition_is_equation_2_2_3():
    environment = envs.make("Pendulum-v1")
    agent = random_graph(3, 5, 1, 0.2, np.random.default_rng(0), delay=2)
    sub = SubEnvironment(environment, agent, 6, dtype=np.float64)
    v, _ = sub.reset(seed=0)
    chi, e = np.zeros((agent.neurons,) * 2), np.eye(agent.neurons)[6]
    chi[6, 6] = 1
    state = v[:3]
    for alpha in (0.5, -2.0, 0.1, 0.9):
        before = v
        v, _, _, _, info = sub.step(np.array([alpha]))
        state = info.get("state", state)
        moved = np.tanh(before @ agent.K)
        moved[:4] = 0.0
        expected = (np.eye(agent.neurons) - chi) @ moved + e * alpha + agent.encode(state)
        np.testing.assert_allclose(v, expected, atol=1e-14)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_the_action_of_every_neuron_reaches_the_environment(layer):
    environment = envs.make("Pendulum-v1")
    agent = feedforward_agent(environment)
    sub = SubEnvironment(environment, agent, [4, 12, 20][layer], clock="environment")
    actions = []
    for alpha in (-1.0, 1.0):
        sub.reset(seed=0)
        actions.append(sub.step(np.array([alpha], np.float32))[4]["action"].item())
    assert abs(actions[0] - actions[1]) > 1e-3


@pytest.mark.parametrize("view", ["all", "presynaptic"])
@pytest.mark.parametrize("clock", ["internal", "environment"])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_gymnasium_and_stable_baselines3_accept_it(view, clock, activation):
    from gymnasium.utils.env_checker import check_env as gymnasium_check
    from stable_baselines3.common.env_checker import check_env as stable_baselines3_check

    environment = envs.make("Pendulum-v1")
    agent = feedforward_agent(environment, activation=activation)
    for neuron in (5, 13, 20):
        sub = SubEnvironment(environment, agent, neuron, view, clock)
        with warnings.catch_warnings():
            # Both advise bounds that voltages do not have: those of inputs, and of relu.
            warnings.filterwarnings("ignore", ".*symmetric and normalized|.*-infinity|.*is infinity")
            gymnasium_check(sub, skip_render_check=True)
            stable_baselines3_check(sub)


def test_bounds_are_those_of_the_activation_unless_given():
    environment = envs.make("Pendulum-v1")
    agent = feedforward_agent(environment, activation="sigmoid")
    assert SubEnvironment(environment, agent, 5).action_space == Box(0, 1, (1,))
    assert SubEnvironment(environment, agent, 20).action_space == Box(-1, 1, (1,))
    assert SubEnvironment(environment, agent, 5, bounds=(-3, 2)).action_space == Box(-3, 2, (1,))


class Stub(gym.Env):
    def __init__(self, actions):
        self.observation_space, self.action_space = Box(-1, 1, (1,)), actions


PAIR = NeurocomputationalAgent(np.array([[0.0, 1.0], [0.0, 0.0]]), [0], [1])


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (Discrete(3), r"'Stub' has Discrete actions; continuous \(Box\) actions are needed"),
        (Box(-np.inf, np.inf, (1,)), "without bounds"),
        (Box(-1, 1, (2,)), r"actions of shape \(2,\); the agent has 1 output neurons"),
    ],
)
def test_environments_that_do_not_fit_are_refused(actions, message):
    with pytest.raises(UnusableEnvironment, match=message):
        SubEnvironment(Stub(actions), PAIR, 0)


def test_neurons_views_and_clocks_that_cannot_be_had_are_refused():
    base = Stub(Box(-1, 1, (1,)))
    with pytest.raises(IndexError, match=r"neuron 2 of an agent with 2 neurons; allowed: 0 … 1"):
        SubEnvironment(base, PAIR, 2)
    with pytest.raises(ValueError, match="neuron 0 has no presynaptic neurons"):
        SubEnvironment(base, PAIR, 0, view="presynaptic")
    with pytest.raises(ValueError, match="'nearby'; allowed: 'all', 'presynaptic'"):
        SubEnvironment(base, PAIR, 0, view="nearby")
    with pytest.raises(ValueError, match="'wall'; allowed: 'internal', 'environment'"):
        SubEnvironment(base, PAIR, 0, clock="wall")
    with pytest.raises(ValueError, match=r"reaches an action; here they are \[1, 2\]"):
        SubEnvironment(
            envs.make("Pendulum-v1"), recurrent(3, 4, 1, np.random.default_rng(0)), 5, clock="environment"
        )
    inhibited = replace(PAIR, inhibition=np.abs)
    with pytest.raises(ValueError, match="inhibition"):
        SubEnvironment(base, inhibited, 1, view="presynaptic")


@pytest.mark.parametrize("alpha", [np.nan, np.inf])
def test_a_voltage_that_is_not_finite_is_refused(alpha):
    environment = envs.make("Pendulum-v1")
    sub = SubEnvironment(environment, feedforward_agent(environment), 5)
    sub.reset(seed=0)
    with pytest.raises(NonFiniteVoltage, match=f"neuron 5 was given the voltage {alpha}"):
        sub.step(np.array([alpha]))
