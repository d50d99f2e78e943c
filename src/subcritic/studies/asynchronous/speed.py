"""Updates per second of rules in one thread and in several, beside DDPG's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import pandas as pd

from subcritic import seeding
from subcritic.agents.asynchronous import AsynchronousLearner, Split
from subcritic.agents.workers import Workers
from subcritic.config import LocalSettings, parse_method
from subcritic.measuring import timing
from subcritic.measuring.progress import say
from subcritic.replay import SharedReplay
from subcritic.studies.throughput.settings import Throughput


def measure(speed: Throughput, threads: int) -> pd.DataFrame:
    """Updates per second at every size: learner, hidden ('256-256'), batch, round, updates_per_second.

    learner: `ddpg`, and each of `rules` in one thread, by its name. `<rule>-threads-n`: in n threads; the linear rule's
    neurons in equal shares of each layer, of other rules the global critic in one thread and the neurons in the others.
    `linear-layers-n`: whole layers dealt to n threads. `<rule>-copies-n`: n whole learners that have nothing to do with each
    other, an update of each counted: what n threads of this interpreter can do at best.
    """
    rows = []
    for hidden in speed.hidden:
        for batch in speed.batches:
            cell = {"hidden": "-".join(map(str, hidden)), "batch": batch}
            say(f"asynchronous: hidden {cell['hidden']}, batch {batch}: {speed.rounds} rounds")
            with timing.one_quiet_thread(), contenders(hidden, batch, threads) as learners:
                rows += [row | cell for row in timing.take_turns(learners, speed)]
    found = pd.DataFrame(rows)[["learner", "hidden", "batch", "round", "updates_per_second"]]
    # What is timed is an update of each copy.
    found.loc[found["learner"].str.contains("-copies-"), "updates_per_second"] *= threads
    return found


def rules(hidden: tuple[int, ...], batch: int) -> list[LocalSettings]:
    """The linear rule, and those that hear a vector and a scalar, with equal actors."""
    others = []
    for algorithm in ("learned_feedback", "node_perturbation"):
        size = {"hidden": hidden, "batch_size": batch, "activation": timing.ACTIVATION}
        found = parse_method({"algorithm": algorithm, "optimiser": "adam", **size})
        assert isinstance(found, LocalSettings)
        others.append(found)
    return [timing.agent_settings(hidden, batch)[1], *others]


@contextmanager
def contenders(hidden: tuple[int, ...], batch: int, threads: int) -> Iterator[dict[str, timing.Updates]]:
    """Name → a function that makes n updates; their threads end with the context."""
    with ExitStack() as stack:
        found = {"ddpg": timing.ours(timing.agent_settings(hidden, batch)[0])}
        for rule in rules(hidden, batch):
            found[rule.name] = timing.ours(rule)
            groups = threads - rule.needs_global_critic
            if groups:
                found[f"{rule.name}-threads-{threads}"] = _threaded(stack, rule, groups, "neurons")
            if not rule.needs_global_critic and 1 < threads <= len(hidden) + 1:
                found[f"{rule.name}-layers-{threads}"] = _threaded(stack, rule, threads, "layers")
            found[f"{rule.name}-copies-{threads}"] = _copies(stack, rule, threads)
        yield found


def _threaded(stack: ExitStack, settings: LocalSettings, groups: int, split: Split) -> timing.Updates:
    # A group of all neurons has whole layers.
    how: Split = "layers" if groups == 1 else split
    agent = AsynchronousLearner(settings, timing.OBSERVATION, timing.ACTION, [0], groups=groups, split=how)
    replay = SharedReplay(1, timing.REPLAY_ROWS, agent.columns)
    timing.fill(replay)

    def work(piece: int, minibatches: seeding.Draws) -> None:
        agent.learn_piece(piece, replay.sample(settings.batch_size, minibatches))

    drawn = [
        seeding.Draws(seeding.generators([0], "minibatch"), settings.batch_size) for _ in range(agent.pieces)
    ]
    return _updates(stack, [partial(work, piece, minibatches) for piece, minibatches in enumerate(drawn)])


def _copies(stack: ExitStack, settings: LocalSettings, threads: int) -> timing.Updates:
    """n updates of each of them."""
    return _updates(stack, [partial(timing.ours(settings), 1) for _ in range(threads)])


def _updates(stack: ExitStack, work: list[Callable[[], None]]) -> timing.Updates:
    workers = Workers(work, lag=1)
    stack.callback(workers.close)

    def updates(n: int) -> None:
        workers.grant(n)
        workers.settle()

    return updates
