"""Training from pictures, from the environment to the files that are kept."""

from functools import partial
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch

from subcritic import envs
from subcritic.agents import make_agent
from subcritic.config import parse_method
from subcritic.measuring import policies
from subcritic.nn.convolution import Convolutions
from subcritic.training import Evaluator, Trainer, checkpoint

SIZE, SEEDS = 9, [0, 1]
SMALL = {"hidden": [32], "batch_size": 32, "learning_starts": 50, "noise_scale": 0.3}
ENCODER = {"filters": 4, "kernels": [3, 3], "strides": [2, 1]}
METHODS = {
    f"{algorithm}-{trained}": parse_method(
        {"algorithm": algorithm, **SMALL, **more, "encoder": ENCODER | {"trained": trained}}
    )
    for algorithm, trained, more in (
        ("ddpg", "separately", {}),
        ("learned_feedback", "by_critic", {"optimiser": "adam", "actor_rate": 1e-3}),
        ("learned_feedback", "never", {"optimiser": "adam", "actor_rate": 1e-3}),
    )
}


class Dot(gym.Env):
    """A bright dot on a line, to be pushed to its middle and held there for 12 steps."""

    observation_space = gym.spaces.Box(0, 255, (SIZE, SIZE, 1), np.uint8)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = float(self.np_random.uniform(0, SIZE - 1))
        return self._picture(), {}

    def step(self, action):
        self.place = float(np.clip(self.place + 1.5 * action[0], 0, SIZE - 1))
        away = abs(self.place - SIZE // 2) / (SIZE // 2)
        return self._picture(), 1 - away, False, False, {}

    def _picture(self):
        picture = np.zeros((SIZE, SIZE, 1), np.uint8)
        picture[4, round(self.place)] = 255
        return picture


@pytest.fixture(scope="module", autouse=True)
def dot():
    gym.register("Dot-v0", Dot, max_episode_steps=12)
    yield
    del gym.registry["Dot-v0"]


MAKE = partial(envs.make, "Dot-v0")


def trainer(method, seeds=SEEDS, steps=80):
    environment = MAKE()
    agent = make_agent(METHODS[method], *envs.sizes(environment), seeds, envs.picture(environment))
    return Trainer(agent, MAKE, seeds, steps, divergence_factor=1e9)


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_training_ends_bit_for_bit_as_one_that_was_not_stopped(method, tmp_path):
    whole, stopped, resumed = trainer(method), trainer(method), trainer(method)
    whole.run()
    with torch.no_grad():
        while stopped.step < 65:
            stopped.advance()
    checkpoint.save(tmp_path / "c.pt", "key", stopped.state_dict())
    resumed.load_state_dict(checkpoint.load(tmp_path / "c.pt", "key"))
    resumed.run()
    assert torch.equal(resumed.agent.policy().flat, whole.agent.policy().flat)
    for mine, theirs in zip(resumed.agent.encoders, whole.agent.encoders, strict=True):
        assert torch.equal(mine.online.flat, theirs.online.flat)
    assert resumed.finished_returns == whole.finished_returns


@pytest.mark.parametrize("method", METHODS)
def test_it_learns_to_see_where_to_push(method):
    seeds = [0, 1, 2]
    found = trainer(method, seeds, steps=600)
    with Evaluator(MAKE, seeds, 10) as evaluator, torch.no_grad():
        found.run()
        returns = evaluator(found.policy(), 1).mean(axis=1)
    # The best is 12, less what it takes to get there; an end of the line pays 0, and a dot that is left alone 6.
    assert returns.max() > 8 and returns.mean() > 5


def test_a_policy_that_was_kept_acts_as_the_agent_did():
    found = trainer("ddpg-separately")
    found.run()
    for s, kept in enumerate(policies.of(found)):
        encoder = SimpleNamespace(**kept["encoder"])
        spec = Convolutions(encoder.picture, encoder.filters, encoder.kernels, encoder.strides)
        observation = torch.rand(1, 3, SIZE * SIZE)
        raw = spec.forward(spec.views(encoder.parameters.unsqueeze(0)), observation).output
        features = (raw - encoder.mean) * encoder.scale
        actor = found.agent.actor
        action = actor.forward(actor.views(kept["parameters"].unsqueeze(0)), features).output
        expected = found.agent.act(observation.expand(2, -1, -1)).output[s : s + 1]
        torch.testing.assert_close(action, expected, rtol=1e-5, atol=1e-6)
