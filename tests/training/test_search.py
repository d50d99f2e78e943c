"""Augmented random search: a step is the paper's, observations are normalised, a stopped search goes on as it was."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from subcritic import envs, seeding
from subcritic.agents import make_agent
from subcritic.config import parse_method
from subcritic.training.search import SearchTrainer

PENDULUM = envs.maker({"id": "Pendulum-v1", "kwargs": {}, "max_episode_steps": 20})
SEEDS = [3, 4]
SMALL = {"algorithm": "ars", "directions": 3, "best": 2, "step_size": 0.5, "perturbation": 0.2}


def agent_of(**changes):
    return make_agent(parse_method(SMALL | changes), 3, 1, SEEDS)


def trainer_of(steps, **changes):
    return SearchTrainer(agent_of(**changes), PENDULUM, SEEDS, steps, 1e9)


def test_a_step_follows_the_best_directions_over_the_spread_of_their_returns():
    agent = agent_of(normalise=False)
    found = [np.random.default_rng(0).standard_normal((3, 2)) * 10 for _ in SEEDS]
    tried, before = agent.tried.astype(float), agent.searched.flat.double().numpy().copy()
    for s, returns in enumerate(found):
        for value in returns.flat:
            agent.end_episode(s, value)
    for s, returns in enumerate(found):
        best = sorted(range(3), key=lambda n, of=returns: max(of[n]), reverse=True)[:2]
        spread = np.std([returns[n][sign] for n in best for sign in (0, 1)])
        step = sum((returns[n][0] - returns[n][1]) * tried[s, n] for n in best) * 0.5 / (2 * spread)
        np.testing.assert_allclose(agent.searched.flat[s].double().numpy(), before[s] + step, rtol=1e-5)
        assert not np.allclose(agent.tried[s], tried[s]), "new directions for the next iteration"


def test_what_a_task_pays_for_every_step_can_be_taken_off_in_the_search_alone():
    hopper, steps, bonus = envs.maker({"id": "Hopper-v5", "kwargs": {}, "max_episode_steps": None}), 400, 0.5
    agent = make_agent(parse_method(SMALL | {"survival_bonus": bonus}), 11, 3, SEEDS)
    trainer = SearchTrainer(agent, hopper, SEEDS, steps, 1e9)
    end, ended = agent.end_episode, {s: [] for s in range(len(SEEDS))}

    def watched(s, episode_return):
        place = int(agent.played[s])
        end(s, episode_return)
        ended[s].append((episode_return, agent.returns[s].flat[place]))

    agent.end_episode = watched
    trainer.run()
    for s, episodes in ended.items():
        reported, counted = np.array(episodes).T
        assert len(reported) > 6, "more than an iteration"
        assert trainer.take_returns(s) == pytest.approx(reported), (
            "the return that is reported keeps the bonus"
        )
        assert (reported - counted).sum() == pytest.approx(bonus * (steps - agent.length[s]))
    trainer.close()


def test_every_direction_is_played_forwards_then_backwards():
    agent = agent_of(normalise=False)
    for episode in range(6):
        sign = (1, -1)[episode % 2]
        expected = agent.searched.flat[0] + sign * 0.2 * torch.from_numpy(agent.tried[0, episode // 2])
        assert torch.equal(agent.exploring.flat[0], expected)
        if episode < 5:
            agent.end_episode(0, float(episode))


def test_observations_are_normalised_by_all_that_were_seen_before_the_iteration():
    agent = agent_of()
    rng = np.random.default_rng(1)
    seen = rng.normal([5.0, -2.0, 7.0], [3.0, 0.1, 0.0], (50, 3)).astype(np.float32)
    for observation in seen:
        agent.see(observation[None], [0])
    agent.searched.flat[0] = torch.linspace(-1, 1, 4)
    agent._begin_iteration(0)
    new = rng.normal([5.0, -2.0, 7.0], [3.0, 0.1, 0.0], (1, 4, 3)).astype(np.float32)
    deviation = seen.std(axis=0, ddof=1)
    normal = np.where(deviation > 1e-7, (new - seen.mean(axis=0)) / np.maximum(deviation, 1e-7), 0.0)
    weight, bias = agent.searched.weights[0][0].numpy(), agent.searched.biases[0][0].numpy()
    both = torch.from_numpy(np.concatenate([new, new]))
    np.testing.assert_allclose(
        agent.act(both).output[0].numpy(), np.tanh(normal[0] @ weight + bias), rtol=1e-3, atol=1e-4
    )


def test_a_search_earns_more_than_it_started_with():
    trainer = SearchTrainer(
        make_agent(parse_method({"algorithm": "ars", "step_size": 0.1, "perturbation": 0.2}), 2, 1, SEEDS),
        envs.maker({"id": "subcritic/CartRest-v0", "kwargs": {}, "max_episode_steps": None}),
        SEEDS,
        24_000,
        1e9,
    )
    trainer.run()
    returns = np.array([trainer.take_returns(s) for s in range(len(SEEDS))])
    trainer.close()
    assert (returns[:, -16:].mean(axis=1) > returns[:, :16].mean(axis=1) + 20).all()


@pytest.mark.parametrize("changes", [{}, {"survival_bonus": 2.0}], ids=["plain", "bonus"])
def test_a_search_stopped_within_an_episode_goes_on_bit_for_bit(changes):
    whole, first, again = (trainer_of(steps, **changes) for steps in (300, 170, 300))
    whole.run()
    first.run()
    assert (first.agent.length == 170 % 20).all()
    again.load_state_dict(first.state_dict())
    again.run()
    assert np.array_equal(again.agent.returns, whole.agent.returns)
    for name in ("searched", "online", "exploring"):
        assert torch.equal(getattr(again.agent, name).flat, getattr(whole.agent, name).flat)
    assert np.array_equal(again.agent.mean, whole.agent.mean)
    for trainer in (whole, first, again):
        trainer.close()


def test_a_seed_searches_alone_as_beside_others():
    both = trainer_of(300)
    both.run()
    alone = SearchTrainer(make_agent(parse_method(SMALL), 3, 1, [4]), PENDULUM, [4], 300, 1e9)
    alone.run()
    assert torch.equal(alone.agent.searched.flat[0], both.agent.searched.flat[1])
    for trainer in (both, alone):
        trainer.close()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"best": 4}, "best = 4: must be at most directions, 3"),
        ({"batch_size": 32}, "batch_size has a meaning only with"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        parse_method(SMALL | changes)


def test_directions_are_those_of_the_seed_alone():
    agent = agent_of()
    expected = seeding.generator(3, "search directions").standard_normal((3, 4))
    np.testing.assert_array_equal(agent.tried[0], expected.astype(np.float32))


def test_the_statistics_are_those_of_the_states_that_were_reached():
    trainer, reached = trainer_of(50), []
    step = trainer.episodes.step

    def watched(*arguments):
        reached.append((played := step(*arguments)).observation)
        return played

    trainer.episodes.step = watched
    trainer.run()
    np.testing.assert_allclose(trainer.agent.mean, np.mean(reached, axis=0), rtol=1e-5)
    assert trainer.agent.seen.tolist() == [50, 50]
    trainer.close()
