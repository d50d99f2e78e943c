"""Do the directions of whole rules follow the true policy gradient, along their own training and along DDPG's?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from subcritic import envs, seeding
from subcritic.agents import Agent, make_agent
from subcritic.agents.actor_critic import policy_gradient
from subcritic.config import AgentSettings, DDPGSettings
from subcritic.measuring.interventions import oracle_weight_gradient
from subcritic.measuring.method import watched_training
from subcritic.measuring.observers import Log
from subcritic.measuring.probe import ProbeCritic
from subcritic.measuring.session import Session
from subcritic.measuring.tables import paths, write_csv
from subcritic.nn import MLP, Parameters
from subcritic.nn.network import Network
from subcritic.stats import DirectionalCosine, directional_cosine
from subcritic.studies.agreement import STUDY
from subcritic.studies.agreement.directions import (
    Batch,
    Direction,
    Directions,
    directions_of,
    of_agent,
)
from subcritic.studies.agreement.followers import Leader
from subcritic.studies.agreement.measures import EXPECTATION, Row, measure
from subcritic.studies.agreement.returns import (
    Player,
    equally_long,
    finite_differences,
    random_directions,
)
from subcritic.studies.agreement.settings import LED, ORACLE, OWN, RANDOM, Config
from subcritic.study import Job
from subcritic.training import Trainer


def run(job: Job, results: Path) -> list[Path]:
    """Train the job's method on its environment, all its seeds, and measure at its snapshots; returns the file written."""
    config = job.config
    assert isinstance(config, Config)
    session = Session(job, job.runs[0], results)

    def setup(log: Log) -> tuple[Trainer, list]:
        trainer, observers = watched_training(config.method, job.runtime, log, partial(_agent, config))
        return trainer, [*observers, Snapshots(config, log, trainer.agent)]

    _, observers = session.run(setup)
    table = pd.DataFrame(observers[-1].rows).assign(environment=job.environment)
    columns = list(STUDY.records["agreement"].columns)
    return [write_csv(paths(job, STUDY, results)["agreement"], table.reindex(columns=columns))]


def _agent(
    config: Config,
    settings: AgentSettings,
    observation_size: int,
    action_size: int,
    seeds: Sequence[int],
    picture: None = None,
) -> Agent:
    if isinstance(settings, DDPGSettings):
        return Leader(settings, config.local_followers, observation_size, action_size, seeds)
    return make_agent(settings, observation_size, action_size, seeds)


class Snapshots:
    """Measures at snapshots, by the agent's own backpropagated critic, or by one that learns beside it at every step.

    rows: all that was measured so far.
    """

    every = 1

    def __init__(self, config: Config, log: Log, agent: Agent) -> None:
        self.measurement, self.log, self.agent = config.measurement, log, agent
        self.seeds, self.name = list(config.method.seeds), config.method.agent.name
        self.steps = config.at
        own = agent.own_critic()
        self.probe = ProbeCritic(agent, self.seeds) if own is None else None
        self.critic = own or self.probe.critic
        self.make_environment = envs.maker(config.method.environment)
        self.player: Player | None = None
        self.rows: list[dict[str, Any]] = []

    def __call__(self, trainer: Trainer) -> None:
        if not trainer.learning:
            return
        if self.probe:
            rngs = seeding.generators(self.seeds, "agreement probe", trainer.step)
            self.probe.learn(trainer.replay.sample(self.agent.settings.batch_size, rngs))
        if trainer.step in self.steps:
            self._measure(trainer)

    def _measure(self, trainer: Trainer) -> None:
        agent = self.agent
        ask = partial(self._ask, trainer)
        some = trainer.replay.at(np.zeros((len(self.seeds), 1), dtype=int), agent.consecutive)
        own = {self.name: ask(of_agent(agent), agent)} if agent.directions(some) else {}
        own |= {ORACLE: ask(self._oracle), RANDOM: ask(self._random(trainer.step))}
        self._add(trainer, OWN, own)
        if isinstance(agent, Leader):
            led = own | {
                name: ask(of_agent(follower), follower) for name, follower in agent.followers.items()
            }
            self._add(trainer, LED, led)
            if self.measurement.returns.directions and trainer.watch.active:
                self._compare_with_return(trainer, led)

    def _ask(self, trainer: Trainer, direction: Direction, of: Agent | None = None) -> Directions:
        """of: whose rows it reads; None: it reads observations alone."""
        return directions_of(
            direction,
            trainer.replay,
            lambda batch: policy_gradient(*self._judged(batch)).flat,
            batch_size=self.agent.settings.batch_size,
            states=self.measurement.states,
            draws=self.measurement.draws,
            seeds=self.seeds,
            step=trainer.step,
            consecutive=self.agent.consecutive if of else 1,
            newest=getattr(of.settings, "newest", None) if of else None,
        )

    def _judged(self, batch: Batch) -> tuple[MLP, Parameters, Network, Tensor]:
        agent = self.agent
        return agent.actor, agent.policy(), self.critic, agent.agent_batch(batch).observation

    def _oracle(self, batch: Batch, noise: Sequence[np.random.Generator]) -> Tensor:
        """The true gradient by torch's autograd."""
        actor, policy, critic, observation = self._judged(batch)
        return oracle_weight_gradient(observation, (actor, policy, critic.spec, critic.online))

    def _random(self, step: int) -> Direction:
        """One random direction, the same for every minibatch."""
        size = self.agent.policy().flat.shape[1]
        rngs = seeding.generators(self.seeds, "agreement random direction", step)
        drawn = torch.from_numpy(np.stack([rng.standard_normal(size) for rng in rngs]))
        return lambda batch, noise: drawn

    def _add(self, trainer: Trainer, at: str, directions: dict[str, Directions]) -> None:
        for method, found in directions.items():
            rngs = seeding.generators(self.seeds, "agreement permutations", trainer.step)
            rows = list(measure(self.agent.actor, found, self.measurement.permutations, rngs))
            self._keep(trainer, at, method, rows)

    def _compare_with_return(self, trainer: Trainer, directions: dict[str, Directions]) -> None:
        """Rows on how the return changes along each expected direction, and along random ones."""
        agent, settings, active = self.agent, self.measurement.returns, trainer.watch.active
        if self.player is None:
            self.player = Player(agent.actor, self.make_environment, self.seeds, settings.episodes)
        policy = agent.policy().flat
        own = equally_long(np.stack([found.mean.mean(axis=0) for found in directions.values()]))
        along = random_directions(settings.directions, policy.shape[1], self.seeds, trainer.step)
        returns = self.player.at(trainer.step, active)
        differences = finite_differences(returns, policy, torch.cat((own, along)), settings.radius)
        # A method without a direction has none to follow.
        differences[: len(own)][(own == 0).all(dim=-1).numpy()] = np.nan
        for method, theirs in zip(directions, differences, strict=False):
            compared = {
                s: directional_cosine(theirs[s], differences[len(own) :, s], policy.shape[1]) for s in active
            }
            rows = []
            for name in DirectionalCosine._fields:
                values = np.full(len(self.seeds), np.nan)
                values[active] = [getattr(compared[s], name) for s in active]
                rows.append(Row(EXPECTATION, "actor", None, f"return_{name}", values))
            self._keep(trainer, LED, method, rows)

    def _keep(self, trainer: Trainer, at: str, method: str, rows: list[Row]) -> None:
        """Keep rows, and record the whole actor's cosines: `cosine/…` those of the method itself at its own actor."""
        prefix = "" if (at, method) == (OWN, self.name) else f"{at}/{method}/"
        for s in trainer.watch.active:
            named = {"method": method, "at": at, "seed": self.seeds[s], "step": trainer.step}
            self.rows += [{**named, **row._asdict(), "value": float(row.value[s])} for row in rows]
            metrics = {
                f"{prefix}{row.measure}/{row.estimate}": float(row.value[s])
                for row in rows
                if row.granularity == "actor" and row.measure.endswith("cosine") and np.isfinite(row.value[s])
            }
            self.log(trainer.step, s, metrics)

    def close(self) -> None:
        if self.player:
            self.player.close()

    def state_dict(self) -> dict[str, Any]:
        critic = {"critic": self.probe.critic.state_dict()} if self.probe else {}
        return {"rows": list(self.rows), **critic}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rows = list(state["rows"])
        if self.probe:
            self.probe.critic.load_state_dict(state["critic"])
