"""DDPG's closed-form update against a plain autograd implementation, and the independence of its seeds."""

import pytest
import torch

from subcritic import seeding
from subcritic.agents import DDPG
from subcritic.config import DDPGSettings

OBS, ACT, BATCH = 4, 2, 8


def settings(**overrides):
    return DDPGSettings(algorithm="ddpg", **{"hidden": (6, 5), **overrides})


def batch(seeds, rng_seed=0):
    rng = seeding.generators(seeds, "batch", rng_seed)

    def draw(width, kind="normal"):
        return torch.stack([torch.from_numpy(getattr(g, kind)(size=(BATCH, width))) for g in rng])

    return {
        "observation": draw(OBS),
        "action": torch.tanh(draw(ACT)),
        "reward": draw(1),
        "terminated": (draw(1, "random") < 0.3).double(),
        "next_observation": draw(OBS),
    }


def autograd_net(spec, flat, x, side=None):
    params, h = spec.views(flat), x
    functions = {"relu": torch.relu, "tanh": torch.tanh, "identity": lambda z: z}
    for layer in range(1, spec.depth + 1):
        if spec.side and spec.side[0] == layer:
            h = torch.cat((h, side), dim=-1)
        h = functions[spec.activation(layer)](h @ params.weights[layer - 1] + params.biases[layer - 1])
    return h


@pytest.mark.parametrize(
    "overrides",
    [
        {"preset": "modern"},
        {"preset": "lillicrap2016", "batch_normalisation": False},
        {"polyak": 1.0},
    ],
)
def test_twenty_updates_equal_autograd(overrides):
    config = settings(**overrides)
    agent = DDPG(config, OBS, ACT, [3], dtype=torch.float64)
    actor, critic = agent.actor, agent.critic.spec
    theta_mu = agent.policy().flat.clone().requires_grad_()
    theta_q = agent.critic.online.flat.clone().requires_grad_()
    target_mu, target_q = theta_mu.detach().clone(), theta_q.detach().clone()
    mu_step = torch.optim.Adam([theta_mu], lr=config.actor_rate)
    q_step = torch.optim.Adam([theta_q], lr=config.critic_rate, weight_decay=config.critic_weight_decay)
    for update in range(20):
        data = batch([3], update)
        agent.learn(data)
        after = data["next_observation"]
        next_value = autograd_net(critic, target_q, after, autograd_net(actor, target_mu, after))
        y = (data["reward"] + config.discount * (1 - data["terminated"]) * next_value).detach()
        q_step.zero_grad()
        ((y - autograd_net(critic, theta_q, data["observation"], data["action"])) ** 2).mean().backward()
        q_step.step()
        mu_step.zero_grad()
        action = autograd_net(actor, theta_mu, data["observation"])
        (-autograd_net(critic, theta_q, data["observation"], action).mean()).backward()
        mu_step.step()
        with torch.no_grad():
            target_mu.lerp_(theta_mu, config.polyak)
            target_q.lerp_(theta_q, config.polyak)
    torch.testing.assert_close(agent.policy().flat, theta_mu.detach(), rtol=0, atol=1e-10)
    torch.testing.assert_close(agent.critic.online.flat, theta_q.detach(), rtol=0, atol=1e-10)
    torch.testing.assert_close(agent.critic.target.flat, target_q, rtol=0, atol=1e-10)


def test_a_seed_learns_the_same_alone_or_beside_others():
    together = DDPG(settings(), OBS, ACT, [0, 1, 2], dtype=torch.float64)
    alone = DDPG(settings(), OBS, ACT, [1], dtype=torch.float64)
    for update in range(20):
        together.learn(batch([0, 1, 2], update))
        alone.learn(batch([1], update))
    torch.testing.assert_close(together.policy().flat[1:2], alone.policy().flat, rtol=0, atol=1e-12)
    assert not torch.allclose(together.policy().flat[0], together.policy().flat[1])


def test_lillicrap_preset_is_the_papers():
    config = DDPGSettings(algorithm="ddpg", preset="lillicrap2016")
    assert (config.hidden, config.actor_rate, config.critic_rate) == ((400, 300), 1e-4, 1e-3)
    assert (config.critic_weight_decay, config.polyak, config.batch_size) == (1e-2, 1e-3, 64)
    assert (config.action_layer, config.discount, config.replay_size) == (2, 0.99, 1_000_000)
    agent = DDPG(config, OBS, ACT, [0])
    assert agent.policy_network.raw.parameters.weights[-1].abs().max() <= 3e-3
    assert agent.critic.spec.shapes() == [(OBS, 400), (400 + ACT, 300), (300, 1)]


def test_a_frozen_critic_does_not_change_while_the_actor_learns():
    agent = DDPG(settings(hidden=(16, 16)), OBS, ACT, [0], dtype=torch.float64)
    agent.learns_critic = False
    critic, actor = agent.critic.online.flat.clone(), agent.policy().flat.clone()
    agent.learn(batch([0]))
    assert torch.equal(agent.critic.online.flat, critic)
    assert not torch.equal(agent.policy().flat, actor)


def test_frozen_hidden_layers_keep_their_first_weights_and_the_action_learns_as_ever():
    agent, free = (DDPG(settings(frozen_hidden=on), OBS, ACT, [0], torch.float64) for on in (True, False))
    before = agent.policy().flat.clone()
    hidden = agent.actor.views(before)
    agent.learn(batch([0]))
    free.learn(batch([0]))
    for layer in (0, 1):
        assert torch.equal(agent.policy().weights[layer], hidden.weights[layer])
        assert torch.equal(agent.policy().biases[layer], hidden.biases[layer])
    assert torch.equal(agent.policy().weights[2], free.policy().weights[2])
    assert not torch.equal(agent.policy().weights[2], hidden.weights[2])
    assert (agent.settings.role, free.settings.role) == ("control", "backpropagation")


@pytest.mark.parametrize("network", ["policy_network", "critic"])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_found_for_its_seed_alone(network, wrong):
    agent = DDPG(settings(), OBS, ACT, [0, 1, 2])
    assert agent.finite().tolist() == [True, True, True]
    getattr(agent, network).online.flat[1, 0] = wrong
    assert agent.finite().tolist() == [True, False, True]
