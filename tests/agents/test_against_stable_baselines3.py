"""Our DDPG against Stable-Baselines3's: the same update, number by number, and the same learning on Pendulum.

Their returns after learning, of 30 seeds, are in stable_baselines3_returns.csv, which this writes in about six minutes:

    python tests/agents/test_against_stable_baselines3.py

Both do, at every step from `learning_starts` on: critic, then actor with the new critic, then both targets; Adam; layers
that start uniform in ±1/√fan-in; minibatches drawn with replacement; episodes cut by a time limit bootstrap (theirs
through `handle_timeout_termination`). What differs:

- their random numbers come from one global stream, ours from one per seed and purpose, so only distributions can agree;
- they add the Gaussian noise to the uniform warm-up actions too, we do not;
- their first update is one step later (`num_timesteps > learning_starts`).
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import stable_baselines3
import torch
from stable_baselines3 import DDPG as Peer
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.type_aliases import ReplayBufferSamples

from subcritic import envs
from subcritic.agents import DDPG
from subcritic.config import DDPGSettings
from subcritic.training import Evaluator, Trainer

PENDULUM = partial(envs.make, "Pendulum-v1")
SIZES = (3, 1)
SETTINGS = DDPGSettings(algorithm="ddpg", preset="modern", hidden=(64, 64), activation="relu", batch_size=128)
STEPS, SEEDS, EPISODES = 8_000, range(10), 20
THEIRS = Path(__file__).parent / "stable_baselines3_returns.csv"
# Standard deviation between seeds of our mean return after STEPS, of 40 seeds.
SPREAD = 91.0


def make_peer(seed):
    """Stable-Baselines3's DDPG with SETTINGS, on actions scaled to [-1, 1] by the same wrapper as ours."""
    return Peer(
        "MlpPolicy",
        PENDULUM(),
        learning_rate=SETTINGS.critic_rate,
        buffer_size=STEPS,
        learning_starts=SETTINGS.learning_starts,
        batch_size=SETTINGS.batch_size,
        tau=SETTINGS.polyak,
        gamma=SETTINGS.discount,
        train_freq=1,
        gradient_steps=1,
        action_noise=NormalActionNoise(np.zeros(1), np.full(1, SETTINGS.noise_scale)),
        policy_kwargs={"net_arch": list(SETTINGS.hidden)},
        seed=seed,
        device="cpu",
    )


def linears(module):
    return [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)]


def copy_weights(params, module):
    """Ours into theirs. Their critic reads (observation, action), as ours does when the action joins at layer 1."""
    for layer, weight, bias in zip(linears(module), params.weights, params.biases, strict=True):
        layer.weight.data.copy_(weight[0].T)
        layer.bias.data.copy_(bias[0, 0])


def largest_difference(params, module):
    pairs = zip(linears(module), params.weights, params.biases, strict=True)
    return max(
        max((layer.weight - weight[0].T).abs().max().item(), (layer.bias - bias[0, 0]).abs().max().item())
        for layer, weight, bias in pairs
    )


def random_batch(rng):
    n = SETTINGS.batch_size
    return {
        "observation": torch.from_numpy(rng.normal(size=(1, n, 3))),
        "action": torch.from_numpy(rng.uniform(-1, 1, size=(1, n, 1))),
        "reward": torch.from_numpy(rng.normal(size=(1, n, 1))),
        "terminated": torch.from_numpy((rng.random((1, n, 1)) < 0.2).astype(float)),
        "next_observation": torch.from_numpy(rng.normal(size=(1, n, 3))),
    }


def test_fifty_updates_are_theirs_number_by_number(monkeypatch):
    """From the same weights and minibatches, in float64, all four networks stay the same."""
    agent, peer = DDPG(SETTINGS, *SIZES, [0], dtype=torch.float64), make_peer(0)
    peer.policy.double()
    # Their preprocessing would round observations to float32.
    monkeypatch.setattr("stable_baselines3.common.policies.preprocess_obs", lambda seen, *_, **__: seen)
    peer.set_logger(Logger(None, []))
    pairs = [
        (agent.policy_network.online, peer.actor),
        (agent.policy_network.target, peer.actor_target),
        (agent.critic.online, peer.critic),
        (agent.critic.target, peer.critic_target),
    ]
    for ours, theirs in pairs:
        copy_weights(ours, theirs)
    before = agent.policy().flat.clone()
    rng = np.random.default_rng(0)
    for _ in range(50):
        batch = random_batch(rng)
        seen = {name: column[0] for name, column in batch.items()}
        sample = ReplayBufferSamples(
            seen["observation"], seen["action"], seen["next_observation"], seen["terminated"], seen["reward"]
        )
        peer.replay_buffer.sample = lambda *_, sample=sample, **__: sample
        agent.learn(batch)
        peer.train(gradient_steps=1, batch_size=SETTINGS.batch_size)
    assert (agent.policy().flat - before).abs().max() > 1e-2, "the comparison needs weights that moved"
    for ours, theirs in pairs:
        assert largest_difference(ours, theirs) < 1e-9


def returns(act, seeds):
    """Mean noise-free return per seed, (S,), over episodes that start alike for ours and theirs."""
    evaluator = Evaluator(PENDULUM, seeds, EPISODES)
    with torch.no_grad():
        found = evaluator(act, step=0)
    evaluator.close()
    return found.mean(axis=1)


def our_returns(seeds, steps=STEPS):
    agent = DDPG(SETTINGS, *SIZES, seeds)
    trainer = Trainer(agent, PENDULUM, seeds, steps, divergence_factor=10.0)
    trainer.run()
    trainer.close()
    return returns(lambda observation: agent.act(observation).output, seeds)


def their_returns(seed, steps=STEPS):
    peer = make_peer(seed)
    peer.learn(steps)
    return returns(lambda observation: peer.actor(observation[0]).unsqueeze(0), [seed])[0]


@pytest.mark.slow
def test_both_learn_pendulum_and_reach_the_same_return():
    """Within three standard errors of a difference between the means of 10 and 30 seeds: about 110, a tenth of the way from
    random (-1200) to solved (-150). Single seeds still drop to -600 now and then, in either implementation, which is why
    the bounds are on means and medians.
    """
    recorded = pd.read_csv(THEIRS)
    assert set(recorded.version) == {stable_baselines3.__version__}, (
        "record the returns of this version, see above"
    )
    ours, theirs = our_returns(SEEDS), recorded["return"]
    assert our_returns(SEEDS, steps=1).max() < -900, "the task must need learning"
    assert np.median(ours) > -300 and ours.mean() > -500, ours
    variance = SPREAD**2 / len(ours) + theirs.var() / len(theirs)
    assert abs(ours.mean() - theirs.mean()) < 3 * np.sqrt(variance), f"ours {ours}, theirs {theirs.mean()}"


@pytest.mark.slow
def test_their_agent_still_learns_as_was_recorded():
    """One seed, which may end elsewhere on another processor: not four standard deviations below their mean."""
    recorded = pd.read_csv(THEIRS)["return"]
    assert their_returns(0) > recorded.mean() - 4 * recorded.std()


if __name__ == "__main__":
    torch.set_num_threads(1)
    rows = [(stable_baselines3.__version__, seed, round(their_returns(seed), 4)) for seed in range(30)]
    pd.DataFrame(rows, columns=["version", "seed", "return"]).to_csv(THEIRS, index=False)
