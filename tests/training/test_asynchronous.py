"""Learning in threads: with a barrier it is the synchronous learner; without one nothing is lost, torn or hidden."""

import copy
import threading
from functools import partial

import pytest
import torch

from subcritic import envs, seeding
from subcritic.agents import LocalLearner
from subcritic.agents.asynchronous import AsynchronousLearner
from subcritic.agents.workers import Workers
from subcritic.config import LocalSettings, parse_method
from subcritic.measuring.observers import LearningMetrics
from subcritic.replay import Replay, SharedReplay
from subcritic.training import Trainer
from subcritic.training.asynchronous import AsynchronousTrainer

PENDULUM = partial(envs.make, "Pendulum-v1")
SMALL = LocalSettings(algorithm="linear", hidden=(12, 10), batch_size=16, learning_starts=60)
# One full ring of the replay and some of the next.
RING = SMALL.model_copy(update={"replay_size": 150})

# Rules whose neurons hear what crosses layers.
RULES = ["learned_feedback", "node_perturbation"]


def heard(algorithm):
    small = {"hidden": (12, 10), "batch_size": 16, "learning_starts": 60}
    return parse_method({"algorithm": algorithm, "optimiser": "adam", "actor_rate": 1e-3, **small})


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


@pytest.mark.parametrize("algorithm", RULES)
@pytest.mark.parametrize(("groups", "split"), [(1, "layers"), (3, "layers"), (2, "neurons")])
def test_with_a_barrier_rules_that_hear_broadcasts_learn_what_they_learn_without_threads(
    algorithm, groups, split
):
    """Bit for bit what the pieces learn one after the other, twice; but for rounding what the synchronous learner learns.

    The kernel of Adam rounds the last numbers of a tensor in another way than those before.
    """
    settings = heard(algorithm)
    in_turn = AsynchronousLearner(settings, 3, 1, [0, 1], groups=groups, split=split)
    plain, alone = (
        Trainer(agent, PENDULUM, [0, 1], 200, 10.0)
        for agent in (LocalLearner(settings, 3, 1, [0, 1]), in_turn)
    )
    threaded, again = (asynchronous(settings, groups, split, steps=200, barrier=True) for _ in range(2))
    for trainer in (plain, alone, threaded, again):
        trainer.run()
        trainer.close()
    assert plain.agent.global_critic.network.optimiser.steps == 200 - 60 + 1
    for trainer in (alone, again):
        mine, theirs = learned(threaded.agent), learned(trainer.agent)
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())
    mine, theirs = learned(threaded.agent), learned(plain.agent)
    for name, tensor in mine.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=0, atol=1e-4)
    for name, value in plain.agent.metrics().items():
        torch.testing.assert_close(threaded.agent.metrics()[name], value, rtol=1e-2, atol=1e-4)


def learned(agent):
    """All that learning changes."""
    critic = agent.global_critic.network
    found = {"policy": agent.online.flat, "target": agent.target.flat, "critic": critic.online.flat}
    for number, state in enumerate(agent.rule_states):
        found |= {f"{name}_{number}": tensor for name, tensor in state.tensors().items()}
    return found


@pytest.mark.parametrize("algorithm", RULES)
def test_shares_of_neurons_hear_what_whole_layers_hear(algorithm):
    """In float64, since a product of fewer columns may be summed in another order."""
    torch.manual_seed(0)
    settings = heard(algorithm)
    plain = LocalLearner(settings, 3, 2, [0, 1], dtype=torch.float64)
    dealt = AsynchronousLearner(settings, 3, 2, [0, 1], dtype=torch.float64, groups=3)
    replay = Replay(2, 64, plain.columns, dtype=torch.float64)
    replay.rows.uniform_(-1, 1)
    start = plain.online.flat.clone()
    with torch.no_grad():
        for _ in range(30):
            for agent in (plain, dealt):
                agent.learn(replay.unpack(replay.rows))
    assert (plain.online.flat - start).abs().max() > 1e-3
    torch.testing.assert_close(dealt.online.flat, plain.online.flat, rtol=0, atol=1e-9)
    for mine, theirs in zip(dealt.rule_states, plain.rule_states, strict=True):
        for name, tensor in mine.tensors().items():
            torch.testing.assert_close(tensor, theirs.tensors()[name], rtol=0, atol=1e-9)


@pytest.mark.parametrize("algorithm", RULES)
def test_without_a_barrier_every_piece_makes_every_update_and_writes_only_its_own(algorithm):
    trainer = asynchronous(heard(algorithm), 2, "neurons", lag=8)
    done = [0, 0, 0]
    learn = trainer.agent.learn_piece

    def counting(piece, batch):
        learn(piece, batch)
        done[piece] += 1

    trainer.agent.learn_piece = counting
    trainer.run()
    trainer.close()
    assert done == [241, 241, 241], "two groups of neurons and the critic"
    agent = trainer.agent
    assert agent.finite().all() and agent.global_critic.network.optimiser.steps == 241
    batch = trainer.replay.sample(16, seeding.generators([5, 6], "minibatch"))
    for piece in range(3):
        before = agent.online.flat.clone()
        agent.learn_piece(piece, batch)
        moved = agent.actor.views((agent.online.flat != before).float()).biases
        for number, of_layer in enumerate(moved, start=1):
            parts = agent.groups[piece] if piece < 2 else []
            own = torch.zeros_like(of_layer)
            for part in parts:
                if part.number == number:
                    own[..., part.neurons] = 1
            assert torch.equal(of_layer, own)


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
        ({"optimiser": "adam"}, "or optimiser sgd"),
        ({"target": "global_q"}, "target own_td"),
        ({"layers_in_turn": 3}, "needs all layers at once"),
        (
            {"algorithm": "learned_feedback", "feedback_inputs": True},
            "learned_feedback .*: split must be layers",
        ),
        ({"algorithm": "learned_feedback", "action_error": "control_variate"}, "split must be layers"),
    ],
)
def test_what_threads_cannot_learn_is_refused(changes, words):
    settings = parse_method({"algorithm": "linear", "hidden": (4, 4), **changes})
    with pytest.raises(ValueError, match=words):
        AsynchronousLearner(settings, 3, 1, [0])


def test_no_update_is_lost_without_a_barrier():
    trainer = asynchronous(RING, 2, "neurons", lag=8)
    done = [0, 0]
    learn = trainer.agent.learn_piece

    def counting(group, batch):
        learn(group, batch)
        done[group] += 1

    trainer.agent.learn_piece = counting
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

    trainer.agent.learn_piece = failing
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


@pytest.mark.parametrize("split", ["layers", "neurons"])
@pytest.mark.parametrize("settings", [SMALL, heard("learned_feedback")], ids=["linear", "learned_feedback"])
def test_a_resumed_training_with_a_barrier_goes_on_where_it_stood(settings, split):
    whole, stopped, resumed = (asynchronous(settings, 2, split, steps=200, barrier=True) for _ in range(3))
    whole.run()
    with torch.no_grad():
        while stopped.step < 130:
            stopped.advance()
        resumed.load_state_dict(copy.deepcopy(stopped.state_dict()))
    resumed.run()
    assert torch.equal(resumed.agent.online.flat, whole.agent.online.flat)
    for trainer in (whole, stopped, resumed):
        trainer.close()
