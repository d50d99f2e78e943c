"""Gradient agreement: the oracle is exact, and the measures see what they should."""

import numpy as np
import pandas as pd
import pytest
import torch

from subcritic import profiles, seeding
from subcritic.agents.ddpg import actor_spec, critic_spec
from subcritic.measuring.interventions import finite_difference, oracle_gradient
from subcritic.measuring.judged import judge, weight_gradient
from subcritic.stats import cosine
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


def activation(layer):
    return torch.tanh if layer == len(SIZES) - 1 else torch.relu


def network_output(x, params, s=slice(None), last=torch.relu):
    """A network of three layers at x, written with torch's functions; ReLU but for the `last` one."""
    for layer in range(3):
        x = x @ params.weights[layer][s] + params.biases[layer][s]
        x = (torch.relu, torch.relu, last)[layer](x)
    return x


def gradients_by_autograd(found):
    """∇_K of the mean Q^μ(s, μ(s)) over states, per layer, (S, n_l, n_{l-1})."""
    leaf = found.actor_params.flat.clone().requires_grad_()
    action = network_output(found.observation, found.actor.views(leaf), last=torch.tanh)
    q = network_output(torch.cat((found.observation, action), dim=-1), found.critic_params, last=lambda z: z)
    q.mean(dim=1).sum().backward()
    return [weights.mT for weights in found.actor.views(leaf.grad).weights]


def test_the_weight_gradient_equals_autograd_of_the_mean_value():
    found = judged(profile().experiment1, torch.float64)
    true = gradients_by_autograd(found)
    for layer in (1, 2, 3):
        neurons = list(range(SIZES[layer]))
        ours = weight_gradient(found, layer, found.voltage_gradients[layer - 1], neurons)
        np.testing.assert_allclose(ours, true[layer - 1].numpy(), rtol=1e-10, atol=1e-12)


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


def values_by_neuron(rows, **where):
    """(layer, seed, neuron) → value of the rows that have these entries; the neuron of a whole layer is None."""
    for column, entry in where.items():
        rows = rows[rows[column] == entry]
    neurons = [None if np.isnan(neuron) else int(neuron) for neuron in rows.neuron]
    return dict(zip(zip(rows.layer.astype(int), rows.seed, neurons, strict=True), rows.value, strict=True))


FAMILIES = {"drafts": "phase1", "untrained": "untrained"}


def family(reading):
    settings = profile().experiment1
    actor = actor_spec(settings.agent, SIZES[0], SIZES[-1])
    return SubCriticFamily(actor, settings, SEEDS, FAMILIES[reading])


def values_of_critic(found, member, layer, s, m, own):
    """Q^n(v, α) or Q_l(v, h_l) at every state of seed s, for the member's m-th critic; own: what it reads of h_l."""
    row = s * member.count + (m if member.kind == "neuron" else 0)
    seen = torch.cat((found.h[layer - 1][s], own), dim=-1)
    return network_output(seen, member.network.online, row, last=lambda z: z)[:, 0]


def local_gradient(found, member, layer, s, m):
    """∇_{K^n} of the mean over states of the member's value when neuron n's voltage is σ(K^n v), by autograd."""
    n, v = member.neurons[m], found.h[layer - 1][s]
    weight = found.actor_params.weights[layer - 1][s][:, n].clone().requires_grad_()
    alpha = activation(layer)(v @ weight + found.actor_params.biases[layer - 1][s][0, n])
    own = alpha[:, None]
    if member.kind == "layer":
        h = found.h[layer][s]
        own = torch.cat((h[:, :n], own, h[:, n + 1 :]), dim=-1)
    values_of_critic(found, member, layer, s, m, own).mean().backward()
    return weight.grad


@pytest.mark.parametrize("reading", FAMILIES)
@pytest.mark.parametrize("kind", ["neuron", "layer"])
def test_every_neurons_cosine_equals_that_of_gradients_by_autograd(rows, reading, kind):
    found = judged(profile().experiment1, torch.float32)
    true = gradients_by_autograd(found)
    shown = values_by_neuron(rows, reading=reading, critic=kind, granularity="neuron", measure="cosine")
    members = getattr(family(reading), f"{kind}s")
    assert len(shown) == len(SEEDS) * (4 + 4 + 2)
    for (layer, seed, n), value in shown.items():
        member, s = members[layer - 1], SEEDS.index(seed)
        local = local_gradient(found, member, layer, s, member.neurons.index(n))
        expected = torch.cosine_similarity(local, true[layer - 1][s, n], dim=0, eps=0).item()
        assert value == pytest.approx(expected, abs=1e-4, nan_ok=True)
    assert {layer for (layer, *_), value in shown.items() if np.isfinite(value)} == {1, 2, 3}


def test_the_null_gives_every_neuron_the_critic_of_another(rows):
    found = judged(profile().experiment1, torch.float32)
    shown = values_by_neuron(
        rows, reading="permuted", critic="neuron", granularity="neuron", measure="cosine"
    )
    for layer, member in enumerate(family("drafts").neurons, 1):
        voltage_gradient = member.action_gradient(found.h[layer - 1], found.h[layer])
        for s, seed in enumerate(SEEDS):
            givers = []
            for m, n in enumerate(member.neurons):
                true = weight_gradient(found, layer, found.voltage_gradients[layer - 1][..., [n]], [n])[s, 0]
                cosines = [
                    cosine(weight_gradient(found, layer, voltage_gradient[..., [other]], [n])[s, 0], true)
                    for other in range(member.count)
                ]
                if np.isnan(cosines).any():  # a dead neuron
                    continue
                giver = int(np.argmin(np.abs(np.array(cosines) - shown[layer, seed, n])))
                assert cosines[giver] == pytest.approx(shown[layer, seed, n], abs=1e-6)
                assert giver != m
                givers.append(giver)
            assert len(givers) >= member.count - 1
            assert len(set(givers)) == len(givers)


@pytest.mark.parametrize("reading", FAMILIES)
def test_values_of_sub_critics_are_held_against_q(rows, reading):
    found = judged(profile().experiment1, torch.float32)
    q = network_output(
        torch.cat((found.observation, found.h[-1]), dim=-1), found.critic_params, last=lambda z: z
    )
    for kind in ("neuron", "layer"):
        shown = values_by_neuron(rows, reading=reading, critic=kind, measure="value_pearson")
        members = getattr(family(reading), f"{kind}s")
        assert len(shown) == len(SEEDS) * sum(member.count for member in members)
        for (layer, seed, n), value in shown.items():
            member, s = members[layer - 1], SEEDS.index(seed)
            m = 0 if n is None else member.neurons.index(n)
            own = found.h[layer][s] if n is None else found.h[layer][s][:, [n]]
            values = values_of_critic(found, member, layer, s, m, own)
            assert value == pytest.approx(np.corrcoef(values, q[s, :, 0])[0, 1], abs=1e-5)


def test_only_sub_critics_that_have_values_are_held_against_q(rows):
    assert set(rows[rows.measure == "value_pearson"].reading) == set(FAMILIES)


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
