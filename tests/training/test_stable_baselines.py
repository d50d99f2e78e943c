"""Agents of Stable-Baselines3 in our loop do what they do in their own."""

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3
import torch
from pydantic import ValidationError
from stable_baselines3.common.noise import NormalActionNoise

from subcritic import envs, seeding
from subcritic.agents import make_agent
from subcritic.config import parse_method
from subcritic.training.stable_baselines import PeerTrainer

PENDULUM = envs.maker({"id": "Pendulum-v1", "kwargs": {}, "max_episode_steps": 40})
SEEDS = [3, 4]
SMALL = {"algorithm": "stable_baselines3", "hidden": [16, 16], "batch_size": 16, "learning_starts": 50}


def trainer_of(learner, steps, seeds=SEEDS):
    settings = parse_method(SMALL | {"learner": learner})
    return PeerTrainer(make_agent(settings, 3, 1, seeds), PENDULUM, seeds, steps, 1e9)


class OurEpisodes(gym.Wrapper):
    """Resets as our loop does: each episode with a seed that is drawn for it."""

    episode = -1

    def reset(self, *, seed=None, options=None):
        self.episode += 1
        rng = seeding.generator(3, "training episode", self.episode)
        return super().reset(seed=int(rng.integers(2**31)))


@pytest.mark.parametrize("learner", ["DDPG", "TD3", "SAC"])
def test_it_learns_exactly_what_its_own_loop_learns(learner):
    ours = trainer_of(learner, 120)
    ours.run()
    env = OurEpisodes(PENDULUM())
    noise = {} if learner == "SAC" else {"action_noise": NormalActionNoise(np.zeros(1), np.full(1, 0.1))}
    theirs = getattr(stable_baselines3, learner)(
        "MlpPolicy", env, seed=3, batch_size=16, buffer_size=120, learning_starts=50,
        policy_kwargs={"net_arch": [16, 16]}, **noise,
    )  # fmt: skip
    theirs.learn(120)
    for mine, other in zip(ours.agent.models[0].policy.parameters(), theirs.policy.parameters(), strict=True):
        assert torch.equal(mine, other)
    observation = np.array([[0.3, -0.9, 2.0], [-1.0, 0.1, -3.0]], np.float32)
    expected, _ = theirs.predict(observation, deterministic=True)
    found = ours.policy()(torch.from_numpy(np.stack([observation] * 2)))[0]
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-6)
    ours.close()


@pytest.mark.parametrize(
    ("learner", "stop"), [("DDPG", 73), ("DDPG", 20), ("TD3", 73), ("SAC", 73), ("SAC", 20)]
)
def test_a_stopped_training_goes_on_bit_for_bit(learner, stop):
    """Stopped while learning, and while actions are drawn at random."""
    whole, first = trainer_of(learner, 110), trainer_of(learner, 110)
    whole.run()
    with torch.no_grad():
        for _ in range(stop):
            first.advance()
    again = trainer_of(learner, 110)
    again.load_state_dict(first.state_dict())
    again.run()
    assert torch.equal(again.agent.online.flat, whole.agent.online.flat)
    for trainer in (whole, first, again):
        trainer.close()


def test_a_seed_learns_alone_as_beside_others_and_global_random_numbers_stay():
    both, alone = trainer_of("DDPG", 90), trainer_of("DDPG", 90, [4])
    torch.manual_seed(0)
    before = torch.get_rng_state()
    both.run()
    alone.run()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(alone.agent.online.flat[0], both.agent.online.flat[1])
    for trainer in (both, alone):
        trainer.close()


def test_what_is_not_given_is_as_the_library_has_it():
    settings = parse_method({"algorithm": "stable_baselines3", "learner": "TD3"})
    assert (settings.name, settings.hidden, settings.activation) == ("sb3-td3", (400, 300), "relu")
    assert (settings.batch_size, settings.learning_starts, settings.role) == (256, 100, "backpropagation")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learner": "PPO"}, "'DDPG', 'TD3' or 'SAC'"),
        ({"frozen_hidden": True}, "frozen_hidden has a meaning only with our own agents"),
        ({"options": {"gamma": 0.9}}, "options: gamma: cannot be given here"),
        (
            {"options": {"train_freq": 4, "use_sde": True}},
            "options: train_freq, use_sde: cannot be given here",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        parse_method(SMALL | changes)


def test_options_reach_the_library_and_actions_may_have_several_dimensions():
    settings = parse_method(
        SMALL | {"learner": "TD3", "options": {"learning_rate": 0.02, "gradient_steps": 2}}
    )
    task = envs.maker({"id": "subcritic/ReacherTwoFixed-v0", "kwargs": {}, "max_episode_steps": None})
    trainer = PeerTrainer(make_agent(settings, 10, 2, [3]), task, [3], 60, 1e9)
    trainer.run()
    (model,) = trainer.agent.models
    assert (model.learning_rate, model.gradient_steps, model.num_timesteps) == (0.02, 2, 60)
    expected, _ = model.predict(np.ones((1, 10), np.float32), deterministic=True)
    found = trainer.policy()(torch.ones(1, 1, 10))[0]
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-6)
    trainer.close()


def test_an_agent_that_is_not_finite_is_stopped_and_the_others_go_on():
    trainer = trainer_of("SAC", 220)
    with torch.no_grad():
        for _ in range(60):
            trainer.advance()
        for parameter in trainer.agent.models[0].policy.actor.parameters():
            parameter.fill_(float("nan"))
        trainer.run()
    assert trainer.watch.diverged_at == [100, None] and trainer.step == 220
    trainer.close()
