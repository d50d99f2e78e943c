"""One neuron trained by a stranger: Stable-Baselines3 learns in the sub-environment of a single neuron.

    python examples/train_one_neuron.py [--seeds 5] [--steps 6000] [--algorithm DDPG]

For every seed, our DDPG trains a small Pendulum actor (3-8-8-1, tanh). Then all its neurons but one are kept as they are,
and Stable-Baselines3, which knows nothing of networks of neurons, learns that one's voltage from the voltages it sees and
the reward of the whole agent. Two neurons are trained so: the output neuron, and the hidden neuron whose random firing
costs the agent most. Printed: the return of the whole agent with that neuron firing at random, with the neuron
Stable-Baselines3 trained, and with the neuron it had; means over seeds, with 95 % t-intervals of the mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.noise import NormalActionNoise

from subcritic import envs, seeding
from subcritic.agents import DDPG
from subcritic.config import DDPGSettings
from subcritic.neuro import NeurocomputationalAgent, SubEnvironment, feedforward
from subcritic.stats import t_interval
from subcritic.training import Trainer

PENDULUM = partial(envs.make, "Pendulum-v1")
ACTOR = DDPGSettings(
    algorithm="ddpg", hidden=(8, 8), activation="tanh", batch_size=128, critic_rate=3e-3, noise_scale=0.1
)
ACTOR_STEPS = 10_000
# Neurons 0-2 are the inputs, 3 the constant one, 4-11 and 12-19 the hidden layers, 20 the output.
HIDDEN, OUTPUT = range(4, 20), 20

Policy = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Outcome:
    """Mean returns of the whole agent, for one seed, neuron by neuron."""

    seed: int
    kind: str
    neuron: int
    random: float
    trained: float
    original: float


def train_agents(seeds: Sequence[int]) -> list[NeurocomputationalAgent]:
    """A Pendulum actor for each seed, trained by DDPG side by side, as neurocomputational agents."""
    ddpg = DDPG(ACTOR, *envs.sizes(PENDULUM()), seeds)
    trainer = Trainer(ddpg, PENDULUM, seeds, ACTOR_STEPS, divergence_factor=10.0)
    trainer.run()
    trainer.close()
    return [feedforward(ddpg.actor, ddpg.policy(), index) for index in range(len(seeds))]


def sub_environment(agent: NeurocomputationalAgent, neuron: int) -> SubEnvironment:
    """E^n as the neuron sees it: the layer below, asked once per step of Pendulum."""
    return SubEnvironment(PENDULUM(), agent, neuron, view="presynaptic", clock="environment")


def mean_return(sub: SubEnvironment, policy: Policy, episodes: int) -> float:
    """Undiscounted return of the whole agent when `policy` is the neuron; the same episodes for every policy."""
    total = 0.0
    for episode in range(episodes):
        observation, _ = sub.reset(seed=10_000 + episode)
        ended = False
        while not ended:
            observation, reward, terminated, truncated, _ = sub.step(policy(observation))
            total += reward
            ended = terminated or truncated
    return total / episodes


def random_neuron(sub: SubEnvironment, seed: int) -> Policy:
    """A neuron that fires uniformly at random."""
    rng = seeding.generator(seed, "random neuron")
    return lambda observation: rng.uniform(sub.action_space.low, sub.action_space.high)


def neuron_that_matters(agent: NeurocomputationalAgent, seed: int) -> int:
    """The hidden neuron whose random firing costs the agent most."""
    costs = {}
    for neuron in HIDDEN:
        sub = sub_environment(agent, neuron)
        costs[neuron] = mean_return(sub, random_neuron(sub, seed), episodes=5)
    return min(costs, key=costs.get)


def train_neuron(sub: SubEnvironment, algorithm: str, steps: int, seed: int) -> Policy:
    """What Stable-Baselines3 makes of the neuron."""
    model = getattr(stable_baselines3, algorithm)(
        "MlpPolicy",
        sub,
        learning_rate=1e-3,
        learning_starts=500,
        buffer_size=steps,
        batch_size=128,
        gamma=0.99,
        action_noise=NormalActionNoise(np.zeros(1), np.full(1, 0.1)),
        policy_kwargs={"net_arch": [64, 64]},
        seed=seed,
        device="cpu",
    )
    model.learn(steps)
    return lambda observation: model.predict(observation, deterministic=True)[0]


def run(
    seeds: Sequence[int], kinds: tuple[str, ...], algorithm: str, steps: int, episodes: int = 20
) -> list[Outcome]:
    """Train an agent for each seed, then one of its neurons of each kind ('output', 'hidden') anew."""
    found = []
    for seed, agent in zip(seeds, train_agents(seeds), strict=True):
        for kind in kinds:
            neuron = OUTPUT if kind == "output" else neuron_that_matters(agent, seed)
            sub = sub_environment(agent, neuron)
            trained = train_neuron(sub, algorithm, steps, seed)
            policies = (random_neuron(sub, seed), trained, sub.local_policy)
            returns = [mean_return(sub, policy, episodes) for policy in policies]
            found.append(Outcome(seed, kind, neuron, *returns))
            random, trained, original = (f"{value:.0f}" for value in returns)
            print(
                f"seed {seed}, {kind} neuron {neuron}: random {random}, trained {trained}, original {original}",
                flush=True,
            )
    return found


def summary(outcomes: list[Outcome]) -> str:
    """Means over seeds with 95 % t-intervals, per kind of neuron."""
    lines = []
    for kind in dict.fromkeys(outcome.kind for outcome in outcomes):
        rows = [outcome for outcome in outcomes if outcome.kind == kind]
        gains = [row.trained - row.random for row in rows]
        parts = {name: [getattr(row, name) for row in rows] for name in ("random", "trained", "original")}
        parts["improvement"] = gains
        shown = ", ".join(f"{name} {_interval(values)}" for name, values in parts.items())
        lines.append(f"{kind} neuron, {len(rows)} seeds: {shown}")
    return "\n".join(lines)


def _interval(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.0f}"
    low, high = t_interval(values)
    return f"{np.mean(values):.0f} [{low:.0f}, {high:.0f}]"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6_000, help="environment steps for each neuron")
    parser.add_argument("--algorithm", choices=("TD3", "DDPG"), default="DDPG")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(summary(run(range(given.seeds), ("output", "hidden"), given.algorithm, given.steps)))


if __name__ == "__main__":
    main()
