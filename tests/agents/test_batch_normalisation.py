"""DDPG with batch normalisation against modules of torch, and what it may not do."""

import copy

import pytest
import torch
from tests.agents.test_ddpg import ACT, OBS, batch, settings
from torch import nn

from subcritic.agents import DDPG
from subcritic.agents.actor_critic import actor_critic_at
from subcritic.agents.ddpg import normalised_layers
from subcritic.config import DDPG_PRESETS, ConfigError, DDPGSettings, dump, parse_method
from subcritic.config.reading import parse
from subcritic.nn.batch_norm import MOMENTUM, NormalisedNetwork

NORMALISED = {"batch_normalisation": True}


class Normalised(nn.Module):
    """A network of torch's own modules with the parameters of a NormalisedNetwork of one seed."""

    def __init__(self, network):
        super().__init__()
        self.spec, self.layers = network.spec, tuple(network.raw.gains)
        self.norms = nn.ModuleDict(
            {
                str(layer): nn.BatchNorm1d(gain.shape[-1], momentum=MOMENTUM)
                for layer, gain in network.raw.gains.items()
            }
        )
        self.linear = nn.ModuleList(
            nn.Linear(*weight.shape[1:], bias=layer not in self.layers)
            for layer, weight in enumerate(network.raw.parameters.weights, start=1)
        )
        self.double()
        with torch.no_grad():
            for ours, theirs in self.pairs(network.raw):
                theirs.copy_(ours)

    def pairs(self, raw):
        """(ours, torch's) of everything that is learned or follows."""
        for layer, linear in enumerate(self.linear, start=1):
            yield raw.parameters.weights[layer - 1][0].T, linear.weight
            norm = self.norms[str(layer)] if layer in self.layers else None
            yield raw.parameters.biases[layer - 1][0, 0], (linear if norm is None else norm).bias
        for layer in self.layers:
            norm = self.norms[str(layer)]
            yield raw.gains[layer][0, 0], norm.weight
            yield raw.means[layer][0, 0], norm.running_mean
            yield raw.variances[layer][0, 0], norm.running_var
        # The input has no shift.
        if 0 in self.layers:
            self.norms["0"].bias.requires_grad_(False)

    def forward(self, x, side=None):
        functions = {"relu": torch.relu, "tanh": torch.tanh, "identity": lambda z: z}
        v = self.norms["0"](x) if 0 in self.layers else x
        for layer, linear in enumerate(self.linear, start=1):
            if self.spec.side and self.spec.side[0] == layer:
                v = torch.cat((v, side), dim=-1)
            z = linear(v)
            if layer in self.layers:
                z = self.norms[str(layer)](z)
            v = functions[self.spec.activation(layer)](z)
        return v

    def without_moving(self, *inputs):
        """By the statistics of the minibatch, running statistics staying as they are."""
        for norm in self.norms.values():
            norm.momentum = 0.0
        found = self(*inputs)
        for norm in self.norms.values():
            norm.momentum = MOMENTUM
        return found

    def track(self, other, polyak):
        numbers = zip(self.state_dict().items(), other.state_dict().values(), strict=True)
        for (name, mine), theirs in numbers:
            if "num_batches" not in name:
                mine.lerp_(theirs, polyak)


@pytest.mark.parametrize(
    "overrides",
    [
        {"preset": "lillicrap2016"},
        {"preset": "modern"},
        {"preset": "modern", "polyak": 1.0, "action_layer": 3},
    ],
)
def test_twenty_updates_equal_those_of_torchs_modules(overrides):
    config = settings(**NORMALISED | overrides)
    agent = DDPG(config, OBS, ACT, [3], dtype=torch.float64)
    actor, critic = Normalised(agent.policy_network), Normalised(agent.critic)
    targets = [copy.deepcopy(module).eval() for module in (actor, critic)]
    rates = (config.actor_rate, 0.0), (config.critic_rate, config.critic_weight_decay)
    steps = [
        torch.optim.Adam(
            [p for p in module.parameters() if p.requires_grad], lr=rate, weight_decay=weight_decay
        )
        for module, (rate, weight_decay) in zip((actor, critic), rates, strict=True)
    ]
    for update in range(20):
        data = batch([3], update)
        with torch.no_grad():
            agent.learn(data)
        s, a, r, ended, after = (data[name][0] for name in data)
        with torch.no_grad():
            y = r + config.discount * (1 - ended) * targets[1](after, targets[0](after))
        steps[1].zero_grad()
        ((y - critic(s, a)) ** 2).mean().backward()
        steps[1].step()
        steps[0].zero_grad()
        (-critic.without_moving(s, actor(s)).mean()).backward()
        steps[0].step()
        with torch.no_grad():
            for target, module in zip(targets, (actor, critic), strict=True):
                target.track(module, config.polyak)
    networks = (agent.policy_network, agent.critic)
    for network, module, target in zip(networks, (actor, critic), targets, strict=True):
        for raw, reference in ((network.raw, module), (network.target_raw, target)):
            for ours, theirs in reference.pairs(raw):
                torch.testing.assert_close(ours, theirs.detach(), rtol=0, atol=1e-10)
        assert not torch.allclose(network.raw.statistics, network.target_raw.statistics) or config.polyak == 1
    action = agent.act(data["observation"]).output[0]
    torch.testing.assert_close(action, actor.eval()(s).detach(), rtol=0, atol=1e-10)


def test_a_seed_learns_the_same_alone_or_beside_others():
    config = settings(**NORMALISED)
    together = DDPG(config, OBS, ACT, [0, 1, 2], dtype=torch.float64)
    alone = DDPG(config, OBS, ACT, [1], dtype=torch.float64)
    for update in range(20):
        together.learn(batch([0, 1, 2], update))
        alone.learn(batch([1], update))
    torch.testing.assert_close(together.policy().flat[1:2], alone.policy().flat, rtol=0, atol=1e-12)
    assert not torch.allclose(together.policy().flat[0], together.policy().flat[1])


def test_a_seed_that_is_not_finite_disturbs_no_other():
    agent = DDPG(settings(**NORMALISED), OBS, ACT, [0, 1, 2], dtype=torch.float64)
    data = batch([0, 1, 2])
    data["observation"][1, 3] = torch.nan
    for _ in range(2):
        agent.learn(data)
    assert agent.finite().tolist() == [True, False, True]


def test_it_goes_on_from_a_saved_state_bit_for_bit():
    agent, other = (DDPG(settings(**NORMALISED), OBS, ACT, [0, 1]) for _ in range(2))
    batches = [{name: part.float() for name, part in batch([0, 1], n).items()} for n in range(6)]
    for data in batches[:3]:
        agent.learn(data)
    other.load_state_dict(copy.deepcopy(agent.state_dict()))
    for data in batches[3:]:
        agent.learn(data)
        other.learn(data)
    for network in ("policy_network", "critic"):
        mine, theirs = getattr(agent, network), getattr(other, network)
        for part in ("online", "target", "raw", "target_raw"):
            assert torch.equal(getattr(mine, part).flat, getattr(theirs, part).flat)
        assert torch.equal(mine.raw.statistics, theirs.raw.statistics)


def test_what_measures_an_agent_sees_the_plain_network():
    agent = DDPG(settings(**NORMALISED), OBS, ACT, [0, 1], dtype=torch.float64)
    for update in range(3):
        agent.learn(batch([0, 1], update))
    data = batch([0, 1])
    at = actor_critic_at(
        agent.actor, agent.policy(), agent.critic.spec, agent.critic.online, data["observation"]
    )
    for ours, theirs in zip(agent.local_errors(data), at.local_errors(), strict=True):
        assert torch.equal(ours, theirs)
    assert agent.own_critic() is agent.critic
    assert agent.critic.forward(data["observation"], at.voltages.output).output.equal(at.value)


def test_layers_are_those_of_the_paper():
    config = settings(preset="lillicrap2016")
    assert config.batch_normalisation
    assert normalised_layers(config) == ((0, 1, 2, 3), (0, 1))
    assert normalised_layers(settings()) == ((), ())
    agent = DDPG(config, OBS, ACT, [0])
    assert isinstance(agent.policy_network, NormalisedNetwork)
    assert not isinstance(DDPG(settings(), OBS, ACT, [0]).critic, NormalisedNetwork)


def test_frozen_hidden_layers_stay_wholly_as_they_are():
    agent = DDPG(settings(frozen_hidden=True, **NORMALISED), OBS, ACT, [0], torch.float64)
    plain = DDPG(settings(frozen_hidden=True), OBS, ACT, [0], torch.float64)
    for update in range(3):
        agent.learn(batch([0], update))
    for layer in (0, 1):
        assert torch.equal(agent.policy().weights[layer], plain.policy().weights[layer])
        assert torch.equal(agent.policy().biases[layer], plain.policy().biases[layer])
    assert not torch.allclose(agent.policy().weights[2], plain.policy().weights[2])


def test_a_frozen_critic_keeps_its_statistics():
    agent = DDPG(settings(**NORMALISED), OBS, ACT, [0], dtype=torch.float64)
    agent.learns_critic = False
    before = agent.critic.online.flat.clone()
    agent.learn(batch([0]))
    assert torch.equal(agent.critic.online.flat, before)


def test_a_batch_of_one_is_refused():
    with pytest.raises(ConfigError, match="a batch of one has no variance: batch_size must be at least 2"):
        parse(DDPGSettings, {"algorithm": "ddpg", "batch_size": 1, **NORMALISED})


@pytest.mark.parametrize("preset", DDPG_PRESETS)
@pytest.mark.parametrize("on", [True, False])
def test_it_is_left_out_of_data_where_nobody_asked_for_it_and_read_back_as_it_was(preset, on):
    method = parse_method({"algorithm": "ddpg", "preset": preset, "batch_normalisation": on})
    data = dump(method)
    assert ("batch_normalisation" in data) == (on or preset == "lillicrap2016")
    assert parse_method(data) == method
