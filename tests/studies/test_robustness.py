"""Disturbed policies: the disturbances are what they say, and the report says what the numbers show."""

import numpy as np
import pandas as pd
import pytest
import torch

from subcritic import envs, profiles, seeding
from subcritic.config import ConfigError
from subcritic.measuring import policies
from subcritic.nn import MLP
from subcritic.nn.activations import neurons
from subcritic.studies import STUDIES
from subcritic.studies.robustness import report, run
from subcritic.training import Evaluator

SEEDS = [0, 1]
PENDULUM = envs.maker({"id": "Pendulum-v1", "kwargs": {}, "max_episode_steps": None})


@pytest.fixture
def policy():
    network = MLP((3, 20, 10, 1), "tanh", "tanh")
    return network, network.init(seeding.generators(SEEDS, "actor"))


def test_silencing_is_a_voltage_of_0(policy):
    network, params = policy
    quiet = run.silenced(network, params, 0.1, seeding.generators(SEEDS, "x"))
    x = torch.randn(2, 7, 3)
    for s in range(2):
        h = x[s : s + 1]
        for layer in range(1, 4):
            weight, bias = params.weights[layer - 1][s : s + 1], params.biases[layer - 1][s : s + 1]
            h = neurons(h, weight, bias, network.activation(layer))
            if layer < 3:
                silent = (quiet.weights[layer][s] == 0).all(dim=1)
                assert silent.sum() == {1: 2, 2: 1}[layer], "a tenth of 20, and of 10"
                h = h * ~silent
        torch.testing.assert_close(network.forward(quiet, x).output[s : s + 1], h)
    assert not torch.equal(quiet.weights[1][0] == 0, quiet.weights[1][1] == 0), "each seed has its own"
    assert (params.weights[1] != 0).all(), "the policy itself is left alone"


def test_noise_has_the_scale_it_is_given_and_none_changes_nothing(policy):
    network, params = policy
    scale = torch.tensor([[[0.0, 1.0, 3.0]], [[0.0, 0.0, 0.0]]])
    seen = []

    class Watching:
        def forward(self, params, observation):
            seen.append(observation)
            return network.forward(params, observation)

    act = run.noisy(Watching(), params, scale, seeding.generators(SEEDS, "x"))
    x = torch.zeros(2, 20_000, 3)
    quiet = act(x)
    torch.testing.assert_close(seen[0].std(dim=1), scale[:, 0], rtol=0.03, atol=1e-6)
    torch.testing.assert_close(quiet[1], network.forward(params, x).output[1])


def test_the_spread_is_over_the_steps_of_running_episodes(policy):
    network, params = policy
    with torch.no_grad(), Evaluator(PENDULUM, SEEDS, 2) as evaluator:
        watched = run.Spread(lambda observation: network.forward(params, observation).output, evaluator)
        evaluator(watched, 0)
    assert [len(seen) for seen in watched.seen] == [2 * 200] * 2
    expected = np.stack([torch.stack(seen).numpy().std(axis=0) for seen in watched.seen])
    np.testing.assert_allclose(watched.deviation()[:, 0], expected, rtol=1e-5)


@pytest.fixture
def profile():
    return profiles.parse({
        "profile": "tiny", "seeds": 2, "environments": ["Pendulum-v1"], "studies": ["robustness"],
        "methods": [{"algorithm": "ddpg", "hidden": [8, 8]}, {"algorithm": "linear", "hidden": [8, 8]}],
        "robustness": {"noise_scales": [0.5, 2.0], "draws": 2, "episodes": 2},
        "anchors": {"random_episodes": 10},
    })  # fmt: skip


def test_what_is_recorded_is_repeatable_and_starts_from_the_same_states(profile, tmp_path):
    job = STUDIES["robustness"].job(profile, "Pendulum-v1", "ddpg")
    with pytest.raises(ConfigError, match=r"ddpg.policy.pt is missing; run `subcritic experiment2`"):
        run.run(job, tmp_path)
    network = MLP((3, 8, 8, 1), "relu", "tanh")
    flat = network.init(seeding.generators(SEEDS, "actor")).flat
    saved = [
        {"seed": seed, "sizes": network.sizes, "hidden": "relu", "output": "tanh", "parameters": flat[seed]}
        for seed in SEEDS
    ]
    policies.save(tmp_path / "tiny" / job.reads[0], saved)
    (path,) = run.run(job, tmp_path)
    table = pd.read_csv(path)
    assert list(table) == list(STUDIES["robustness"].records["returns"].columns)
    # Undisturbed, two noise levels, two draws of silent neurons; for each seed.
    assert len(table) == 5 * 2 and set(table["role"]) == {"backpropagation"}
    again = pd.read_csv(run.run(job, tmp_path)[0])
    pd.testing.assert_frame_equal(table, again)
    for seed in SEEDS:
        metrics = (tmp_path / f"tiny/runs/robustness/Pendulum-v1/ddpg/s{seed}/metrics.csv").read_text()
        assert "0,return/observation_noise" in metrics and "200,return/observation_noise" in metrics
        assert "10,return/silenced_neurons" in metrics


@pytest.fixture
def returns():
    rows = []
    for method, role, fall in (("ddpg", "backpropagation", 100.0), ("linear", "local", 20.0)):
        for seed in range(4):
            base = {"environment": "Pendulum-v1", "method": method, "role": role, "seed": seed, "draw": 0}
            rows.append({**base, "disturbance": "none", "level": 0.0, "score": -100.0 - seed})
            for level in (0.1, 1.0):
                score = -100.0 - seed - fall * level
                rows.append({**base, "disturbance": "observation_noise", "level": level, "score": score})
            for draw in range(2):
                rows.append({**base, "draw": draw, "disturbance": "silenced_neurons", "level": 0.1,
                             "score": -150.0 - seed + 10 * draw})  # fmt: skip
    return pd.DataFrame(rows)


ANCHORS = pd.DataFrame({
    "environment": ["Pendulum-v1"], "random_mean": [-1100.0], "random_standard_error": [1.0],
    "reference_return": [-100.0], "reference_standard_error": [0.0],
}).set_index("environment")  # fmt: skip


def test_losses_are_paired_by_seed_and_in_units_of_the_distance_to_random(profile, returns):
    table = report.summary(profile, returns, ANCHORS).set_index(["method", "disturbance", "level"])
    one = table.loc["ddpg", "observation_noise", 1.0]
    assert one["loss"] == pytest.approx(100) and one["loss_low"] == pytest.approx(100), (
        "seeds differ, losses do not"
    )
    assert one["lost"] == pytest.approx(0.1) and one["score"] == pytest.approx(-201.5)
    assert table.loc["linear", "observation_noise", 1.0]["loss"] == pytest.approx(20)
    assert table.loc["ddpg", "silenced_neurons", 0.1]["loss"] == pytest.approx(45), "mean over draws"
    assert table.loc["linear", "observation_noise", 1.0]["more"] == pytest.approx(-80), "paired with DDPG's"
    assert np.isnan(table.loc["ddpg", "none", 0.0]["loss"]) and table.loc["ddpg"]["more"].isna().all()


def test_the_page_says_what_each_method_loses(profile, returns):
    table = report.summary(profile, returns, ANCHORS)
    noise, silent = report.sentences(table)
    assert noise == (
        "Pendulum-v1, noise 1: loss of return, as a share of the distance from random actions to the reference: "
        "ddpg 0.10 [0.10, 0.10]; linear 0.02 [0.02, 0.02] (less)."
    )
    assert silent.startswith("Pendulum-v1, 10 % silenced: ") and "not told apart" in silent
    text = report.markdown(profile, table)
    assert "| Pendulum-v1 | ddpg " in text and "noise 0.1" in text
    figure = report.figure(profile, table)
    assert len(figure.axes) == 2 and "ddpg" in {text.get_text() for text in figure.axes[0].texts}


def test_without_a_reference_the_loss_is_in_return(profile, returns):
    bare = ANCHORS.assign(reference_return=np.nan)
    (noise, _) = report.sentences(report.summary(profile, returns, bare))
    assert "loss of return: ddpg 100 [100, 100]; linear 20.0 [20.0, 20.0] (less)." in noise
