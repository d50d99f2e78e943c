"""A recurrent network learns by the drafts' equations, from single steps, and remembers only within an episode."""

from functools import partial

import numpy as np
import pytest
import torch

from subcritic import envs, nn, seeding
from subcritic.agents.recurrent import RecurrentLearner
from subcritic.config import LocalSettings
from subcritic.neuro import NeurocomputationalAgent
from subcritic.replay import Replay
from subcritic.training.recurrent import RecurrentTrainer

OBSERVATION, ACTION, HIDDEN = 2, 1, 5
N = HIDDEN + ACTION
SETTINGS = LocalSettings(
    algorithm="linear", hidden=(3, 2), batch_size=4, learning_starts=60, critic_rate=0.05, actor_rate=0.3,
    discount=0.9, polyak=0.1, exploration="neuron", noise_scale=0.3,
)  # fmt: skip


def learner(leak=1.0, seeds=(0,), **changes):
    settings = SETTINGS.model_copy(update=changes)
    return RecurrentLearner(settings, OBSERVATION, ACTION, seeds, dtype=torch.float64, leak=leak)


class PlainNetwork:
    """One network, neuron by neuron: the drafts' rule on (v_t, x_t), without unrolling."""

    def __init__(self, agent, leak):
        layer, critics = agent.layers[0], agent.rule_states[0]
        self.K, self.b = layer.weight[0].numpy().copy(), layer.bias[0, 0].numpy().copy()
        self.theta_v, self.theta_a = critics.voltage[0].numpy().copy(), critics.alpha[0, 0].numpy().copy()
        self.theta_0 = critics.bias[0, 0].numpy().copy()
        self.target = [part.copy() for part in (self.K, self.b, self.theta_v, self.theta_0, self.theta_a)]
        self.v, self.leak = np.zeros(N), leak

    def act(self, observation, noise):
        self.x = np.concatenate([self.v, observation])
        drive = [np.tanh(self.K[:, n] @ self.x + self.b[n]) + noise[n] for n in range(N)]
        self.alpha = np.clip(drive, -1, 1)
        return self.alpha[HIDDEN:]

    def move(self, reward, terminated, observation):
        x, alpha = self.x, self.alpha
        leaks = np.array([self.leak] * HIDDEN + [1.0] * ACTION)
        self.v = (1 - leaks) * self.v + leaks * alpha
        return x, alpha, reward, terminated, np.concatenate([self.v, observation])

    def learn(self, rows):
        K, b, theta_v, theta_0, theta_a = self.target
        old_theta_v, old_theta_0, old_theta_a = self.theta_v.copy(), self.theta_0.copy(), self.theta_a.copy()
        rate_q, rate_a = SETTINGS.critic_rate / len(rows), SETTINGS.actor_rate / len(rows)
        for n in range(N):
            for x, alpha, reward, terminated, x_next in rows:
                alpha_next = np.tanh(K[:, n] @ x_next + b[n])
                after = theta_v[:, n] @ x_next + theta_0[n] + theta_a[n] * alpha_next
                value = old_theta_v[:, n] @ x + old_theta_0[n] + old_theta_a[n] * alpha[n]
                residual = reward + SETTINGS.discount * (1 - terminated) * after - value
                self.theta_v[:, n] += rate_q * residual * x
                self.theta_0[n] += rate_q * residual
                self.theta_a[n] += rate_q * residual * alpha[n]
            slopes = [1 - np.tanh(self.K[:, n] @ row[0] + self.b[n]) ** 2 for row in rows]
            for slope, row in zip(slopes, rows, strict=True):
                self.K[:, n] += rate_a * self.theta_a[n] * slope * row[0]
                self.b[n] += rate_a * self.theta_a[n] * slope
        tau = SETTINGS.polyak
        now = (self.K, self.b, self.theta_v, self.theta_0, self.theta_a)
        self.target = [tau * new + (1 - tau) * old for new, old in zip(now, self.target, strict=True)]


@pytest.mark.parametrize("leak", [1.0, 0.3])
def test_hundred_steps_of_acting_and_learning_equal_the_loop_over_neurons(leak):
    agent = learner(leak)
    plain = PlainNetwork(agent, leak)
    replay = Replay(1, 100, agent.columns, dtype=torch.float64)
    rngs, chosen = seeding.generators([0], "minibatch"), seeding.generator(0, "minibatch")
    rng = np.random.default_rng(1)
    rows, observation = [], rng.normal(size=OBSERVATION)
    with torch.no_grad():
        for _ in range(100):
            noise = rng.normal(0, 0.3, N)
            acted = agent.act(
                torch.from_numpy(observation).view(1, 1, -1), [torch.from_numpy(noise).view(1, 1, -1)]
            )
            expected = plain.act(observation, noise)
            np.testing.assert_allclose(acted.output[0, 0].numpy(), expected, rtol=0, atol=1e-10)
            reward, terminated, observation = (
                rng.normal(),
                float(rng.random() < 0.2),
                rng.normal(size=OBSERVATION),
            )
            one = partial(torch.full, (1, 1), dtype=torch.float64)
            reached = torch.from_numpy(observation).view(1, -1)
            replay.add(agent.transition(acted, one(fill_value=reward), one(fill_value=terminated), reached))
            rows.append(plain.move(reward, terminated, observation))
            agent.learn(replay.sample(4, rngs))
            plain.learn([rows[int(u * len(rows))] for u in chosen.random(4)])
            if terminated:
                agent.begin_episode(0)
                plain.v[:] = 0
    layer, critics = agent.layers[0], agent.rule_states[0]
    moved = np.abs(plain.K - nn.MLP.init(agent.actor, seeding.generators([0], "training actor"), torch.float64)
                   .weights[0][0].numpy()).max()  # fmt: skip
    assert moved > 0.1, "it must have learned something for the comparison to mean something"
    for mine, theirs in [
        (layer.weight[0], plain.K), (layer.bias[0, 0], plain.b), (critics.voltage[0], plain.theta_v),
        (critics.bias[0, 0], plain.theta_0), (critics.alpha[0, 0], plain.theta_a), (agent.running[0, 0], plain.v),
    ]:  # fmt: skip
        np.testing.assert_allclose(mine.numpy(), theirs, rtol=0, atol=1e-10)


def test_it_acts_as_the_neurocomputational_agent_with_the_same_connections():
    """Definition 2.2.1 with one application of D per environment step; K: inputs, constant, hidden, action."""
    agent = learner()
    size = OBSERVATION + 1 + N
    K = np.zeros((size, size))
    weight, own = agent.layers[0].weight[0].numpy(), slice(OBSERVATION + 1, size)
    K[own, own], K[:OBSERVATION, own], K[OBSERVATION, own] = (
        weight[:N],
        weight[N:],
        agent.layers[0].bias[0, 0],
    )
    names = ("identity",) * (OBSERVATION + 1) + ("tanh",) * N
    outputs = range(size - ACTION, size)
    same = NeurocomputationalAgent(K, range(OBSERVATION), outputs, names, [OBSERVATION], delay=1)
    play, internal = agent.player(), np.zeros(size)
    for observation in np.random.default_rng(0).normal(size=(50, OBSERVATION)):
        action = play(torch.from_numpy(observation).view(1, 1, -1))[0, 0].numpy()
        internal = same.dynamics(internal + same.encode(observation))
        np.testing.assert_allclose(action, same.decode(internal), rtol=0, atol=1e-12)


@pytest.mark.parametrize("leak", [0.0, -0.1, 1.1])
def test_a_leak_that_is_none_is_refused(leak):
    with pytest.raises(ValueError, match=r"must be in \(0, 1\]"):
        learner(leak)


@pytest.mark.parametrize("changes", [{"noise_scale": (0.1, 0.2, 0.1)}, {"last_layer_init": 0.003}])
def test_what_speaks_of_layers_is_refused(changes):
    with pytest.raises(ValueError, match=f"{next(iter(changes))} must be .* one layer"):
        learner(**changes)


def test_a_voltage_leaks_towards_what_the_neuron_puts_out():
    agent = learner(leak=0.25)
    before, alpha = torch.zeros(1, 1, N, dtype=torch.float64), torch.ones(1, 1, N, dtype=torch.float64)
    after = agent.after(before, alpha)[0, 0]
    assert (after[:HIDDEN] == 0.25).all() and (after[HIDDEN:] == 1).all()
    assert (before == 0).all()


def test_noise_on_the_action_alone_leaves_hidden_neurons_quiet():
    noise, observation = (
        torch.full((1, 1, N), 0.5, dtype=torch.float64),
        torch.zeros(1, 1, 2, dtype=torch.float64),
    )
    for where, quiet in (("action", True), ("neuron", False)):
        agent = learner(exploration=where)
        clean, noisy = agent.act(observation).h[1], agent.act(observation, [noise.clone()]).h[1]
        assert torch.equal(clean[..., :HIDDEN], noisy[..., :HIDDEN]) is quiet
        assert not torch.equal(clean[..., HIDDEN:], noisy[..., HIDDEN:])


def test_the_policy_remembers_within_an_episode_and_forgets_between_them():
    agent = learner()
    first, same = torch.randn(1, 1, 2, dtype=torch.float64), torch.zeros(1, 1, 2, dtype=torch.float64)
    play = agent.player()
    play(first)
    remembering = play(same)
    assert not torch.equal(remembering, agent.player()(same)), "what was seen before matters"
    again = agent.player()
    again(first)
    assert torch.equal(again(same), remembering)


def trainer(seeds, steps=420, leak=0.5):
    make = partial(envs.make, "subcritic/HiddenVelocityPendulum-v0")
    settings = SETTINGS.model_copy(update={"critic_rate": 1e-2, "actor_rate": 1e-2})
    return RecurrentTrainer(RecurrentLearner(settings, 2, 1, seeds, leak=leak), make, seeds, steps, 10.0)


def test_every_episode_starts_from_voltages_zero_and_steps_chain_within_it():
    run = trainer([0, 1])
    run.run()
    rows = run.replay.unpack(run.replay.rows[:, : len(run.replay)])
    before, after = rows["voltages"][..., :N], rows["next_voltages"][..., :N]
    starts = [0, 200, 400]
    assert (before[:, starts] == 0).all()
    for step in range(1, 420):
        if step not in starts:
            assert torch.equal(before[:, step], after[:, step - 1])
    assert (before[:, 1:200] != 0).any(dim=-1).all()


def test_a_resumed_training_ends_bit_for_bit_as_one_that_was_not_stopped():
    whole, stopped, resumed = trainer([0, 1]), trainer([0, 1]), trainer([0, 1])
    whole.run()
    with torch.no_grad():
        while stopped.step < 250:
            stopped.advance()
    resumed.load_state_dict(stopped.state_dict())
    resumed.run()
    assert torch.equal(resumed.agent.online.flat, whole.agent.online.flat)
    assert torch.equal(resumed.agent.running, whole.agent.running)


def test_nothing_travels_backwards_neither_through_layers_nor_through_time(monkeypatch):
    import subcritic.nn.backprop  # noqa: F401

    def forbidden(*args, **kwargs):
        raise AssertionError("an error travelled backwards")

    for name in ("gradients", "voltage_gradients", "side_gradient"):
        monkeypatch.setattr(nn.backprop, name, forbidden)
    monkeypatch.setattr(torch.autograd, "backward", forbidden)
    monkeypatch.setattr(torch.autograd, "grad", forbidden)
    run = trainer([0], steps=120)
    before = run.agent.online.flat.clone()
    run.run()
    assert not torch.equal(before, run.agent.online.flat)
