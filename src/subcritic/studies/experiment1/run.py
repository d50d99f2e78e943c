"""Experiment 1: sub-critics learned beside a DDPG actor, without influencing it (drafts, section 4.1).

Phase 1 trains actor, critic and sub-critics from scratch. Phase 2 gives a new actor the critic of phase 1 and watches
new sub-critics learn. A third run, `neuron_noise`, is phase 1 again with noise on every neuron, and more sub-critics.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from subcritic import envs
from subcritic.agents import DDPG
from subcritic.config import DDPGSettings, Environment, Experiment1, Profile, dump
from subcritic.measuring.observers import Evaluation, LearningMetrics
from subcritic.measuring.session import Session
from subcritic.measuring.snapshots import Snapshots, SubCriticLearning, save_snapshots, snapshot_key
from subcritic.measuring.tables import read_curves, write_csv
from subcritic.studies.experiment1 import neuron_noise
from subcritic.studies.experiment1.neuron_noise import InformedLearning
from subcritic.studies.experiment1.similarity import Similarities, held_out_states, steps_to_similar
from subcritic.training import Trainer

PHASES = ("phase1", "phase2")


def run(profile: Profile, environment_name: str, results: Path) -> list[Path]:
    """Both phases and the run with neuron noise on one environment, all seeds; returns the files written.

    `curves.csv`: everything recorded, in long form, `method` being the run. `steps_to_similar.csv`: the step at which a
    critic's windowed Pearson first reached 0.9. `snapshots.pt`: critics and states along training, but of phase 2.
    """
    environment = profile.environment(environment_name)
    envs.check(environment.id, environment.kwargs)
    folder = results / profile.profile / "experiment1" / environment.name
    first = _Phase("phase1", profile, environment, results, critic=None)
    trainer, watched = first.run()
    second = _Phase("phase2", profile, environment, results, critic=trainer.agent.critic.state_dict())
    _, watched_later = second.run()
    third = _Phase(neuron_noise.RUN, profile, environment, results, critic=None)
    _, watched_noisy = third.run()
    curves = [read_curves(phase.session.identities, results) for phase in (first, second, third)]
    reached = [
        steps_to_similar(phase, environment.name, found.similarities, profile.seed_list())
        for phase, found in zip(PHASES, (watched, watched_later), strict=True)
    ]
    snapshots = save_snapshots(
        folder / "snapshots.pt",
        snapshot_key(profile, environment),
        trainer.agent.actor.sizes,
        watched.snapshots,
        watched_noisy.snapshots,
    )
    return [
        write_csv(folder / "curves.csv", pd.concat(curves, ignore_index=True)),
        write_csv(folder / "steps_to_similar.csv", pd.concat(reached, ignore_index=True)),
        snapshots,
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

    def __init__(
        self,
        name: str,
        profile: Profile,
        environment: Environment,
        results: Path,
        critic: dict[str, Any] | None,
    ) -> None:
        self.name, self.profile, self.environment, self.critic = name, profile, environment, critic
        self.settings: Experiment1 = profile.experiment1
        self.seeds = profile.seed_list()
        self.make_environment = partial(envs.make, environment.id, environment.kwargs)
        config = {
            "environment": environment.task(),
            "experiment1": dump(self.settings),
            "training": dump(profile.training),
            "phase": name,
        }
        seconds = profile.training.checkpoint_seconds
        where = (results, profile.profile, "experiment1", environment.name, name)
        self.session = Session(*where, self.seeds, config, seconds)

    def run(self) -> tuple[Trainer, _Watched]:
        trainer, observers = self.session.run(self._setup)
        return trainer, _Watched(*observers[-len(_Watched._fields) :])

    def _setup(self, log) -> tuple[Trainer, list]:
        settings, training = self.settings, self.profile.training
        held_out = held_out_states(self.make_environment, self.seeds, settings.held_out_states)
        noisy = self.name == neuron_noise.RUN
        learner = neuron_noise.noisy(settings) if noisy else settings.agent
        # Phase 2's actor μ′ is a new one: its seeds start from other random numbers.
        agent = _agent(learner, held_out.shape[-1], self.make_environment, self.seeds, self.name)
        if self.critic is not None:
            agent.critic.load_state_dict(self.critic)
            agent.learns_critic = settings.phase2_critic == "finetune"
        learning = SubCriticLearning(log, agent, settings, training.log_every, self.seeds, self.name)
        informed, more = [], {}
        if noisy:
            informed = [InformedLearning(log, agent, settings, training.log_every, self.seeds)]
            more = {"more": informed[0].snapshot}
        observers = _Watched(
            learning,
            Similarities(log, agent, learning.family, held_out, settings),
            Snapshots(agent, learning.family, settings, **more),
            LearningMetrics(log, training),
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


def _agent(
    settings: DDPGSettings, observation_size: int, make_environment, seeds: list[int], purpose: str
) -> DDPG:
    environment = make_environment()
    action_size = envs.sizes(environment)[1]
    environment.close()
    return DDPG(settings, observation_size, action_size, seeds, purpose=purpose)
