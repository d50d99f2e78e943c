"""Theorem 2.2.4: each proposition of docs/theory.md, on random agents and on a real environment."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from subcritic import config, envs, profiles, seeding
from subcritic.agents.ddpg import critic_spec
from subcritic.measuring.interventions import value_from
from subcritic.measuring.judged import judge
from subcritic.nn import MLP
from subcritic.studies import STUDIES
from subcritic.studies.theorem import run as theorem
from subcritic.studies.theorem.trajectory import Trajectory, bellman_loss, play, values_of_data

SEEDS = [3, 4]
agents = {
    "sizes": st.lists(st.integers(2, 7), min_size=3, max_size=5).map(tuple),
    "activation": st.sampled_from(["relu", "tanh", "sigmoid"]),
    "number": st.integers(0, 10_000),
}
property_test = settings(max_examples=15, deadline=None)


def profile(activation="tanh"):
    return profiles.parse({
        "profile": "test", "seeds": 2, "first_seed": 3, "environments": ["Pendulum-v1"],
        "methods": [{"algorithm": "ddpg"}],
        "experiment1": {"agent": {"algorithm": "ddpg", "hidden": [8, 6], "activation": activation}},
        "theorem": {"trajectory_steps": 40, "aliases": 5, "draws": [1, 4]},
    })  # fmt: skip


def random_agent(sizes, activation, number, states=12):
    """Two random actors with smooth critics at random states, in float64."""
    actor = MLP(sizes, activation, "tanh")
    critic = MLP((sizes[0], 9, 1), "tanh", side=(1, sizes[-1]))
    flats = [
        spec.init(seeding.generators(SEEDS, name, number), torch.float64).flat * 2
        for spec, name in ((actor, "actor"), (critic, "critic"))
    ]
    torch.manual_seed(number)
    states = torch.randn(2, states, sizes[0], dtype=torch.float64)
    return judge(states, actor, flats[0], critic, flats[1])


def defined(values):
    return values[~np.isnan(values)]


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


# The right side of (2.2.5).


@property_test
@given(**agents)
def test_the_policy_gradient_is_the_difference_quotient_of_the_mean_value(sizes, activation, number):
    agent = random_agent(sizes, "tanh" if activation == "relu" else activation, number)
    found = theorem.policy_gradient(agent)
    rng, step = np.random.default_rng(number), 1e-5
    for layer, gradient in enumerate(found, 1):
        i, n = rng.integers(sizes[layer - 1]), rng.integers(sizes[layer])
        values = []
        for sign in (1, -1):
            moved = agent.actor.views(agent.actor_params.flat.clone())
            moved.weights[layer - 1][:, i, n] += sign * step
            networks = (agent.actor, moved, agent.critic, agent.critic_params)
            values.append(value_from(0, agent.observation, agent.observation, networks).mean(dim=1))
        quotient = ((values[0] - values[1]) / (2 * step)).numpy()
        np.testing.assert_allclose(gradient[:, n, i], quotient, rtol=1e-5, atol=1e-8)


def test_the_relative_difference_is_0_for_equal_1_for_none_2_for_opposite_and_undefined_for_a_true_zero():
    true = np.array([[[3.0, 4.0]], [[1.0, 2.0]], [[5.0, 6.0]], [[0.0, 0.0]]])
    local = true * np.array([1, 0, -1, 1])[:, None, None] + np.array([0, 0, 0, 1])[:, None, None]
    np.testing.assert_allclose(theorem.relative(local, true), [0, 1, 2, np.nan])


# (a)


@property_test
@given(**agents)
def test_an_intervention_gives_the_column_of_the_policy_gradient(sizes, activation, number):
    agent = random_agent(sizes, activation, number)
    for _, _, name, values in theorem.interventional(agent, "do"):
        assert (defined(values) < 1e-12).all(), name


# (b)


@property_test
@given(**agents)
def test_one_step_of_the_dynamics_gives_hidden_neurons_nothing_and_output_neurons_everything(
    sizes, activation, number
):
    agent = random_agent(sizes, activation, number)
    depth = len(sizes) - 1
    for reading, layer, name, values in theorem.delays(agent):
        if reading == "one_step" and layer < depth:
            assert (defined(values) == 1).all(), name
        else:
            assert (defined(values) < 1e-12).all(), name


def test_a_hidden_voltage_reaches_the_action_after_as_many_steps_as_there_are_layers_above_and_no_other():
    agent = random_agent((3, 5, 4, 3, 2), "tanh", 0)
    for layer in range(1, 5):
        moved = [theorem.delayed_gradient(agent, layer, waiting).abs().max() > 1e-6 for waiting in range(6)]
        assert moved == [waiting == 4 - layer for waiting in range(6)]


def test_settled_voltages_stay_under_the_dynamics():
    agent = random_agent((3, 5, 2), "sigmoid", 1)
    for before, after in zip(agent.h, theorem.dynamics(agent, agent.h), strict=True):
        torch.testing.assert_close(before, after, rtol=1e-12, atol=1e-12)


# (c)


def random_walk(agent, number):
    """A trajectory through random states, with random rewards and ends."""
    generator = torch.Generator().manual_seed(number)
    seeds, steps, size = agent.observation.shape
    ends = (torch.rand(seeds, steps, generator=generator) < 0.2).double()
    reward = torch.randn(seeds, steps, generator=generator, dtype=torch.float64)
    states = torch.randn(seeds, 1, size, generator=generator, dtype=torch.float64)
    return Trajectory(agent.observation, reward, ends, torch.cat((agent.observation[:, 1:], states), dim=1))


@property_test
@given(**agents)
def test_two_functions_fit_the_trajectory_without_error_and_have_opposite_gradients(
    sizes, activation, number
):
    # ReLU layers that are dead map different states to the same v.
    agent = random_agent(sizes, "tanh" if activation == "relu" else activation, number)
    rows = {row[:3]: row[3] for row in theorem.on_trajectory(agent, random_walk(agent, number), 0.99)}
    for layer in range(1, len(sizes)):
        for reading, sign in (("right_slope", 1), ("opposite_slope", -1)):
            assert (rows[reading, layer, "bellman_loss"] < 1e-20).all()
            np.testing.assert_allclose(rows[reading, layer, "cosine"], sign, rtol=1e-12)
            np.testing.assert_allclose(rows[reading, layer, "relative_difference"], 1 - sign, atol=1e-12)


def test_a_step_off_the_trajectory_whose_effect_is_seen_tells_the_two_functions_apart():
    agent = random_agent((3, 5, 4, 2), "tanh", 0)
    trajectory, step = random_walk(agent, 0), 0.1
    value, after = values_of_data(agent.h[1], agent.h[1] + 1, trajectory, 0.99)
    voltage_gradient = agent.voltage_gradients[1][..., :1]
    seen = trajectory._replace(reward=trajectory.reward + step * voltage_gradient[..., 0])
    right, opposite = (
        bellman_loss(value[..., None] + sign * step * voltage_gradient, after[..., None], seen, 0.99)
        for sign in (1, -1)
    )
    assert (right < 1e-20).all() and (opposite > 1e-8).all()


def test_the_values_of_the_data_are_the_discounted_returns():
    observation = torch.arange(6.0, dtype=torch.float64).view(1, 6, 1)
    reward = torch.tensor([[1.0, 2.0, 4.0, 3.0, 5.0, 7.0]], dtype=torch.float64)
    ends = torch.tensor([[0, 0, 1, 0, 0, 0]], dtype=torch.float64)
    trajectory = Trajectory(observation, reward, ends, observation + 1)
    value, after = values_of_data(observation, observation + 1, trajectory, 0.5)
    np.testing.assert_allclose(value[0], [1 + 1 + 1, 2 + 2, 4, 3 + 2.5 + 1.75, 5 + 3.5, 7])
    np.testing.assert_allclose(after[0], [*value[0, 1:], 0])


def test_voltages_met_twice_share_a_value_which_is_that_of_the_mean_reward():
    v = torch.zeros(1, 4, 2, dtype=torch.float64)
    reward = torch.tensor([[1.0, 3.0, 2.0, 2.0]], dtype=torch.float64)
    trajectory = Trajectory(v, reward, torch.zeros(1, 4, dtype=torch.float64), v)
    value, _ = values_of_data(v, v, trajectory, 0.75)
    np.testing.assert_allclose(value, 2 / (1 - 0.75))


# (d)


@property_test
@given(**agents)
def test_where_v_does_not_tell_s_the_gradients_agree_in_expectation_and_not_in_single_states(
    sizes, activation, number
):
    # A layer of saturated or dead neurons has no gradient worth comparing.
    agent = random_agent(sizes, "tanh", number)
    rows = {row[1:3]: row[3] for row in theorem.aliasing(agent, SEEDS, 7, (1,))}
    for layer in range(1, len(sizes)):
        assert (rows[layer, "relative_difference"] < 1e-10).all()
        assert (rows[layer, "relative_difference_of_mean"] < 1e-10).all()
        assert (rows[layer, "relative_difference_per_state"] > 0.01).all()


def test_the_mean_over_states_that_share_v_comes_closer_with_the_root_of_their_number():
    agent = random_agent((3, 6, 5, 2), "tanh", 0, states=400)
    draws = (1, 4, 16, 64, 256)
    rows = {row[1:3]: row[3] for row in theorem.aliasing(agent, SEEDS, 16, draws)}
    for layer in (1, 2, 3):
        errors = np.array([rows[layer, f"relative_difference_of_mean/{m}"] for m in draws])
        # The expected square falls exactly as 1/m; 400 states leave a few percent of chance.
        np.testing.assert_allclose(errors * np.sqrt(draws)[:, None] / errors[0], 1, atol=0.25)


def test_one_alias_at_the_state_itself_is_no_alias():
    agent = random_agent((3, 6, 2), "tanh", 0)
    for layer in (1, 2):
        voltage_gradient = theorem.expected_gradient(agent, layer, agent.observation[:, :, None])
        torch.testing.assert_close(
            voltage_gradient, agent.voltage_gradients[layer - 1], rtol=1e-10, atol=1e-12
        )


# The study on a real environment.


@pytest.fixture(scope="module")
def snapshot():
    settings = profile().experiment1.agent
    actor = MLP((3, 8, 6, 1), "tanh", "tanh")
    critic = critic_spec(settings, 3, 1)
    torch.manual_seed(0)
    return {
        "step": 10, "seeds": SEEDS, "observations": torch.randn(2, 20, 3),
        "actor": actor.init(seeding.generators(SEEDS, "actor")).flat,
        "critic": critic.init(seeding.generators(SEEDS, "critic")).flat,
    }  # fmt: skip


def test_the_trajectory_is_that_of_the_noise_free_policy(snapshot):
    chosen = profile()
    agent = theorem.judged(chosen.experiment1.agent, (3, 8, 6, 1), snapshot, torch.float64)
    make = envs.maker(chosen.environment("Pendulum-v1"))
    played = play(agent, make, SEEDS, 230)
    assert played.observation.shape == (2, 230, 3) and played.reward.shape == (2, 230)
    follows = (played.observation[:, 1:] == played.next_observation[:, :-1]).all(dim=-1)
    # Pendulum's episodes are cut after 200 steps, and never terminate.
    assert follows.sum(dim=1).tolist() == [228, 228] and not follows[:, 199].any()
    assert not played.terminated.any()
    alone = play(_of_seed(agent, 1), make, SEEDS[1:], 30)
    torch.testing.assert_close(alone.reward[0], played.reward[1, :30], rtol=1e-6, atol=1e-6)


def _of_seed(agent, s):
    flats = (agent.actor_params.flat[s : s + 1].clone(), agent.critic_params.flat[s : s + 1].clone())
    return judge(agent.observation[s : s + 1], agent.actor, flats[0], agent.critic, flats[1])


def test_every_reading_has_a_row_for_every_layer_and_seed_and_a_run_in_the_records(tmp_path, snapshot):
    job = STUDIES["theorem"].job(profile(), "Pendulum-v1")
    folder = tmp_path / "test" / "experiment1" / "Pendulum-v1"
    folder.mkdir(parents=True)
    with pytest.raises(config.ConfigError, match=r"snapshots.pt is missing; run `subcritic experiment1"):
        theorem.run(job, tmp_path)
    saved = {"sizes": (3, 8, 6, 1), "snapshots": [snapshot]}
    torch.save({"key": "of another config", **saved}, folder / "snapshots.pt")
    with pytest.raises(config.ConfigError, match="made with other settings"):
        theorem.run(job, tmp_path)
    key = config.digest(config.dump(job.config.snapshots))
    torch.save({"key": key, **saved}, folder / "snapshots.pt")
    (path,) = theorem.run(job, tmp_path)
    table = pd.read_csv(path)
    assert list(table) == ["environment", "seed", "reading", "layer", "measure", "value"]
    whole = table[table.measure == "relative_difference"]
    assert len(whole) == len(theorem.READINGS) * 3 * 2
    expected = {"one_step": [1, 1, 0], "opposite_slope": [2, 2, 2]}
    for reading, group in whole.groupby("reading"):
        tolerance = 1e-5 if reading == "do_float32" else 1e-12
        means = group.groupby("layer").value.mean()
        np.testing.assert_allclose(means, expected.get(reading, [0, 0, 0]), atol=tolerance)
    for seed in SEEDS:
        assert (tmp_path / f"test/runs/theorem/Pendulum-v1/theorem/s{seed}/metrics.csv").is_file()
