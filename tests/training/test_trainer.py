"""The loop: terminal masks, seeds that do not disturb each other, resuming, divergence."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch

from subcritic import envs
from subcritic.agents import make_agent
from subcritic.config import DDPGSettings, LocalSettings, parse_method
from subcritic.training import DivergenceWatch, Evaluator, Trainer, checkpoint

PENDULUM = partial(envs.make, "Pendulum-v1")
SMALL = {"hidden": (8, 8), "batch_size": 16, "learning_starts": 60}
METHODS = {
    "ddpg": DDPGSettings(algorithm="ddpg", **SMALL),
    "linear": LocalSettings(algorithm="linear", **SMALL),
    "ddpg-ou-neuron": DDPGSettings(
        algorithm="ddpg", noise="ornstein_uhlenbeck", exploration="neuron", preset="lillicrap2016", **SMALL
    ),
    "linear-neuron": LocalSettings(algorithm="linear", exploration="neuron", **SMALL),
}


def trainer(method, seeds, steps=400, make_environment=PENDULUM):
    sizes = envs.sizes(make_environment())
    return Trainer(make_agent(METHODS[method], *sizes, seeds), make_environment, seeds, steps, 10.0)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_numbers_twice(method):
    first, second = trainer(method, [0, 1]), trainer(method, [0, 1])
    first.run()
    second.run()
    assert torch.equal(first.agent.policy().flat, second.agent.policy().flat)
    assert not torch.equal(first.agent.policy().flat[0], first.agent.policy().flat[1])


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_trains_the_same_alone_or_beside_others(method):
    together, alone = trainer(method, [0, 1, 2]), trainer(method, [1])
    together.run()
    alone.run()
    torch.testing.assert_close(
        together.agent.policy().flat[1:2], alone.agent.policy().flat, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stop", [30, 250])
def test_a_resumed_training_ends_bit_for_bit_as_one_that_was_not_stopped(method, stop, tmp_path):
    whole = trainer(method, [0, 1])
    whole.run()
    stopped = trainer(method, [0, 1])
    while stopped.step < stop:
        stopped.advance()
    checkpoint.save(tmp_path / "c.pt", "key", stopped.state_dict())
    resumed = trainer(method, [0, 1])
    resumed.load_state_dict(checkpoint.load(tmp_path / "c.pt", "key"))
    resumed.run()
    assert torch.equal(resumed.agent.policy().flat, whole.agent.policy().flat)
    assert torch.equal(resumed.replay.rows, whole.replay.rows)
    assert resumed.finished_returns == whole.finished_returns


class Corridor(gym.Env):
    """Checks every action; ends after three steps by termination, or by truncation."""

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, ends_by):
        self.ends_by, self.count = ends_by, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        assert action.dtype == np.float32
        assert action.shape == (1,)
        assert abs(action[0]) <= 1
        self.count += 1
        ended = self.count == 3
        observation = np.full(2, self.count / 10, np.float32)
        return (
            observation,
            1.0,
            ended and self.ends_by == "termination",
            ended and self.ends_by == "truncation",
            {},
        )


@pytest.mark.parametrize("ends_by", ["termination", "truncation"])
def test_only_termination_is_stored_as_terminal_and_the_last_observation_is_kept(ends_by):
    run = trainer("ddpg", [0], steps=9, make_environment=lambda: Corridor(ends_by))
    reset, begun = run.exploration.reset, []
    run.exploration.reset = lambda seed: (begun.append(seed), reset(seed))
    run.run()
    assert begun == [0, 0, 0], "correlated noise begins anew with each episode"
    rows = run.replay.unpack(run.replay.rows[0])
    assert rows["terminated"][:, 0].tolist() == [0, 0, float(ends_by == "termination")] * 3
    np.testing.assert_allclose(rows["next_observation"][:, 0], [0.1, 0.2, 0.3] * 3, rtol=1e-6)
    np.testing.assert_allclose(rows["observation"][:, 0], [0.0, 0.1, 0.2] * 3, rtol=1e-6)
    assert run.finished_returns == [[3.0, 3.0, 3.0]]


def test_stored_voltages_are_those_the_policy_had_when_it_acted():
    """With noise on every neuron, but none on hidden ones while actions are random: it would have had no effect."""
    run = trainer("linear-neuron", [0], steps=80)
    seen, noises = [], []
    act = run.agent.act

    def spy(observation, perturbation=None):
        voltages = act(observation, perturbation)
        noises.append(perturbation)
        seen.append(voltages.h)
        return voltages

    run.agent.act = spy
    run.run()
    rows = run.replay.unpack(run.replay.rows[0])["voltages"]
    expected = torch.stack([torch.cat(h, dim=-1)[0, 0] for h in seen])
    torch.testing.assert_close(rows, expected, rtol=0, atol=0)
    assert [noise is None for noise in noises] == [step < 60 for step in range(80)]
    clean = act(rows[-1:, :3].unsqueeze(0)).h
    assert (clean[1] - rows[-1, 3:11]).abs().max() > 1e-3, (
        "neuron noise must be in the stored hidden voltages"
    )


def test_a_diverged_seed_is_stopped_and_the_others_go_on():
    run, untouched = trainer("linear", [0, 1]), trainer("linear", [0, 1])
    untouched.run()
    while run.step < 150:
        run.advance()
    run.agent.online.flat[0] = float("nan")
    run.run()
    # Seen in its next action, before the watch looks at parameters.
    assert run.watch.diverged_at == [150, None]
    assert run.watch.active == [1]
    assert torch.equal(run.agent.policy().flat[1], untouched.agent.policy().flat[1])


def test_impossible_values_count_as_divergence():
    watch = DivergenceWatch(2, discount=0.9, factor=10.0)
    for rewards in ([1.0, -2.0], [0.0, 0.5], [-2.0, 0.0]):
        watch.see_rewards(np.array(rewards))
    agent = trainer("ddpg", [0, 1]).agent
    agent.values = torch.tensor([[[1.0]], [[1.0]]])
    assert watch.check(agent, step=6) == []
    agent.values = torch.tensor([[[199.0]], [[201.0]]])
    assert watch.check(agent, step=7) == [1]
    assert watch.diverged_at == [None, 7]


def test_without_a_reward_values_may_be_as_large_as_an_untrained_critics():
    watch = DivergenceWatch(2, discount=0.9, factor=10.0)
    watch.see_rewards(np.zeros(2))
    agent = trainer("ddpg", [0, 1]).agent
    for step, values in enumerate(([0.3, 0.2], [2.9, 1.9], [2.9, 2.1])):
        agent.values = torch.tensor(values).view(2, 1, 1)
        assert watch.check(agent, step) == ([1] if step == 2 else [])
    later = DivergenceWatch(2, discount=0.9, factor=10.0)
    later.load_state_dict(watch.state_dict())
    agent.values = torch.tensor([3.1, 0.0]).view(2, 1, 1)
    assert later.check(agent, step=3) == [0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [0.0, 1e-4])
def test_a_task_without_rewards_or_with_tiny_ones_stops_no_seed(method, scale):
    def make():
        return gym.wrappers.TransformReward(PENDULUM(), lambda reward: scale * reward)

    run = trainer(method, [0, 1], make_environment=make)
    run.run()
    assert run.watch.diverged_at == [None, None]


def no_force(observation):
    return torch.zeros(*observation.shape[:2], 1)


class Counted(gym.Wrapper):
    """Counts how often environments are closed."""

    closed = 0

    def close(self):
        Counted.closed += 1
        super().close()


def test_an_evaluator_closes_every_environment_once(monkeypatch):
    monkeypatch.setattr(Counted, "closed", 0)
    with Evaluator(lambda: Counted(PENDULUM()), [0, 1], episodes=3) as evaluator:
        assert evaluator(no_force, step=0).shape == (2, 3) and Counted.closed == 0
    assert Counted.closed == 6
    evaluator.close()
    assert Counted.closed == 6
    with pytest.raises(RuntimeError, match="was closed"):
        evaluator(no_force, step=0)


def test_evaluation_depends_on_seed_and_step_alone():
    evaluator = Evaluator(PENDULUM, [0, 1], episodes=3)

    def policy(observation):
        return -observation[..., 2:3].clamp(-1, 1)

    first, again = evaluator(policy, 100), evaluator(policy, 100)
    np.testing.assert_array_equal(first, again)
    assert first.shape == (2, 3)
    assert len(np.unique(first)) == 6
    assert not np.isin(evaluator(policy, 200), first).any()
    alone = Evaluator(PENDULUM, [1], episodes=3)(policy, 100)
    np.testing.assert_array_equal(alone[0], first[1])
    assert np.isnan(evaluator(policy, 100, active=[1])[0]).all()


def test_a_damaged_or_foreign_checkpoint_is_refused_with_a_reason(tmp_path, capsys):
    path = tmp_path / "checkpoint.pt"
    assert checkpoint.load(path, "mine") is None
    checkpoint.save(path, "mine", {"step": 3})
    assert checkpoint.load(path, "mine") == {"step": 3}
    assert checkpoint.load(path, "other") is None
    assert "another configuration" in capsys.readouterr().err
    path.write_bytes(path.read_bytes()[:50])
    assert checkpoint.load(path, "mine") is None
    assert "unreadable" in capsys.readouterr().err


def test_a_full_disk_leaves_the_last_checkpoint_and_says_so(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, "mine", {"step": 3})

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(checkpoint.CheckpointError, match=r"No space left.*previous one is kept"):
        checkpoint.save(path, "mine", {"step": 4})
    assert checkpoint.load(path, "mine") == {"step": 3}
    assert list(tmp_path.iterdir()) == [path]


def test_learning_records_no_graph():
    run = trainer("ddpg", [0], steps=70)
    run.run()
    assert not run.agent.values.requires_grad
    assert run.agent.values.grad_fn is None


def test_updates_come_every_so_many_steps_and_not_before_the_warm_up():
    settings = DDPGSettings(algorithm="ddpg", update_every=7, **SMALL)
    found = Trainer(make_agent(settings, 3, 1, [0]), PENDULUM, [0], 200, 10.0)
    learned = []
    found.observers = [
        type("Noted", (), {"every": 1, "__call__": lambda self, t: learned.append(t.batch is not None)})()
    ]
    found.run()
    assert [step for step, updated in enumerate(learned) if updated] == list(range(63, 201, 7))


@pytest.mark.parametrize("algorithm", ["ddpg", "linear"])
def test_a_step_without_an_update_is_no_time_to_look_for_divergence(algorithm):
    """Every hundredth step is, and step 100 of this run comes before its first update."""
    settings = parse_method({"algorithm": algorithm, **SMALL, "update_every": 7, "learning_starts": 100})
    looked = []
    found = Trainer(make_agent(settings, 3, 1, [0]), PENDULUM, [0], 320, 10.0)
    check = found.watch.check
    found.watch.check = lambda agent, step: looked.append(step) or check(agent, step)
    found.run()
    assert looked == [105, 203, 301]


def test_what_watches_the_end_is_called_there_too():
    called = []
    run = trainer("ddpg", [0], steps=70)
    for at_end in (False, True):
        watch = {
            "every": 30,
            "at_end": at_end,
            "__call__": lambda self, t: called.append((self.at_end, t.step)),
        }
        run.observers = [*getattr(run, "observers", []), type("Watch", (), watch)()]
    run.run()
    assert called == [(False, 0), (True, 0), (False, 30), (True, 30), (False, 60), (True, 60), (True, 70)]


def test_weights_learn_from_the_newest_rows_and_critics_from_all():
    settings = parse_method(
        {"algorithm": "coagent", "newest": 20, "hidden": (8, 8), "batch_size": 500, "learning_starts": 60}
    )
    found = Trainer(make_agent(settings, 3, 1, [0, 1]), PENDULUM, [0, 1], 200, 10.0)
    found.run()
    rows = found.replay.unpack(found.replay.rows)["observation"]

    def places(observation):
        return (observation.unsqueeze(2) == rows.unsqueeze(1)).all(dim=-1).int().argmax(dim=2)

    assert places(found.batch["newest/observation"]).unique().tolist() == list(range(180, 200))
    assert len(places(found.batch["observation"]).unique()) > 150
