"""The training loop: act, store, learn; the same lines for every agent and any number of seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from subcritic import seeding
from subcritic.agents import Agent
from subcritic.agents.protocol import NEWEST
from subcritic.envs import EpisodeStreams, UnusableEnvironment, sizes
from subcritic.envs.episodes import Transitions
from subcritic.envs.errors import warn
from subcritic.exploration import Exploration
from subcritic.replay import Replay
from subcritic.training.divergence import DivergenceWatch, due

# Steps between two looks of the divergence watch, at the first update from then on.
WATCH_EVERY = 100


class Observer(Protocol):
    """Something called after every `every` steps, and before the first one; it watches, it does not interfere.

    With an attribute `at_end` that is true, it is called after the last step too, whatever `every` is.
    """

    every: int

    def __call__(self, trainer: Trainer) -> None: ...


class Trainer:
    """Trains S agents, one per seed, each in its own environment, for `steps` environment steps each.

    One update per `update_every` environment steps from `learning_starts` on; before it, actions are uniform random. Seeds
    that diverge are stopped: they neither act nor count as learning from then on, and `policy_of` gives what they had then.
    So are seeds whose environment gives what is not finite; if it does so to all of them, UnusableEnvironment is raised.
    `purpose` names the random streams, so that two phases of an experiment do not share them.
    """

    def __init__(
        self,
        agent: Agent,
        make_environment: Callable[[], gym.Env],
        seeds: Sequence[int],
        steps: int,
        divergence_factor: float,
        observers: Sequence[Observer] = (),
        purpose: str = "training",
    ) -> None:
        settings = agent.settings
        self.agent, self.seeds, self.steps, self.observers = agent, list(seeds), steps, list(observers)
        environments = [make_environment() for _ in seeds]
        self.episodes = EpisodeStreams(environments, seeds, purpose, tolerant=True)
        self.replay = self._make_replay(min(settings.replay_size, steps))
        self.watch = DivergenceWatch(len(seeds), settings.discount, divergence_factor)
        self.exploration = Exploration(
            agent.actor.sizes,
            settings.noise_scale,
            settings.exploration,
            settings.noise,
            seeding.generators(seeds, f"{purpose} exploration"),
            fraction=settings.noisy_fraction,
        )
        self.minibatches = seeding.Draws(
            seeding.generators(seeds, f"{purpose} minibatch"), settings.batch_size
        )
        self.warm_up = seeding.Draws(
            seeding.generators(seeds, f"{purpose} warm-up"), sizes(environments[0])[1]
        )
        self.step = 0
        self.batch: dict[str, Tensor] | None = None
        self.finished_returns: list[list[float]] = [[] for _ in seeds]
        self.stopped_policies: dict[int, Tensor] = {}
        for s, what in self.episodes.failed_at_start.items():
            self.environment_failed(s, f"{what} before the first training step")

    def run(self) -> None:
        """Train to the end, from wherever it stands. Raises KeyboardInterrupt and the like unchanged."""
        with torch.no_grad():
            if self.step == 0:
                self._observe()
            while self.step < self.steps:
                self.advance()
                self._observe()

    def advance(self) -> None:
        """One environment step and, after the warm-up, one update, for every seed."""
        self._act_and_store()
        self.step += 1
        self.batch = None
        if self.learning and self.step % self.agent.settings.update_every == 0:
            self._learn()
        # Only after an update: before the first one of a process, an agent has no values to look at.
        if self.learning and due(self.step, WATCH_EVERY, self.agent.settings.update_every):
            self._stop_diverged()

    @property
    def learning(self) -> bool:
        return self.step >= self.agent.settings.learning_starts

    def policy(self) -> Callable[[Tensor], Tensor]:
        """The policy without noise, for one evaluation: observations (S, B, n_0) → actions (S, B, n_L)."""
        return lambda observation: self.agent.act(observation).output

    def predictions(self, observation: Tensor) -> dict[str, Tensor]:
        """What the agent's critics predict in states (S, B, n_0), see `Agent.predictions`."""
        return self.agent.predictions(observation)

    def policy_of(self, seed_index: int) -> Tensor:
        """The flat parameters (P,) of a seed's actor; of a diverged seed, those it had when it was stopped."""
        return self.stopped_policies.get(seed_index, self.agent.policy().flat[seed_index])

    def take_returns(self, seed_index: int) -> list[float]:
        """Returns of the training episodes finished since the last call."""
        taken, self.finished_returns[seed_index] = self.finished_returns[seed_index], []
        return taken

    def environment_failed(self, seed_index: int, what: str) -> None:
        """Stop a seed whose environment gave what is not finite. Raises UnusableEnvironment if it was the last that could.

        what: such as `gave the reward nan in the training step 7`.
        """
        name = self.episodes.environments.name
        self.watch.failures[seed_index] = what
        self._keep_policies([seed_index])
        if all(self.watch.failures):
            raise UnusableEnvironment(f"{name!r} {what}, as to all seeds: none is left to train")
        warn(f"{name!r} {what}: seed {self.seeds[seed_index]} is stopped")

    def _make_replay(self, capacity: int) -> Replay:
        kind: type[Replay] = getattr(self.agent, "Replay", Replay)
        return kind(len(self.seeds), capacity, self.agent.columns)

    def _learn(self) -> None:
        batch_size, consecutive = self.agent.settings.batch_size, self.agent.consecutive
        self.batch = self.replay.sample(batch_size, self.minibatches, consecutive)
        if newest := self.agent.newest:
            rows = self.replay.sample(batch_size, self.minibatches, consecutive, newest)
            self.batch |= {f"{NEWEST}{name}": column for name, column in rows.items()}
        self.agent.learn(self.batch)

    def _stop_diverged(self) -> None:
        self._keep_policies(self.watch.check(self.agent, self.step))

    def _observe(self) -> None:
        for observer in self.observers:
            last = self.step == self.steps and getattr(observer, "at_end", False)
            if self.step % observer.every == 0 or last:
                observer(self)

    def _act_and_store(self) -> None:
        observation = torch.from_numpy(self.episodes.observation).unsqueeze(1)
        warming_up = self.step < self.agent.settings.learning_starts
        noise = self.exploration.draw()
        # Noise of hidden neurons would have no effect on a random action.
        voltages = self.agent.act(observation, None if warming_up else noise)
        if warming_up:
            drawn = torch.from_numpy(2 * self.warm_up.next() - 1)
            voltages.replace_output(drawn.to(observation.dtype).unsqueeze(1))
        played = self._play(voltages.output[:, 0].numpy())
        reward, terminated = (
            torch.from_numpy(column.astype(np.float32)[:, None])
            for column in (played.reward, played.terminated)
        )
        reached = torch.from_numpy(played.observation)
        self.replay.add(self.agent.transition(voltages, reward, terminated, reached))
        for s, episode_return in played.finished.items():
            self._end_episode(s, episode_return)

    def _play(self, actions: np.ndarray, which: Sequence[int] | None = None) -> Transitions:
        """One step with actions (S, n_L) of the seeds `which`, None: of all that are not stopped; stops those that cannot go
        on.
        """
        self._keep_policies(self.watch.see_actions(actions, self.step))
        active = self.watch.active
        played = self.episodes.step(actions, active if which is None else [s for s in which if s in active])
        self.watch.see_rewards(played.reward)
        for s, what in played.failed.items():
            self.environment_failed(s, f"{what} in the training step {self.step + 1}")
        return played

    def _keep_policies(self, stopped: Sequence[int]) -> None:
        for s in stopped:
            self.stopped_policies[s] = self.agent.policy().flat[s].clone()

    def _end_episode(self, seed_index: int, episode_return: float) -> None:
        self.finished_returns[seed_index].append(episode_return)
        self.exploration.reset(seed_index)

    def state_dict(self) -> dict[str, Any]:
        """Everything that training from here on depends on."""
        return {
            "step": self.step,
            "agent": self.agent.state_dict(),
            "episodes": self.episodes.state_dict(),
            "replay": self.replay.state_dict(),
            "watch": self.watch.state_dict(),
            "exploration": self.exploration.state_dict(),
            "minibatches": self.minibatches.state_dict(),
            "warm_up": self.warm_up.state_dict(),
            "finished_returns": [list(returns) for returns in self.finished_returns],
            "stopped_policies": dict(self.stopped_policies),
        }

    def load_final_state(self, state: dict[str, Any]) -> None:
        """What is left to know of a finished run: the agent, and who diverged."""
        self.step = state["step"]
        self.agent.load_state_dict(state["agent"])
        self.watch.load_state_dict(state["watch"])
        self.stopped_policies = dict(state["stopped_policies"])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.load_final_state(state)
        self.episodes.load_state_dict(state["episodes"], self.watch.active)
        self.replay.load_state_dict(state["replay"])
        self.exploration.load_state_dict(state["exploration"])
        self.minibatches.load_state_dict(state["minibatches"])
        self.warm_up.load_state_dict(state["warm_up"])
        self.finished_returns = [list(returns) for returns in state["finished_returns"]]

    def close(self) -> None:
        self.episodes.close()
