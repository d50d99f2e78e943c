"""Estimates of the policy gradient from noise: what they average, how their noise is counted, where they end up."""

import numpy as np
import pytest
import torch

from subcritic import config, profiles, seeding
from subcritic.agents.ddpg import actor_spec, critic_spec
from subcritic.studies.experiment1.settings import Experiment1
from subcritic.studies.scaling import run as scaling
from subcritic.studies.scaling.estimators import (
    Ladder,
    Seen,
    compatible_gradient,
    compatible_sums,
    linear_fit,
    noise_to_signal,
    score_energy,
    score_sum,
)

SEEDS, DRAWS, N_IN, N_OUT, SCALE = 2, 50, 4, 3, 0.2


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.fixture
def seen():
    torch.manual_seed(0)
    return Seen(
        draw(SEEDS, DRAWS, N_IN), torch.rand(SEEDS, DRAWS, N_OUT).double(), SCALE * draw(SEEDS, DRAWS, N_OUT)
    )


def test_the_score_estimate_and_its_energy_are_the_plain_loop(seen):
    advantage = draw(SEEDS, DRAWS, 1)
    total, energy = torch.zeros(SEEDS, N_IN, N_OUT).double(), torch.zeros(SEEDS).double()
    for s in range(SEEDS):
        for i in range(DRAWS):
            one = torch.outer(seen.voltage[s, i], seen.noise[s, i] * seen.slope[s, i])
            one = one * advantage[s, i] / SCALE**2
            total[s] += one
            energy[s] += one.square().sum()
    torch.testing.assert_close(score_sum(seen, advantage, SCALE), total, rtol=0, atol=1e-10)
    torch.testing.assert_close(score_energy(seen, advantage, SCALE), energy, rtol=1e-10, atol=0)


def test_compatible_critics_that_can_hold_the_advantage_give_its_gradient_exactly(seen):
    """If A = ξ_n σ'(z) (w·v) of one neuron, least squares finds w, and mean σ'(z)² v vᵀ w follows."""
    weight = draw(N_IN)
    neuron = 2
    advantage = (seen.noise * seen.slope)[..., neuron : neuron + 1] * (seen.voltage @ weight)[..., None]
    found = compatible_gradient(compatible_sums(seen, advantage, [neuron]))[..., 0]
    slopes = seen.slope[..., neuron, None] * seen.voltage
    torch.testing.assert_close(found, slopes.mT @ slopes @ weight, rtol=1e-3, atol=1e-4)


def test_the_linear_fit_is_least_squares(seen):
    value, alpha = draw(SEEDS, DRAWS, 1), draw(SEEDS, DRAWS, N_OUT)
    found = linear_fit(seen.voltage, alpha, value)
    for s in range(SEEDS):
        for n in range(N_OUT):
            basis = np.column_stack((np.ones(DRAWS), seen.voltage[s], alpha[s, :, n]))
            theta, *_ = np.linalg.lstsq(basis, value[s, :, 0].numpy(), rcond=None)
            assert found.alpha[s, n] == pytest.approx(theta[-1], abs=1e-10)
            pearson = np.corrcoef(basis @ theta, value[s, :, 0])[0, 1]
            assert found.value_pearson[s, n] == pytest.approx(pearson, abs=1e-10)


def test_a_voltage_that_the_others_explain_has_no_slope(seen):
    alpha = seen.voltage[..., :1] * 2 - seen.voltage[..., 1:2]
    assert linear_fit(seen.voltage, alpha, draw(SEEDS, DRAWS, 1)).alpha.abs().max() == 0


def test_the_ladder_holds_disjoint_blocks_against_the_truth():
    torch.manual_seed(0)
    blocks, true = draw(8, SEEDS, 5), draw(SEEDS, 5)
    ladder = Ladder([10, 40], true)
    for block in blocks:
        ladder.add(block)
    cosine = torch.nn.functional.cosine_similarity
    (small, few), (large, many) = ladder.cosines()
    assert (small, large) == (10, 40)
    torch.testing.assert_close(few, cosine(blocks, true[None], dim=2).mean(dim=0))
    sums = torch.stack((blocks[:4].sum(dim=0), blocks[4:].sum(dim=0)))
    torch.testing.assert_close(many, cosine(sums, true[None], dim=2).mean(dim=0))


def test_noise_of_single_draws_foretells_the_cosine_of_their_mean():
    rng = np.random.default_rng(0)
    true = torch.from_numpy(rng.standard_normal((1, 40)))
    singles = true + 5 * torch.from_numpy(rng.standard_normal((4000, 40)))
    noise = noise_to_signal(singles.square().sum()[None], 4000, true)
    assert noise[0] == pytest.approx(25 * 40 / float(true.square().sum()), rel=0.02)
    exact = noise_to_signal(true.square().sum()[None], 1, true)
    assert exact[0] == pytest.approx(0, abs=1e-12), "draws that are the gradient itself have no noise"
    means = singles.view(20, 200, 40).mean(dim=1)
    measured = torch.cosine_similarity(means, true).mean()
    assert measured == pytest.approx(float(1 / torch.sqrt(1 + noise / 200)), abs=0.02)


@pytest.fixture(scope="module")
def table():
    profile = profiles.parse({
        "profile": "test", "environments": ["Pendulum-v1"], "methods": [{"algorithm": "ddpg"}],
        "experiment1": {"agent": {"algorithm": "ddpg", "hidden": (12, 12), "activation": "tanh"}},
        "scaling": {"widths": [4], "width": 4, "noise_scales": [0.05], "noise_scale": 0.05, "draws": [64, 16384],
                    "actor_steps": [0, 3]},
    })  # fmt: skip
    settings, seeds, sizes = profile.experiment1, [0, 1], (3, 12, 12, 1)
    critic = critic_spec(settings.agent, 3, 1)
    torch.manual_seed(0)
    snapshot = {
        "seeds": seeds,
        "observations": torch.randn(2, 100, 3),
        "critic": critic.init(seeding.generators(seeds, "critic")).flat,
    }
    with torch.no_grad():
        return scaling.measure(settings, profile.scaling, sizes, snapshot)


def test_many_draws_find_the_policy_gradient(table):
    rows = table[(table.measure == "cosine") & (table.estimator == "antithetic") & table.layer.isna()]
    cosines = rows.groupby("draws").value.mean()
    assert cosines[16384] > 0.95 and cosines[16384] > cosines[64] + 0.1


def test_every_row_says_what_it_is(table):
    assert list(table.columns) == list(scaling.COLUMNS)
    assert set(table.estimator) == set(scaling.ESTIMATORS)
    assert set(table.actor_steps) == {0, 3}
    assert set(table.measure) == {"cosine", "noise_to_signal", "value_pearson"}
    assert not table.value.isna().all()
    key = [name for name in scaling.COLUMNS if name != "value"]
    assert not table.duplicated(key).any()


def test_a_seed_draws_the_same_alone_or_beside_others():
    settings = Experiment1(agent={"algorithm": "ddpg", "hidden": (8, 8)})
    actor, critic = actor_spec(settings.agent, 3, 1), critic_spec(settings.agent, 3, 1)
    torch.manual_seed(0)
    states = torch.randn(2, 50, 3)

    def drawn(seeds, rows):
        flats = [spec.init(seeding.generators(seeds, "x")).flat for spec in (actor, critic)]
        agent = scaling.judge(states[rows], actor, flats[0], critic, flats[1])
        return scaling.NoisyDraws(agent, seeds, 0.1).take(16)[0].value

    torch.testing.assert_close(drawn([0, 1], [0, 1])[1:], drawn([1], [1]))


def test_draws_must_grow_by_whole_factors():
    with pytest.raises(config.ConfigError, match="100 is no multiple of 64"):
        profiles.parse({"profile": "p", "environments": ["Pendulum-v1"], "methods": [{"algorithm": "ddpg"}],
                      "scaling": {"draws": [64, 100]}})  # fmt: skip
