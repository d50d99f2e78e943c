"""A learner on a graph: what it replays, what it learns, what it keeps."""

from functools import partial

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from subcritic import envs
from subcritic.agents import through_time
from subcritic.agents.graph import GraphLearner
from subcritic.agents.memory_traces import MemoryTraces
from subcritic.agents.sequences import Sequences
from subcritic.config.graph import GraphSettings
from subcritic.config.methods import parse_method
from subcritic.training.recurrent import RecurrentTrainer


def settings(**changes):
    small = {"hidden": (6,), "sequence": 4, "batch_size": 3, "learning_starts": 20, "critic_hidden": (8,)}
    return GraphSettings.model_validate({**small, **changes})


def trainer(
    steps=60, seeds=(0, 1), environment="subcritic/HiddenVelocityPendulum-v0", kwargs=None, **changes
):
    make = partial(envs.make, environment, kwargs or {})
    first = make()
    sizes = envs.sizes(first)
    first.close()
    return RecurrentTrainer(GraphLearner(settings(**changes), *sizes, seeds), make, seeds, steps, 10.0)


def run(**given):
    trained = trainer(**given)
    trained.run()
    return trained


WAYS = [
    {},
    {"learns": "backpropagation"},
    {"learns": "action_only"},
    {"connections": "random"},
    {"connections": "feedforward"},
    {"clocks": "own", "ticks": 3, "time_constants": (0.2, 2.0)},
]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_resumed_training_ends_bit_for_bit_as_one_that_was_not_stopped(way):
    whole, stopped, resumed = run(**way), trainer(**way), trainer(**way)
    with torch.no_grad():
        while stopped.step < 37:
            stopped.advance()
    resumed.load_state_dict(stopped.state_dict())
    resumed.run()
    assert torch.equal(resumed.agent.weights, whole.agent.weights)
    assert torch.equal(resumed.agent.critic.network.online.flat, whole.agent.critic.network.online.flat)
    assert not torch.equal(whole.agent.weights, trainer(**way).agent.weights)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_seed_learns_the_same_alone_as_beside_others(way):
    both, alone = run(**way), run(seeds=(1,), **way)
    np.testing.assert_allclose(both.agent.weights[1], alone.agent.weights[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_only_connections_that_exist_learn_and_with_action_only_those_of_the_action(way):
    before, after = trainer(**way).agent, run(**way).agent
    moved = (before.weights != after.weights).numpy()
    assert not moved[~np.broadcast_to(after.learned, moved.shape)].any()
    outputs = after.graph.outputs
    assert moved[:, :, outputs].any()
    hidden = np.setdiff1d(after.clocks.free, outputs)
    assert moved[:, :, hidden].any() == (way.get("learns") != "action_only")


def test_sequences_end_with_their_episode_and_start_from_the_voltages_of_the_time():
    trained = run(steps=60, environment="subcritic/TMaze-v0", kwargs={"length": 2})
    rows = trained.replay.at(np.tile(np.arange(50), (2, 1)), trained.agent.consecutive)
    found = Sequences.of(rows, trained.agent.columns)
    for start in range(50):
        # Episodes last three steps.
        left = min(3 - start % 3, 4)
        assert found.valid[0, start, :, 0].tolist() == [1.0] * left + [0.0] * (4 - left)
        cue = found.observation[0, start, 0, 0]
        assert (cue != 0) == (start % 3 == 0)
        assert (found.voltages[0, start] != 0).any() == (start % 3 != 0)


def test_a_full_replays_newest_row_is_not_followed_by_its_oldest():
    """Episodes of three steps, six rows kept: without a count of all rows, time alone would join them."""
    trained = run(environment="subcritic/TMaze-v0", kwargs={"length": 2}, steps=61, replay_size=6)
    newest = (trained.replay.added - 1) % 6
    found = Sequences.of(trained.replay.at(np.full((2, 1), newest), 4), trained.agent.columns)
    rows = trained.replay.unpack(trained.replay.rows)["time"][0, :, 0]
    assert rows[(newest + 1) % 6] == rows[newest] + 1, "the case that is tested"
    assert found.valid[0, 0, :, 0].tolist() == [1.0, 0.0, 0.0, 0.0]


def test_rows_after_an_episodes_end_have_no_error():
    agent = run(environment="subcritic/TMaze-v0", kwargs={"length": 2}, steps=60, learns="backpropagation")
    replayed = Sequences.of(agent.replay.at(np.full((2, 3), 1), 4), agent.agent.columns)
    traces, action, _ = agent.agent._replay(replayed)
    error = agent.agent._error(replayed, agent.agent.critic.states(replayed), traces, action)
    assert (error[:, :, :2] != 0).all() and (error[:, :, 2:] == 0).all()


def test_the_actors_direction_is_the_gradient_of_the_critics_values_at_its_own_actions():
    """Against central differences of Σ_t Q(s_t, φ_t, μ_t) in single weights, in replayed sequences."""
    trained = run(learns="backpropagation", steps=60)
    agent = trained.agent
    replayed = Sequences.of(trained.replay.at(np.tile([3, 8, 20], (2, 1)), 4), agent.columns)
    states = agent.critic.states(replayed)

    def total():
        _, action, _ = agent._replay(replayed)
        judged = agent.critic.network.forward(
            states[0].double(), agent.critic.flat(action[:, :, :-1]).double()
        )
        return float(judged.output[0].sum())

    agent.critic.network.online.flat = agent.critic.network.online.flat.double()
    agent.critic.network.online = agent.critic.network.spec.views(agent.critic.network.online.flat)
    agent.critic.dtype = torch.float64
    states = agent.critic.states(replayed)
    traces, action, _ = agent._replay(replayed)
    error = agent._error(replayed, states, traces, action)
    direction = through_time.ascent(
        agent.clocks, agent.clocks.connections(), traces, agent.true_errors(traces, error)
    )
    rng = np.random.default_rng(0)
    existing = np.argwhere(agent.graph.mask)
    for i, n in existing[rng.choice(len(existing), 12, replace=False)]:
        kept, h = agent.graph.K[0, i, n], 1e-6
        agent.graph.K[0, i, n] = kept + h
        above = total()
        agent.graph.K[0, i, n] = kept - h
        below = total()
        agent.graph.K[0, i, n] = kept
        assert direction[0, i, n] == pytest.approx((above - below) / (2 * h), abs=1e-6)


def test_central_differences_find_the_critics_gradient():
    trained = run(steps=60)
    agent = trained.agent
    replayed = Sequences.of(trained.replay.at(np.tile([3, 8, 20], (2, 1)), 4), agent.columns)
    states, action = agent.critic.states(replayed)[0], agent.critic.flat(replayed.action * 0.5)
    agent.critic.settings = settings(perturbation_scale=1e-3)
    np.testing.assert_allclose(
        agent.critic.differences(states, action), agent.critic.gradient(states, action), atol=2e-3
    )


def test_the_player_acts_as_the_agent_does_without_noise():
    trained = run()
    trained.agent.begin_episode(0)
    trained.agent.begin_episode(1)
    play = trained.agent.player()
    one = torch.zeros(2, 1)
    for _ in range(5):
        observation = torch.randn(2, 1, 2)
        acted = trained.agent.act(observation)
        assert torch.equal(play(observation), acted.output)
        trained.agent.transition(acted, one, one, observation[:, 0])


def test_agreement_with_backpropagation_through_time_is_measured_layer_by_layer():
    trained = run(steps=60, hidden=(5, 4), ticks=3)
    agent, found = trained.agent, trained.agent.metrics()
    names = ["hidden", "layer_1", "layer_2"]
    assert {f"{kind}/{name}" for kind in ("agreement", "agreement_at_once") for name in names} <= set(found)
    traces, error = agent._seen
    mine, truth = (
        through_time.ascent(agent.clocks, agent.clocks.connections(), traces, errors)
        for errors in (agent.feedback.errors(traces, error), agent.true_errors(traces, error))
    )
    # Input, constant: 3; then the first layer.
    a, b = ((part * agent.graph.mask)[1, :, 3:8].ravel() for part in (mine, truth))
    assert found["agreement/layer_1"][1] == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)))
    with pytest.raises(ValueError, match="after an update"):
        trainer().agent.agreement()
    with pytest.raises(ValueError, match="of learned feedback"):
        run(learns="backpropagation").agent.agreement()


def test_with_fewer_ticks_than_layers_the_first_hidden_layer_has_no_error_of_lag_0():
    """Three layers and two ticks: its voltages reach no action of the same step, so that B of lag 0 fits noise alone."""
    found = run(steps=400, hidden=(5, 4), ticks=2, connections="feedforward").agent
    at_once = found.feedback.feedback[:, 0]
    first, second = (np.isin(found.clocks.order, layer) for layer in found.layers)
    assert np.abs(at_once[..., first]).max() < 0.3 * np.abs(at_once[..., second]).max()


def test_memory_traces_are_decaying_sums_of_one_variance():
    traces = MemoryTraces((1.0, 10.0), 2, 1)
    rng, state, seen = np.random.default_rng(0), np.zeros((5000, 6)), []
    for _ in range(60):
        action, observation = rng.normal(size=(5000, 1)), rng.normal(size=(5000, 2))
        state = traces.after(state, action, observation)
        seen.append(np.concatenate([observation, action], axis=1))
    for copy, steps in enumerate((1.0, 10.0)):
        decay = np.exp(-1 / steps)
        expected = sum(decay**age * x for age, x in enumerate(reversed(seen))) * np.sqrt(1 - decay**2)
        np.testing.assert_allclose(state[:, 3 * copy : 3 * copy + 3], expected, atol=1e-12)
    np.testing.assert_allclose(state.var(axis=0), 1, atol=0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lags": 4}, "lags must be below sequence, 4"),
        ({"learns": "backpropagation", "lags": 1}, "lags has a meaning only with learns learned_feedback"),
        ({"exploration": "neuron"}, "exploration must be action"),
        ({"frozen_hidden": True}, "say learns action_only instead"),
        ({"time_constants": (2.0, 1.0)}, "must name the shortest first"),
        ({"time_constants": (1.0, float("inf"))}, "finite"),
        ({"sequence": 1}, "greater than or equal to 2"),
        ({"noise_scale": (0.1, 0.2)}, "noise_scale must be one number"),
        ({"last_layer_init": 0.003}, "last_layer_init must be None"),
        ({"learns": "action_only", "perturbation_scale": 0.2}, "perturbation_scale has a meaning only with"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        settings(**changes)


def test_as_a_method_of_experiment_2_it_is_refused():
    with pytest.raises(ValueError, match="must be one of: ddpg"):
        parse_method({"algorithm": "graph"})
