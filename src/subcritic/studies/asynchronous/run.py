"""Learning in threads without a lock: does it reach what the synchronous learner reaches, and how fast is it?

The drafts call the rule "decentralized, local, and asynchronous". `synchronous` is Experiment 2's learner; in
`asynchronous` the same neurons are dealt to threads that learn while the agent acts, from a replay they share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pandas as pd

from subcritic import seeding
from subcritic.agents import LocalLearner
from subcritic.agents.asynchronous import AsynchronousLearner
from subcritic.agents.workers import Workers
from subcritic.config import LocalSettings
from subcritic.measuring import timing as throughput
from subcritic.measuring.comparison import compare
from subcritic.measuring.progress import say
from subcritic.measuring.tables import paths, write_csv
from subcritic.replay import SharedReplay
from subcritic.studies.asynchronous import STUDY
from subcritic.studies.asynchronous.settings import Config, JobConfig
from subcritic.studies.throughput.settings import Throughput
from subcritic.study import Job
from subcritic.training import Trainer
from subcritic.training.asynchronous import AsynchronousTrainer


def run(job: Job, results: Path) -> list[Path]:
    """Measure the speed, then train both ways.

    rounds: updates per second, as in the study throughput. curves, scores: as of `compare`. lag: environment, updates,
    mean, largest: how many updates the slowest thread was behind when acting went on.
    """
    config = job.config
    assert isinstance(config, JobConfig)
    settings, to = config.trainings[0], paths(job, STUDY, results)
    speeds = write_csv(to["rounds"], measure(config.speed, settings.threads))
    contenders = {
        "synchronous": partial(_synchronous, settings.agent),
        "asynchronous": partial(_asynchronous, settings),
    }
    curves, scores, trainers = compare(job, contenders, results)
    return [
        speeds,
        write_csv(to["curves"], curves),
        write_csv(to["scores"], scores),
        write_csv(to["lag"], _lags(trainers)),
    ]


def measure(speed: Throughput, threads: int) -> pd.DataFrame:
    """Updates per second at every size: learner, hidden ('256-256'), batch, round, updates_per_second.

    learner: `ddpg` and `linear` as in the study throughput; `threads-n`: the linear rule's neurons dealt to n threads;
    `layers-n`: whole layers dealt to n threads; `copies-n`: n whole learners that have nothing to do with each other, an
    update of each counted: what n threads of this interpreter can do at best.
    """
    rows = []
    for hidden in speed.hidden:
        for batch in speed.batches:
            cell = {"hidden": "-".join(map(str, hidden)), "batch": batch}
            say(f"asynchronous: hidden {cell['hidden']}, batch {batch}: {speed.rounds} rounds")
            with throughput.one_quiet_thread(), contenders(hidden, batch, threads) as learners:
                rows += [row | cell for row in throughput.take_turns(learners, speed)]
    return pd.DataFrame(rows)[["learner", "hidden", "batch", "round", "updates_per_second"]]


@contextmanager
def contenders(hidden: tuple[int, ...], batch: int, threads: int) -> Iterator[dict[str, throughput.Updates]]:
    """Name → a function that makes n updates; their threads end with the context."""
    ddpg, linear = throughput.agent_settings(hidden, batch)
    with ExitStack() as stack:
        found = {"ddpg": throughput.ours(ddpg), "linear": throughput.ours(linear)}
        for count in dict.fromkeys((1, threads)):
            found[f"threads-{count}"] = _threaded(stack, linear, count, "neurons")
        if 1 < threads <= len(hidden) + 1:
            found[f"layers-{threads}"] = _threaded(stack, linear, threads, "layers")
        found[f"copies-{threads}"] = _copies(stack, linear, threads)
        yield found


def _threaded(stack: ExitStack, settings: LocalSettings, threads: int, split: str) -> throughput.Updates:
    agent = AsynchronousLearner(
        settings, throughput.OBSERVATION, throughput.ACTION, [0], groups=threads, split=split
    )
    replay = SharedReplay(1, throughput.REPLAY_ROWS, agent.columns)
    throughput.fill(replay)

    def work(group: int, minibatches: seeding.Draws) -> None:
        agent.learn_piece(group, replay.sample(settings.batch_size, minibatches))

    drawn = [seeding.Draws(seeding.generators([0], "minibatch"), settings.batch_size) for _ in range(threads)]
    return _updates(stack, [partial(work, group, minibatches) for group, minibatches in enumerate(drawn)])


def _copies(stack: ExitStack, settings: LocalSettings, threads: int) -> throughput.Updates:
    each = _updates(stack, [partial(throughput.ours(settings), 1) for _ in range(threads)])

    def updates(n: int) -> None:
        each(-(-n // threads))

    return updates


def _updates(stack: ExitStack, work: list[Callable[[], None]]) -> throughput.Updates:
    workers = Workers(work, lag=1)
    stack.callback(workers.close)

    def updates(n: int) -> None:
        workers.grant(n)
        workers.settle()

    return updates


def _synchronous(settings: LocalSettings, make, observation, action, seeds, steps, factor) -> Trainer:
    return Trainer(LocalLearner(settings, observation, action, seeds), make, seeds, steps, factor)


def _asynchronous(settings: Config, make, observation, action, seeds, steps, factor) -> Trainer:
    agent = AsynchronousLearner(settings.agent, observation, action, seeds, groups=settings.threads)
    return AsynchronousTrainer(agent, make, seeds, steps, factor, lag=settings.lag)


def _lags(trainers: dict[tuple[str, str], Trainer]) -> pd.DataFrame:
    rows = []
    for (environment, _), trainer in trainers.items():
        if isinstance(trainer, AsynchronousTrainer):
            total, largest, grants = trainer.behind
            rows.append([environment, grants, total / max(grants, 1), largest])
    return pd.DataFrame(rows, columns=["environment", "updates", "mean", "largest"])
