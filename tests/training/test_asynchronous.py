"""Learning in threads: with a barrier it is the synchronous learner; without one nothing is lost, torn or hidden."""

import threading
from functools import partial

import pytest
import torch

from subcritic import envs, seeding
from subcritic.agents import LocalLearner
from subcritic.agents.asynchronous import AsynchronousLearner, Workers
from subcritic.config import LocalSettings, parse_method
from subcritic.measuring.observers import LearningMetrics
from subcritic.replay import Replay, SharedReplay
from subcritic.training import Trainer
from subcritic.training.asynchronous import AsynchronousTrainer

PENDULUM = partial(envs.make, "Pendulum-v1")
SMALL = LocalSettings(algorithm="linear", hidden=(12, 10), batch_size=16, learning_starts=60)
# One full ring of the replay and some of the next.
RING = SMALL.model_copy(update={"replay_size": 150})


def asynchronous(settings, groups, split, steps=300, **options):
    agent = AsynchronousLearner(settings, 3, 1, [0, 1], groups=groups, split=split)
    return AsynchronousTrainer(agent, PENDULUM, [0, 1], steps, 10.0, **options)


@pytest.mark.parametrize("settings", [SMALL, RING])
@pytest.mark.parametrize(("groups", "split"), [(1, "neurons"), (1, "layers"), (3, "layers"), (2, "layers")])
def test_with_a_barrier_the_numbers_are_the_synchronous_learners_bit_for_bit(settings, groups, split):
    plain = Trainer(LocalLearner(settings, 3, 1, [0, 1]), PENDULUM, [0, 1], 300, 10.0)
    threaded = asynchronous(settings, groups, split, barrier=True)
    for trainer in (plain, threaded):
        trainer.run()
        trainer.close()
    assert torch.equal(threaded.agent.online.flat, plain.agent.online.flat)
    assert torch.equal(threaded.agent.target.flat, plain.agent.target.flat)
    for mine, theirs in zip(threaded.agent.rule_states, plain.agent.rule_states, strict=True):
        assert torch.equal(mine.voltage, theirs.voltage) and torch.equal(mine.alpha, theirs.alpha)
    assert torch.equal(threaded.replay.rows, plain.replay.rows)
    for name, value in plain.agent.metrics().items():
        torch.testing.assert_close(threaded.agent.metrics()[name], value)
    assert torch.equal(threaded.agent.value_magnitude(), plain.agent.value_magnitude())


def test_threads_wait_for_each_other_only_when_something_is_logged(monkeypatch):
    """Once every 50 of 300 steps, at the start, and whenever the watch looks for divergence, every 100."""
    found = asynchronous(SMALL, 2, "neurons", observers=[LearningMetrics(lambda *_: None, 50)])
    settled, settle = [], found.workers.settle
    monkeypatch.setattr(found.workers, "settle", lambda: (settled.append(found.step), settle()))
    found.run()
    found.close()
    assert set(settled) == set(range(0, 301, 50))


@pytest.mark.parametrize("groups", [2, 5])
@pytest.mark.parametrize("algorithm", ["linear", "bilinear"])
def test_neurons_dealt_to_groups_learn_what_whole_layers_learn(groups, algorithm):
    """In float64, since a product of fewer columns may be summed in another order."""
    torch.manual_seed(0)
    settings = SMALL.model_copy(update={"algorithm": algorithm})
    plain = LocalLearner(settings, 3, 1, [0, 1], dtype=torch.float64)
    dealt = AsynchronousLearner(settings, 3, 1, [0, 1], dtype=torch.float64, groups=groups)
    replay = Replay(2, 64, plain.columns, dtype=torch.float64)
    replay.rows.uniform_(-1, 1)
    with torch.no_grad():
        for _ in range(30):
            for agent in (plain, dealt):
                agent.learn(replay.unpack(replay.rows))
    torch.testing.assert_close(dealt.online.flat, plain.online.flat, rtol=0, atol=1e-13)
    torch.testing.assert_close(dealt.rule_states[1].voltage, plain.rule_states[1].voltage, rtol=0, atol=1e-13)


def test_every_neuron_belongs_to_exactly_one_group():
    for groups, split in [(2, "neurons"), (7, "neurons"), (12, "neurons"), (3, "layers")]:
        agent = AsynchronousLearner(SMALL, 3, 1, [0], groups=groups, split=split)
        owners = [torch.zeros(width) for width in agent.actor.sizes[1:]]
        for part in (part for group in agent.groups for part in group):
            owners[part.number - 1][part.neurons] += 1
        assert all((count == 1).all() for count in owners)
        assert all(agent.groups)


@pytest.mark.parametrize(("groups", "split"), [(0, "neurons"), (13, "neurons"), (4, "layers")])
def test_a_group_without_neurons_is_refused(groups, split):
    with pytest.raises(ValueError, match=rf"groups = {groups}: must be from 1 to \d+, the number of {split}"):
        AsynchronousLearner(SMALL, 3, 1, [0], groups=groups, split=split)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"algorithm": "compatible"}, "compatible does not keep something of its own"),
        ({"algorithm": "random_direction"}, "random_direction does not keep"),
        ({"optimiser": "adam"}, "needs optimiser sgd"),
        ({"target": "global_q"}, "target own_td"),
        ({"layers_in_turn": 3}, "needs all layers at once"),
    ],
)
def test_what_threads_cannot_learn_is_refused(changes, words):
    settings = parse_method({"algorithm": "linear", "hidden": (4,), **changes})
    with pytest.raises(ValueError, match=words):
        AsynchronousLearner(settings, 3, 1, [0])


def test_no_update_is_lost_without_a_barrier():
    trainer = asynchronous(RING, 2, "neurons", lag=8)
    done = [0, 0]
    learn = trainer.agent.learn_group

    def counting(group, batch):
        learn(group, batch)
        done[group] += 1

    trainer.agent.learn_group = counting
    trainer.run()
    trainer.close()
    assert done == [241, 241], "one update per step from learning_starts on"
    assert trainer.replay.added == 300
    assert trainer.behind[2] == 241 and trainer.behind[1] <= 8


def test_no_row_is_torn_while_one_thread_writes_and_others_sample():
    """Every row holds one number in all its columns: a torn row would hold two."""
    replay = SharedReplay(1, 4, {"wide": 20_000})
    stop, torn, drawn = threading.Event(), [], []

    def sampling(seed):
        rngs = seeding.generators([seed], "minibatch")
        while not stop.is_set():
            rows = replay.sample(2, rngs)["wide"]
            torn.append(bool((rows != rows[..., :1]).any()))
        drawn.append(True)

    replay.add({"wide": torch.zeros(1, 20_000)})
    threads = [threading.Thread(target=sampling, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for number in range(1, 3000):
        replay.add({"wide": torch.full((1, 20_000), float(number))})
    stop.set()
    for thread in threads:
        thread.join()
    assert len(drawn) == 2 and len(torn) > 20
    assert not any(torn)


def test_a_row_written_while_it_was_sampled_is_drawn_again(monkeypatch):
    """The writer of another thread, made to come exactly between the draw and the look back."""
    replay = SharedReplay(1, 4, {"x": 1})
    for number in range(7):
        replay.add({"x": torch.full((1, 1), float(number))})
    gather, calls = replay._gather, []

    def interrupted(slots):
        batch = gather(slots)
        if not calls:
            replay.begun += 1  # slot 3 is being overwritten
        calls.append(slots.copy())
        return batch

    monkeypatch.setattr(replay, "_gather", interrupted)
    rngs = seeding.generators([0], "minibatch")
    replay.sample(8, rngs)
    assert len(calls) > 1 and (calls[0] == 3).any() and not (calls[-1] == 3).any()


def test_an_exception_in_a_thread_surfaces_and_does_not_hang():
    trainer = asynchronous(SMALL, 2, "neurons")

    def failing(group, batch):
        if group == 1:
            raise FloatingPointError("group 1 went wrong")

    trainer.agent.learn_group = failing
    with pytest.raises(FloatingPointError, match="group 1 went wrong"):
        trainer.run()
    trainer.close()
    assert not any(thread.is_alive() for thread in trainer.workers._threads)


def test_threads_learn_at_the_same_time():
    """Each waits for the other inside its update: one after the other, they would wait for ever."""
    together = threading.Barrier(2, timeout=20)
    workers = Workers([together.wait, together.wait], lag=1)
    workers.grant(3)
    workers.settle()
    workers.close()


def test_a_resumed_training_with_a_barrier_goes_on_where_it_stood():
    whole = asynchronous(SMALL, 2, "layers", barrier=True)
    stopped = asynchronous(SMALL, 2, "layers", barrier=True)
    resumed = asynchronous(SMALL, 2, "layers", barrier=True)
    whole.run()
    with torch.no_grad():
        while stopped.step < 170:
            stopped.advance()
        resumed.load_state_dict(stopped.state_dict())
    resumed.run()
    assert torch.equal(resumed.agent.online.flat, whole.agent.online.flat)
    for trainer in (whole, stopped, resumed):
        trainer.close()
