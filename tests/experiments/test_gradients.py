"""Gradient agreement: the oracle is exact, and the measures see what they should."""

import numpy as np
import pandas as pd
import pytest
import torch

from subcritic import profiles, seeding
from subcritic.agents.ddpg import actor_spec, critic_spec
from subcritic.measuring.interventions import finite_difference, oracle_gradient
from subcritic.measuring.judged import judge, weight_gradient
from subcritic.studies.gradients import informed
from subcritic.studies.gradients.run import measure
from subcritic.subcritics import CompatibleSubCritics, SubCriticFamily

SIZES = (5, 12, 9, 2)
SEEDS = [0, 1]


def profile(**agent):
    agent = {"algorithm": "ddpg", "hidden": SIZES[1:-1], "activation": "relu", **agent}
    return profiles.parse(
        {
            "profile": "test",
            "environments": ["Pendulum-v1"],
            "methods": [{"algorithm": "ddpg"}],
            "experiment1": {"agent": agent, "neurons_per_layer": 4},
        }
    )


def snapshot(settings, dtype=torch.float32):
    actor, critic = (spec(settings.agent, SIZES[0], SIZES[-1]) for spec in (actor_spec, critic_spec))
    family = SubCriticFamily(actor, settings, SEEDS, "phase1", dtype)
    torch.manual_seed(1)
    return {
        "step": 100,
        "seeds": SEEDS,
        "observations": torch.randn(len(SEEDS), 200, SIZES[0], dtype=dtype),
        "actor": actor.init(seeding.generators(SEEDS, "actor"), dtype).flat,
        "critic": critic.init(seeding.generators(SEEDS, "critic"), dtype).flat,
        "layers": [critic.network.online.flat for critic in family.layers],
        "neurons": [critic.network.online.flat for critic in family.neurons],
    }


def judged(settings, dtype):
    taken = snapshot(settings, dtype)
    actor, critic = (spec(settings.agent, SIZES[0], SIZES[-1]) for spec in (actor_spec, critic_spec))
    return judge(taken["observations"], actor, taken["actor"], critic, taken["critic"])


@pytest.mark.parametrize("agent", [{}, {"preset": "lillicrap2016"}, {"activation": "tanh"}])
def test_the_oracle_equals_backpropagation_in_float64(agent):
    found = judged(profile(**{"hidden": SIZES[1:-1], **agent}).experiment1, torch.float64)
    for layer in (1, 2, 3):
        oracle = oracle_gradient(layer, found.h[layer], found.observation, found.networks)
        torch.testing.assert_close(oracle, found.voltage_gradients[layer - 1], rtol=1e-10, atol=1e-12)


def test_the_oracle_equals_finite_differences_of_interventions():
    found = judged(profile(activation="tanh").experiment1, torch.float64)
    for layer, neuron in ((1, 3), (2, 0), (3, 1)):
        steps = finite_difference(layer, neuron, found.h[layer], found.observation, found.networks)
        true = found.voltage_gradients[layer - 1][..., neuron]
        assert true.abs().max() > 1e-4
        # The critic's ReLUs have kinks: a few states may sit on one.
        assert ((steps - true).abs() < 1e-6 * (1 + true.abs())).double().mean() > 0.99


def test_the_weight_gradient_equals_autograd_of_the_mean_value():
    settings = profile().experiment1
    found = judged(settings, torch.float64)
    leaf = found.actor_params.flat.clone().requires_grad_()
    params, h = found.actor.views(leaf), found.observation
    for layer in (1, 2, 3):
        z = h @ params.weights[layer - 1] + params.biases[layer - 1]
        h = torch.tanh(z) if layer == 3 else torch.relu(z)
    q, x = torch.cat((found.observation, h), dim=-1), found.critic_params
    for layer in (1, 2, 3):
        q = q @ x.weights[layer - 1] + x.biases[layer - 1]
        q = q if layer == 3 else torch.relu(q)
    q.mean(dim=1).sum().backward()
    true = found.actor.views(leaf.grad)
    for layer in (1, 2, 3):
        neurons = list(range(SIZES[layer]))
        ours = weight_gradient(found, layer, found.voltage_gradients[layer - 1], neurons)
        np.testing.assert_allclose(ours, true.weights[layer - 1].mT.numpy(), rtol=1e-10, atol=1e-12)


@pytest.fixture(scope="module")
def rows():
    settings = profile()
    return pd.DataFrame(measure(settings.experiment1, SIZES, snapshot(settings.experiment1)))


def test_the_oracle_scores_one_to_rounding_in_float32(rows):
    oracle = rows[rows.reading == "oracle"].pivot_table(
        index=["seed", "granularity", "layer", "neuron"], columns="measure", values="value", dropna=False
    )
    known = oracle.dropna(how="all")
    for measure_name in ("pearson", "cosine", "scalar_pearson", "scalar_sign", "scale"):
        np.testing.assert_allclose(known[measure_name].dropna(), 1, atol=1e-6)
    for measure_name in ("equality", "proportionality"):
        assert known[measure_name].dropna().max() < 2e-6
    assert known["finite_difference_error"].dropna().median() < 1e-6


def test_random_sub_critics_do_not_look_like_the_oracle(rows):
    cosines = rows[(rows.measure == "cosine") & (rows.granularity == "actor")].groupby("reading").value.mean()
    assert cosines["oracle"] > 0.999
    for reading in ("drafts", "untrained"):
        assert abs(cosines[reading]) < 0.9


def test_every_reading_has_every_granularity(rows):
    found = set(zip(rows.reading, rows.critic, rows.granularity, strict=True))
    for granularity in ("neuron", "layer", "actor"):
        assert ("oracle", "oracle", granularity) in found
        for reading in ("drafts", "permuted", "untrained"):
            for critic in ("neuron", "layer"):
                assert (reading, critic, granularity) in found


def test_a_layer_of_one_neuron_has_no_permutation():
    settings = profile()
    sizes = (5, 12, 9, 1)
    actor, critic = (spec(settings.experiment1.agent, 5, 1) for spec in (actor_spec, critic_spec))
    family = SubCriticFamily(actor, settings.experiment1, SEEDS, "phase1")
    taken = snapshot(settings.experiment1) | {
        "actor": actor.init(seeding.generators(SEEDS, "actor")).flat,
        "critic": critic.init(seeding.generators(SEEDS, "critic")).flat,
        "layers": [member.network.online.flat for member in family.layers],
        "neurons": [member.network.online.flat for member in family.neurons],
    }
    rows = pd.DataFrame(measure(settings.experiment1, sizes, taken))
    permuted = rows[rows.reading == "permuted"]
    assert set(permuted.layer.dropna()) == {1, 2}
    assert "actor" not in set(permuted.granularity)


def test_a_random_direction_says_what_chance_gives(rows):
    random = rows[rows.reading == "random_direction"]
    spread = (
        random[random.measure == "chance_spread"].set_index(["granularity", "layer", "seed", "neuron"]).value
    )
    assert spread.xs("neuron").xs(2.0).iloc[0] == pytest.approx(1 / np.sqrt(12))
    entries = 4 * 5 + 4 * 12 + 2 * 9
    assert spread.xs("actor").iloc[0] == pytest.approx(1 / np.sqrt(entries))
    cosines = random[(random.measure == "cosine") & (random.granularity == "actor")].value
    assert cosines.abs().max() < 4 / np.sqrt(entries)


def test_values_of_trained_and_untrained_sub_critics_are_held_against_q(rows):
    values = rows[rows.measure == "value_pearson"]
    assert set(values.reading) == {"drafts", "untrained"}
    assert values.value.dropna().between(-1, 1).all()


@pytest.fixture(scope="module")
def noisy_rows():
    settings = profile()
    taken = snapshot(settings.experiment1)
    judged_actor = actor_spec(settings.experiment1.agent, SIZES[0], SIZES[-1])
    params = judged_actor.views(taken["actor"])
    critics = CompatibleSubCritics(judged_actor, params, params, "own", 1e-2, 0.9, 0.1, [])
    tensors = [layer.tensors() for layer in critics.critics]
    for layer in tensors:
        layer["weight"].normal_()
    more = {
        "compatible": tensors,
        "global_baseline": tensors,
        "regression_states": torch.randn(2, 600, SIZES[0]),
    }
    with torch.no_grad():
        return pd.DataFrame(informed.measure(settings.experiment1, SIZES, taken | more))


def test_the_regression_comes_close_to_the_oracle_and_random_critics_do_not(noisy_rows):
    cosines = noisy_rows[(noisy_rows.measure == "cosine") & (noisy_rows.granularity == "actor")]
    cosines = cosines[cosines.critic == "neuron"].groupby("reading").value.mean()
    assert cosines["regression"] > 0.9
    assert cosines[["compatible", "global_baseline", "neuron_noise"]].abs().max() < 0.9


def test_readings_with_noise_have_every_granularity(noisy_rows):
    for reading in ("neuron_noise", "compatible", "global_baseline", "regression"):
        own = noisy_rows[noisy_rows.reading == reading]
        assert set(own.granularity) == {"neuron", "layer", "actor"}
