"""Agents that read pictures: what trains their convolutions, what is replayed, what of it other parts see."""

import copy

import numpy as np
import pytest
import torch

from subcritic import seeding
from subcritic.agents import PictureAgent, make_agent
from subcritic.agents.actor_critic import policy_gradient
from subcritic.config import ConfigError, parse_method
from subcritic.measuring.probe import ProbeCritic
from subcritic.nn.convolution import Convolutions
from subcritic.replay import PictureReplay, Replay

PICTURE, ACTION, SEEDS = (10, 10, 2), 2, [0, 1]
PIXELS = 200
SMALL = {"hidden": [6, 5], "batch_size": 4, "learning_starts": 1}
CONVOLUTIONS = {"filters": 3, "kernels": [3, 3], "strides": [2, 1]}
METHODS = {
    "ddpg": {"algorithm": "ddpg"},
    "lillicrap": {"algorithm": "ddpg", "preset": "lillicrap2016"},
    "learned-feedback": {"algorithm": "learned_feedback", "optimiser": "adam", "actor_rate": 1e-3},
    "coagent": {
        "algorithm": "coagent",
        "target": "global_td",
        "exploration": "neuron",
        "replay": "recomputed",
    },
    "linear": {"algorithm": "linear", "replay": "recomputed"},
}
TRAINED = [
    ("ddpg", "separately"),
    ("ddpg", "by_critic"),
    ("ddpg", "never"),
    ("lillicrap", "separately"),
    ("learned-feedback", "by_critic"),
    ("learned-feedback", "never"),
    ("coagent", "by_critic"),
    ("linear", "never"),
]


def made(method, trained, seeds=SEEDS):
    settings = parse_method(METHODS[method] | SMALL | {"encoder": CONVOLUTIONS | {"trained": trained}})
    agent = make_agent(settings, PIXELS, ACTION, list(seeds), PICTURE)
    assert isinstance(agent, PictureAgent)
    return agent


def frames(rng, *shape):
    return torch.from_numpy((rng.integers(0, 256, (*shape, PIXELS)) / 255).astype(np.float32))


def replayed(agent, steps=12, seeds=SEEDS):
    """A replay of what the agent did before pictures of noise."""
    replay = agent.Replay(len(seeds), 8, agent.columns)
    rngs = seeding.generators(seeds, "test pictures")
    seen = torch.stack([frames(rng, 1) for rng in rngs])
    for t in range(steps):
        voltages = agent.act(seen, None)
        reward = torch.stack([torch.tensor([float(rng.normal())]) for rng in rngs])
        reached = torch.stack([frames(rng, 1) for rng in rngs])
        ended = torch.full((len(seeds), 1), float(t % 5 == 4))
        replay.add(agent.transition(voltages, reward, ended, reached[:, 0]))
        seen = torch.stack([frames(rng, 1) for rng in rngs]) if t % 5 == 4 else reached
    return replay


def minibatch(agent, replay, number=0, seeds=SEEDS):
    rngs = seeding.generators(seeds, "test minibatch", number)
    return replay.sample(agent.settings.batch_size, rngs)


def learned(agent, updates=3, seeds=SEEDS):
    replay = replayed(agent, seeds=seeds)
    for number in range(updates):
        batch = minibatch(agent, replay, number, seeds)
        agent.learn(batch)
    return batch


@pytest.mark.parametrize(("method", "trained"), TRAINED)
def test_convolutions_learn_as_the_encoder_says_and_only_those(method, trained):
    agent = made(method, trained)
    before = [encoder.online.flat.clone() for encoder in agent.encoders]
    kind = Replay if trained == "never" else PictureReplay
    assert agent.Replay is kind and len(before) == (2 if trained == "separately" else 1)
    assert all(not encoder.statistics.seen for encoder in agent.encoders)
    learned(agent)
    for encoder, old in zip(agent.encoders, before, strict=True):
        assert torch.equal(encoder.online.flat, old) == (trained == "never")
        assert encoder.statistics.seen == 3
    assert agent.finite().all()


@pytest.mark.parametrize("trained", ["separately", "by_critic", "never"])
def test_what_a_frozen_critic_reads_stays_as_it_is(trained):
    """Running statistics of its convolutions included; those of the actor's own go on."""
    agent = made("ddpg", trained)
    learned(agent)
    agent.reader.learns_critic = False
    picture, action = frames(np.random.default_rng(0), 2, 1), torch.zeros(2, 1, ACTION)
    critics, actors = agent.encoders[0], agent.encoders[-1]

    def value():
        return agent.reader.critic.forward(critics.forward(picture), action).output

    before, seen = value(), actors.statistics.seen
    learned(agent)
    assert torch.equal(value(), before)
    assert actors.statistics.seen - seen == (3 if trained == "separately" else 0)


def test_frozen_hidden_layers_have_no_filters_that_learn():
    encoder = {"encoder": CONVOLUTIONS | {"trained": "separately"}}
    with pytest.raises(ValueError, match="by_critic or never, not separately"):
        parse_method({"algorithm": "ddpg", "frozen_hidden": True, **SMALL, **encoder})


@pytest.mark.parametrize(("method", "trained"), TRAINED)
def test_a_seed_does_not_depend_on_its_neighbours(method, trained):
    both, alone = made(method, trained), made(method, trained, [1])
    learned(both)
    learned(alone, seeds=[1])
    torch.testing.assert_close(both.policy().flat[1:], alone.policy().flat, rtol=1e-5, atol=1e-7)
    for mine, theirs in zip(both.encoders, alone.encoders, strict=True):
        torch.testing.assert_close(mine.online.flat[1:], theirs.online.flat, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("method", "trained"), TRAINED)
def test_it_goes_on_from_its_state(method, trained):
    agent = made(method, trained)
    replay = replayed(agent)
    agent.learn(minibatch(agent, replay))
    state, kept = copy.deepcopy(agent.state_dict()), copy.deepcopy(replay.state_dict())
    agent.learn(minibatch(agent, replay, 1))
    other = made(method, trained)
    other.load_state_dict(state)
    again = other.Replay(len(SEEDS), 8, other.columns)
    again.load_state_dict(kept)
    other.learn(minibatch(other, again, 1))
    assert torch.equal(agent.policy().flat, other.policy().flat)
    for mine, theirs in zip(agent.encoders, other.encoders, strict=True):
        assert torch.equal(mine.online.flat, theirs.online.flat)
        assert torch.equal(mine.target.flat, theirs.target.flat)


def autograd_features(spec, flat, pictures):
    """Features by torch's own convolutions, in float64, of pictures (B, pixels) of one seed, standardised among them."""
    params, (height, width, channels) = spec.views(flat), spec.picture
    x = (pictures.double() / 255 - 0.5).reshape(-1, height, width, channels).permute(0, 3, 1, 2)
    for weight, bias, kernel, stride in zip(
        params.weights, params.biases, spec.kernels, spec.strides, strict=True
    ):
        bank = weight[0].T.reshape(spec.filters, kernel, kernel, -1).permute(0, 3, 1, 2)
        x = torch.relu(torch.nn.functional.conv2d(x, bank, bias[0, 0], stride))
    x = x.permute(0, 2, 3, 1).flatten(1)
    variance, mean = torch.var_mean(x.detach(), dim=0, correction=0)
    return (x - mean) / (variance + 1e-4).sqrt()


def autograd_output(network, flat, x, side=None):
    spec = network.spec
    params = spec.views(flat)
    for layer in range(1, spec.depth + 1):
        if spec.side is not None and spec.side[0] == layer:
            x = torch.cat((x, side), dim=1)
        x = x @ params.weights[layer - 1][0] + params.biases[layer - 1][0, 0]
        x = {"relu": torch.relu, "tanh": torch.tanh, "identity": lambda z: z}[spec.activation(layer)](x)
    return x


@pytest.mark.parametrize("trained", ["separately", "by_critic"])
def test_the_gradients_of_convolutions_are_those_of_the_losses_of_ddpg_by_autograd(trained):
    """Of the first update, whose TD target reads the target copies: the same numbers as the online ones, but no path."""
    agent = made("ddpg", trained, [0])
    replay = replayed(agent, seeds=[0])
    batch = minibatch(agent, replay, seeds=[0])
    reader, critic = agent.reader, agent.reader.critic
    flat = lambda learned: learned.online.flat.double().clone().requires_grad_()  # noqa: E731
    of_critic, of_actor = flat(agent.encoders[0]), flat(agent.encoders[-1])
    q, mu = critic.online.flat.double().clone(), reader.policy().flat.double().clone()
    # The first minibatch is all that the statistics have seen.
    picture, reached = batch["picture"][0], batch["next_picture"][0]
    spec, actor = agent.spec, reader.policy_network
    with torch.no_grad():
        after = autograd_output(actor, mu, autograd_features(spec, of_actor, reached))
        later = autograd_output(critic, q, autograd_features(spec, of_critic, reached), after)
        y = batch["reward"][0] + 0.99 * (1 - batch["terminated"][0]) * later
    value = autograd_output(
        critic, q, autograd_features(spec, of_critic, picture), batch["action"][0].double()
    )
    (y - value).square().mean().backward()
    agent.learn(batch)
    torch.testing.assert_close(agent.encoders[0].gradient.flat, of_critic.grad.float(), rtol=1e-4, atol=1e-6)
    if trained == "separately":
        action = autograd_output(actor, mu, autograd_features(spec, of_actor, picture))
        stepped = critic.online.flat.double()
        with torch.no_grad():
            state = autograd_features(spec, of_critic, picture)
        (-autograd_output(critic, stepped, state, action).mean()).backward()
        torch.testing.assert_close(
            agent.encoders[1].gradient.flat, of_actor.grad.float(), rtol=1e-4, atol=1e-7
        )


@pytest.mark.parametrize(("method", "trained"), TRAINED)
def test_observers_see_the_features_that_an_update_was_made_from(method, trained):
    agent = made(method, trained)
    replay = replayed(agent)
    asked, batch = minibatch(agent, replay), minibatch(agent, replay)
    agent.learn(minibatch(agent, replay, 1))
    before = agent.agent_batch(asked)
    agent.learn(batch)
    after = agent.agent_batch(batch)
    # Between the two the statistics have seen this minibatch.
    alike = torch.stack((before.observation.flatten(), after.observation.flatten()))
    assert torch.corrcoef(alike)[0, 1] > 0.7
    assert (after.critic_observation is not None) == (trained == "separately")
    assert "observation" not in asked, "asking changes nothing"
    assert torch.equal(batch["observation"], after.observation)
    errors = agent.local_errors(batch)
    assert not errors or errors[0].shape == (2, 4, 6)
    predicted = agent.predictions(torch.rand(2, 3, PIXELS))
    assert all(value.shape == (2, 3) for value in predicted.values())


def test_the_true_gradient_reads_what_actor_and_critic_each_read():
    agent = made("ddpg", "separately", [0])
    batch = learned(agent, seeds=[0])
    whole = agent.agent_batch(batch)
    args = (agent.actor, agent.policy(), agent.own_critic(), whole.observation)
    true = policy_gradient(*args, whole.critic_observation)
    assert not torch.equal(true.flat, policy_gradient(*args).flat)
    for mine, (weight, _) in zip(true.weights, agent.directions(batch), strict=True):
        torch.testing.assert_close(mine, weight)


def test_a_probe_beside_an_agent_without_a_critic_reads_features():
    agent = made("linear", "never")
    batch = learned(agent)
    probe = ProbeCritic(agent, SEEDS)
    probe.learn(batch)
    assert probe.critic.online.flat.isfinite().all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trained": "separately"}, "learned_feedback .* encoder.trained must be by_critic or never"),
        ({"trained": "by_critic", "strides": [1]}, "kernels has 3 numbers, strides 1"),
        ({"trained": "sometimes"}, "encoder.trained"),
    ],
)
def test_an_encoder_that_cannot_be_trained_so_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        parse_method({"algorithm": "learned_feedback", "encoder": changes})


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"algorithm": "linear", "replay": "recomputed"}, "a global critic that learns by backpropagation"),
        ({"algorithm": "learned_feedback", "critic": "learned_feedback"}, "learns by backpropagation"),
        ({"algorithm": "linear", "target": "global_td"}, "replay must be recomputed or imagined"),
        ({"algorithm": "coagent", "target": "global_td", "newest": 9}, "and newest None"),
    ],
)
def test_an_encoder_trained_by_the_critic_needs_one_and_pictures_in_the_replay(method, message):
    with pytest.raises(ValueError, match=message):
        parse_method(method | {"encoder": {"trained": "by_critic"}})


def test_other_agents_take_no_encoder():
    with pytest.raises(ValueError, match=r"ars cannot have an encoder .*: it takes no encoder"):
        parse_method({"algorithm": "ars", "encoder": {"trained": "never"}})


def test_an_encoder_without_pictures_or_with_too_small_ones_is_refused():
    settings = parse_method({"algorithm": "ddpg", "encoder": {"trained": "never"}})
    with pytest.raises(
        ConfigError, match=r"method ddpg has an encoder, but the environment shows no picture"
    ):
        make_agent(settings, 5, 1, [0])
    with pytest.raises(ConfigError, match=r"method ddpg: kernel 8 .* choose smaller encoder.kernels"):
        make_agent(settings, 4 * 4 * 9, 1, [0], (4, 4, 9))


def test_a_method_without_an_encoder_keeps_its_data():
    assert "encoder" not in parse_method({"algorithm": "ddpg"}).model_dump()


def test_the_features_of_the_defaults():
    assert Convolutions((64, 64, 9), 32, (8, 4, 3), (4, 2, 1)).shapes[1:] == [
        (15, 15, 32),
        (6, 6, 32),
        (4, 4, 32),
    ]
