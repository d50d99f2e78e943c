"""DDPG against the linear-quadratic regulator, whose values, policy gradient and optimum are known in closed form.

x' = Ax + Ba, r = -(x'Qx + a'Ra), discount γ. For the policy a = -Kx the value is -x'Px with the Lyapunov equation
P = Q + K'RK + γ (A - BK)'P(A - BK); for the optimal K, P solves the Riccati equation of √γ A, √γ B
(Bertsekas, Dynamic Programming and Optimal Control, vol. 1, chapter 3; solved by SciPy).
"""

import gymnasium as gym
import numpy as np
import pytest
import torch
from scipy import linalg

from subcritic import seeding
from subcritic.agents import DDPG
from subcritic.config import DDPGSettings
from subcritic.nn import MLP
from subcritic.nn.network import Network
from subcritic.training import Trainer

# A damped spring pushed by the agent: position and speed. The optimal push stays within about [-1, 1].
A, B = np.array([[0.9, 0.3], [-0.3, 0.9]]), np.array([[0.0], [0.5]])
Q, R = np.eye(2), np.array([[0.4]])
DISCOUNT, EPISODE = 0.9, 20
GAIN = np.array([[0.4, 0.3]])  # a stabilising policy, not the optimal one
SETTINGS = DDPGSettings(
    algorithm="ddpg", hidden=(64, 64), batch_size=128, discount=DISCOUNT, polyak=0.02, learning_starts=500
)


def reward(x, a):
    """-(x'Qx + a'Ra) for rows x (…, 2), a (…, 1)."""
    return -(((x @ Q) * x).sum(-1) + ((a @ R) * a).sum(-1))


def cost_matrix(gain):
    """P of the policy a = -Kx."""
    closed = np.sqrt(DISCOUNT) * (A - B @ gain)
    return linalg.solve_discrete_lyapunov(closed.T, Q + gain.T @ R @ gain)


def optimal_gain():
    P = linalg.solve_discrete_are(np.sqrt(DISCOUNT) * A, np.sqrt(DISCOUNT) * B, Q, R)
    return np.linalg.solve(R + DISCOUNT * B.T @ P @ B, DISCOUNT * B.T @ P @ A), P


def true_value(x, a, gain):
    """Q^K(x, a) (…,)."""
    after = x @ A.T + a @ B.T
    return reward(x, a) - DISCOUNT * ((after @ cost_matrix(gain)) * after).sum(-1)


class Regulator(gym.Env):
    """Starts anywhere in [-1, 1]², is cut (truncated, never terminated) after twenty steps."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.count = self.np_random.uniform(-1, 1, 2), 0
        return self.x.astype(np.float32), {}

    def step(self, action):
        earned = reward(self.x, action)
        self.x, self.count = A @ self.x + B @ action, self.count + 1
        return self.x.astype(np.float32), earned, False, self.count == EPISODE, {}


def linear_policy(gain):
    """The policy a = -Kx as a network without hidden layers."""
    network = Network(MLP((2, 1), output="identity"), seeding.generators([0], "test"), 1e-3)
    for params in (network.online, network.target):
        params.weights[0].copy_(torch.from_numpy(-gain.T))
        params.biases[0].zero_()
    return network


def evaluating_agent(gain, updates):
    """A DDPG agent whose critic has judged a fixed linear policy from off-policy transitions."""
    agent = DDPG(SETTINGS, 2, 1, [0])
    agent.policy_network = linear_policy(gain)
    agent.actor = agent.policy_network.spec
    rng = np.random.default_rng(0)
    for _ in range(updates):
        x, a = rng.uniform(-1.5, 1.5, (1, 128, 2)), rng.uniform(-1, 1, (1, 128, 1))
        batch = {
            "observation": x,
            "action": a,
            "reward": reward(x, a)[..., None],
            "terminated": np.zeros((1, 128, 1)),
            "next_observation": x @ A.T + a @ B.T,
        }
        agent._learn_critic({name: torch.from_numpy(column).float() for name, column in batch.items()})
        agent.critic.track(SETTINGS.polyak)
    return agent


@pytest.fixture(scope="module")
def judged():
    return evaluating_agent(GAIN, updates=8_000)


def critic_of(agent, x, a):
    """The critic's values (N,) of rows x (N, 2), a (N, 1)."""
    x, a = (torch.from_numpy(part).float().unsqueeze(0) for part in (x, a))
    return agent.critic.forward(x, a).output[0, :, 0].double().numpy()


def test_the_oracles_agree_with_each_other():
    gain, P = optimal_gain()
    np.testing.assert_allclose(cost_matrix(gain), P, rtol=1e-10)
    x = np.array([0.7, -0.4])
    discounted, at = 0.0, x
    for t in range(400):
        a = -GAIN @ at
        discounted, at = discounted + DISCOUNT**t * reward(at, a), A @ at + B @ a
    assert true_value(x, -GAIN @ x, GAIN) == pytest.approx(discounted, rel=1e-10)


def test_the_critic_of_a_fixed_policy_converges_to_its_known_value(judged):
    rng = np.random.default_rng(1)
    x, a = rng.uniform(-1, 1, (2_000, 2)), rng.uniform(-1, 1, (2_000, 1))
    expected, found = true_value(x, a, GAIN), critic_of(judged, x, a)
    error = np.sqrt(np.mean((found - expected) ** 2)) / expected.std()
    assert error < 0.08
    assert abs(np.mean(found - expected)) < 0.05 * expected.std()
    other = true_value(x, a, optimal_gain()[0])
    assert np.sqrt(np.mean((other - expected) ** 2)) / expected.std() > 0.3, "the policy must matter"


def visited_states(rng, count):
    """States (count, 2) drawn from the discounted visitation of the policy: x_t with t geometric in γ."""
    x, t = rng.uniform(-1, 1, (count, 2)), rng.geometric(1 - DISCOUNT, count) - 1
    for step in range(t.max()):
        x[t > step] = x[t > step] @ (A - B @ GAIN).T
    return x


def true_policy_gradient():
    """∂J/∂K by central differences of J(K) = -E x₀'Px₀ = -tr(P)/3, for x₀ uniform in [-1, 1]²."""
    nudges = 1e-5 * np.eye(2)[:, None]
    return np.array([-np.trace(cost_matrix(GAIN + d) - cost_matrix(GAIN - d)) / 3 / 2e-5 for d in nudges])


def cosine(first, second):
    return first @ second / np.linalg.norm(first) / np.linalg.norm(second)


def test_the_policy_gradient_through_the_critic_is_the_true_one(judged):
    """Deterministic policy gradient theorem (Silver et al. 2014): the actor's step, on the policy's own states, is ∂J/∂K."""
    x = visited_states(np.random.default_rng(2), 20_000)
    states = torch.from_numpy(x).float().unsqueeze(0)
    # The actor's step reads the states alone.
    rest = {name: torch.full((1, len(x), width), torch.nan) for name, width in judged.columns.items()}
    judged._learn_actor(rest | {"observation": states})
    # The network holds -K and descends -J.
    ascent = judged.policy_network.gradient.weights[0][0, :, 0].double().numpy()
    expected = true_policy_gradient()
    assert cosine(ascent, expected) > 0.99
    assert np.linalg.norm(ascent) / (1 - DISCOUNT) == pytest.approx(np.linalg.norm(expected), rel=0.15)


def discounted_costs(act, x, steps=60):
    """Discounted costs (N,) of a policy from rows x (N, 2)."""
    total = np.zeros(len(x))
    for t in range(steps):
        a = act(x)
        total -= DISCOUNT**t * reward(x, a)
        x = x @ A.T + a @ B.T
    return total


def test_ddpg_comes_close_to_the_optimal_cost():
    seeds = [0, 1, 2]
    agent = DDPG(SETTINGS, 2, 1, seeds)
    trainer = Trainer(agent, Regulator, seeds, steps=4_000, divergence_factor=10.0)
    x = np.random.default_rng(3).uniform(-1, 1, (500, 2))
    gain, P = optimal_gain()
    optimum = ((x @ P) * x).sum(-1).mean()

    def ratios():
        policies = [agent.actor.views(agent.policy().flat[s : s + 1]) for s in range(len(seeds))]
        return [discounted_costs(lambda at, p=p: act(agent, p, at), x).mean() / optimum for p in policies]

    untrained = ratios()
    trainer.run()
    trained = ratios()
    assert discounted_costs(lambda at: -at @ gain.T, x).mean() == pytest.approx(optimum, rel=1e-3)
    assert min(untrained) > 1.5, "the task must need learning"
    assert max(trained) < 1.05


def act(agent, policy, x):
    return agent.actor.forward(policy, torch.from_numpy(x).float().unsqueeze(0)).output[0].double().numpy()
