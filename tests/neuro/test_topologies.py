"""Agents from trained actors, and the graphs of recurrent, leaky and random ones."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from subcritic import seeding
from subcritic.neuro import (
    NotAnAgent,
    feedforward,
    from_artifact,
    from_stable_baselines3,
    leaky_integrator,
    random_graph,
    recurrent,
)
from subcritic.nn import MLP


def rng():
    return np.random.default_rng(0)


def test_an_exported_policy_becomes_an_agent(tmp_path):
    spec = MLP((3, 8, 8, 2), "relu", "tanh")
    params = spec.init(seeding.generators([0, 1], "network"))
    policy = {"sizes": spec.sizes, "hidden": "relu", "output": "tanh", "parameters": params.flat[1].clone()}
    torch.save(policy, tmp_path / "policy.pt")
    agent = from_artifact(torch.load(tmp_path / "policy.pt"))
    states = rng().normal(size=(10, 3))
    np.testing.assert_array_equal(agent.act(states)[0], feedforward(spec, params, 1).act(states)[0])


@pytest.mark.parametrize("name", ["DDPG", "TD3"])
@pytest.mark.parametrize("activation", [torch.nn.ReLU, torch.nn.Tanh])
def test_a_stable_baselines3_actor_becomes_an_agent_with_the_same_actions(name, activation):
    import stable_baselines3

    kwargs = {"net_arch": [16, 8], "activation_fn": activation}
    with gym.make("Pendulum-v1") as environment:
        model = getattr(stable_baselines3, name)(
            "MlpPolicy", environment, policy_kwargs=kwargs, buffer_size=10, seed=0
        )
        agent = from_stable_baselines3(model)
        states = np.stack([environment.observation_space.sample() for _ in range(50)])
    assert agent.neurons == 3 + 1 + 16 + 8 + 1
    theirs = model.predict(states, deterministic=True)[0]
    assert np.abs(theirs).max() > 0.01
    np.testing.assert_allclose(agent.act(states)[0], theirs, atol=1e-5)
    # In float64 it is exact.
    model.actor.double()
    with torch.no_grad():
        exact = 2 * model.actor.mu(torch.from_numpy(states).double()).numpy()
    np.testing.assert_allclose(agent.act(states)[0], exact, rtol=0, atol=1e-12)


def test_another_kind_of_policy_is_refused():
    import stable_baselines3

    with gym.make("Pendulum-v1") as environment:
        model = stable_baselines3.SAC("MlpPolicy", environment, buffer_size=10)
    with pytest.raises(NotAnAgent, match="SACPolicy is not a DDPG or TD3 policy"):
        from_stable_baselines3(model)


def test_a_critic_is_not_a_policy_and_a_seed_must_exist():
    spec = MLP((3, 4, 1), side=(1, 2))
    params = spec.init(seeding.generators([0], "network"))
    with pytest.raises(NotAnAgent, match="second input"):
        feedforward(spec, params)
    spec = MLP((3, 4, 1))
    params = spec.init(seeding.generators([0], "network"))
    with pytest.raises(IndexError, match="allowed: 0 … 0"):
        feedforward(spec, params, 1)


def test_a_recurrent_agent_is_the_plain_recurrence():
    agent = recurrent(3, 6, 2, rng(), delay=2)
    K = agent.K
    U, b, W, R, c = K[:3, 4:10], K[3, 4:10], K[4:10, 4:10], K[4:10, 10:], K[3, 10:]
    x, y, internal = np.zeros(6), np.zeros(2), 0.0
    for state in rng().normal(size=(5, 3)):
        for _ in range(2):
            x, y = np.tanh(state @ U + b + x @ W), np.tanh(x @ R + c)
        action, internal = agent.act(state, internal)
        np.testing.assert_allclose(action, y, atol=1e-14)
    assert not np.allclose(action, agent.act(state)[0])


@pytest.mark.parametrize("decay", [0.5, 2.0])
def test_leaky_integrators_follow_their_differential_equation_as_the_time_step_shrinks(decay):
    hidden, state, duration = 5, np.array([0.5, -1.0]), 2.0

    def potentials(time_step):
        agent = leaky_integrator(2, hidden, 1, rng(), decay, time_step, gain=2.0)
        v = agent.encode(state)
        for _ in range(round(duration / time_step)):
            v = agent.dynamics(v, agent.encode(state))
        return agent, v[3 : 3 + hidden]

    agent, _ = potentials(0.1)
    K = agent.K / 0.1
    U, b, W = K[:2, 3 : 3 + hidden], K[2, 3 : 3 + hidden], K[9:14, 3 : 3 + hidden]
    exact = solve_ivp(
        lambda _, x: -decay * x + np.tanh(x) @ W + state @ U + b,
        (0, duration), np.zeros(hidden), rtol=1e-10, atol=1e-12,
    ).y[:, -1]  # fmt: skip
    coarse, fine = (np.abs(potentials(step)[1] - exact).max() for step in (0.02, 0.002))
    assert coarse < 0.1 * np.abs(exact).max()
    # Euler's error falls in proportion to the time step.
    assert fine == pytest.approx(coarse / 10, rel=0.3)


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9])
def test_a_random_graph_has_the_sparsity_it_is_asked_for(sparsity):
    agent = random_graph(4, 20, 2, sparsity, rng())
    connections = np.delete(agent.mask, 4, axis=0)[:, 5:]
    assert connections.mean() == pytest.approx(1 - sparsity, abs=1e-3)
    assert not agent.mask[:, :5].any()


def test_topologies_refuse_what_makes_no_sense():
    with pytest.raises(NotAnAgent, match=r"sparsity = 1; it must lie in \[0, 1\)"):
        random_graph(2, 3, 1, 1, rng())
    with pytest.raises(NotAnAgent, match=r"time_step = 2; it must lie in \(0, 1\]"):
        leaky_integrator(2, 3, 1, rng(), decay=4.0, time_step=0.5)
