"""Experiment 1: sub-critics learned beside a DDPG actor, without influencing it (drafts, section 4.1).

Phase 1 trains actor, critic and sub-critics from scratch. Phase 2 gives a new actor the critic of phase 1 and watches
new sub-critics learn. A third run, `neuron_noise`, is phase 1 again with noise on every neuron, and more sub-critics.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import pandas as pd

from subcritic import envs
from subcritic.agents import DDPG, PictureAgent
from subcritic.agents.pictures import required
from subcritic.config import ConfigError, DDPGSettings
from subcritic.measuring.observers import Evaluation, LearningMetrics
from subcritic.measuring.session import Session
from subcritic.measuring.snapshots import save_snapshots
from subcritic.measuring.tables import paths, read_curves, write_csv
from subcritic.studies.experiment1 import STUDY, neuron_noise
from subcritic.studies.experiment1.learning import Snapshots, SubCriticLearning
from subcritic.studies.experiment1.neuron_noise import InformedLearning
from subcritic.studies.experiment1.settings import NEURON_NOISE, PHASES, Config
from subcritic.studies.experiment1.similarity import Similarities, held_out_states, steps_to_similar
from subcritic.study import Job
from subcritic.training import Trainer


def run(job: Job, results: Path) -> list[Path]:
    """Both phases and the run with neuron noise on one environment, all seeds; returns the files written.

    curves: everything recorded, in long form, `method` being the run. steps: the step at which a critic's windowed
    Pearson first reached 0.9. snapshots: critics and states along training, except for phase 2.

    Raises ConfigError, naming the field, if the agent would not come to learn.
    """
    config = job.config
    assert isinstance(config, Config)
    settings = config.experiment1
    if settings.steps <= (first_update := settings.agent.learning_starts):
        raise ConfigError(
            f"experiment1.steps = {settings.steps}: must be more than experiment1.agent.learning_starts, {first_update}"
        )
    for field, every in {"record_every": settings.record_every, "snapshots": settings.snapshot_every}.items():
        if settings.steps // every * every < first_update:
            raise ConfigError(
                f"experiment1.{field} = {getattr(settings, field)}: nothing would be recorded from the first update, at "
                f"step {first_update}, to the last step, {settings.steps}"
            )
    task, to = config.environment, paths(job, STUDY, results)
    envs.check(task.id, task.kwargs, task.max_episode_steps)
    first = _Phase("phase1", job, results, critic=None)
    trainer, watched = first.run()
    second = _Phase("phase2", job, results, critic=_critic_of(trainer.agent))
    _, watched_later = second.run()
    third = _Phase(NEURON_NOISE, job, results, critic=None)
    _, watched_noisy = third.run()
    curves = [read_curves(phase.session.identities, results) for phase in (first, second, third)]
    reached = [
        steps_to_similar(phase, task.name, found.similarities, job.seeds)
        for phase, found in zip(PHASES, (watched, watched_later), strict=True)
    ]
    sizes, taken = trainer.agent.actor.sizes, (watched.snapshots.taken, watched_noisy.snapshots.taken)
    return [
        write_csv(to["curves"], pd.concat(curves, ignore_index=True)),
        write_csv(to["steps"], pd.concat(reached, ignore_index=True)),
        save_snapshots(to["snapshots"], config, sizes, *taken),
    ]


class _Watched(NamedTuple):
    """What watches every run, in the order it is called."""

    learning: SubCriticLearning
    similarities: Similarities
    snapshots: Snapshots
    metrics: LearningMetrics
    evaluation: Evaluation


class _Phase:
    """One run: a DDPG trainer and what watches it."""

    def __init__(self, name: str, job: Job, results: Path, critic: list[dict[str, Any]] | None) -> None:
        self.name, self.job, self.critic = name, job, critic
        self.config: Config = job.config
        self.settings, self.seeds = self.config.experiment1, list(job.seeds)
        task = self.config.environment
        self.make_environment = envs.maker(task)
        self.session = Session(job, next(run for run in job.runs if run.method == name), results)

    def run(self) -> tuple[Trainer, _Watched]:
        trainer, observers = self.session.run(self._setup)
        return trainer, _Watched(*observers[-len(_Watched._fields) :])

    def _setup(self, log) -> tuple[Trainer, list]:
        settings, training, log_every = self.settings, self.config.training, self.job.runtime.log_every
        held_out = held_out_states(self.make_environment, self.seeds, settings.held_out_states)
        noisy = self.name == NEURON_NOISE
        learner = neuron_noise.noisy(settings) if noisy else settings.agent
        # Phase 2's actor μ′ is a new one: its seeds start from other random numbers.
        agent, ddpg = _agents(learner, self.make_environment, self.seeds, self.name)
        if self.critic is not None:
            _load_critic(agent, ddpg, self.critic)
            ddpg.learns_critic = settings.phase2_critic == "finetune"
        learning = SubCriticLearning(log, ddpg, settings, log_every, self.seeds, self.name)
        informed, more = [], {}
        if noisy:
            informed = [InformedLearning(log, ddpg, settings, log_every, self.seeds)]
            more = {"more": informed[0].snapshot}
        observers = _Watched(
            learning,
            Similarities(log, agent, learning.family, held_out, settings),
            Snapshots(ddpg, learning.family, settings, **more),
            LearningMetrics(log, log_every, learner.update_every),
            Evaluation(log, training, self.make_environment, self.seeds),
        )
        trainer = Trainer(
            agent,
            self.make_environment,
            self.seeds,
            settings.steps,
            training.divergence_factor,
            purpose=self.name,
        )
        return trainer, [*informed, *observers]


def _agents(
    settings: DDPGSettings, make_environment: Callable[[], gym.Env], seeds: list[int], purpose: str
) -> tuple[DDPG | PictureAgent, DDPG]:
    """The agent that trains, and the DDPG agent beside which sub-critics learn: another one where pictures are read."""
    environment = make_environment()
    (observation_size, action_size), picture = envs.sizes(environment), envs.picture(environment)
    environment.close()

    def ddpg(size: int) -> DDPG:
        return DDPG(settings, size, action_size, seeds, purpose=purpose)

    if settings.encoder is None:
        agent = ddpg(observation_size)
        return agent, agent
    seeing = PictureAgent(settings, ddpg, required(settings, picture), seeds, purpose)
    assert isinstance(seeing.reader, DDPG)
    return seeing, seeing.reader


def _critic_of(agent: DDPG | PictureAgent) -> list[dict[str, Any]]:
    """The state of the critic, and that of the convolutions through which it reads."""
    if isinstance(agent, DDPG):
        return [agent.critic.state_dict()]
    assert isinstance(agent.reader, DDPG)
    return [agent.reader.critic.state_dict(), agent.encoders[0].state_dict()]


def _load_critic(agent: DDPG | PictureAgent, ddpg: DDPG, state: list[dict[str, Any]]) -> None:
    ddpg.critic.load_state_dict(state[0])
    if isinstance(agent, PictureAgent):
        agent.encoders[0].load_state_dict(state[1])
