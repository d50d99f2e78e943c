import json

import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy import stats

from subcritic import profiles
from subcritic.reporting.estimates import Estimate
from subcritic.studies.gradients import empirical
from subcritic.studies.gradients import report as agreement

ORACLE = Estimate(1.0, 1.0, 1.0)
NULL = Estimate(0.02, -0.05, 0.09)
NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "case"),
    [
        (Estimate(0.05, 0.0, 0.12), "at the null"),
        (Estimate(0.3, 0.08, 0.5), "at the null"),
        (Estimate(0.3, 0.1, 0.5), "above the null"),
        (Estimate(0.95, 0.85, 0.99), "above the null"),
        (Estimate(0.97, 0.93, 0.99), "near the oracle"),
        (Estimate(-0.3, -0.4, -0.2), "below the null"),
        (Estimate(0.3, NAN, NAN), "undetermined"),
        (Estimate(NAN, NAN, NAN), "undetermined"),
    ],
)
def test_each_outcome_has_its_case(value, case):
    assert empirical.classify(value, NULL, ORACLE) == case


def test_an_undefined_null_decides_nothing():
    assert empirical.classify(Estimate(0.9, 0.8, 1.0), Estimate(NAN, NAN, NAN), ORACLE) == "undetermined"


@pytest.mark.parametrize(
    ("gradient", "seeds", "says"),
    [
        (0.0, 3, "cannot be told from that of permuted neurons"),
        (0.4, 3, "so they carry little of the true gradient"),
        (0.75, 3, "so they carry a part, not all, of the true gradient"),
        (0.99, 3, "nearly as the oracle (1.00) does"),
        (0.4, 1, "nothing can be concluded"),
    ],
)
def test_the_sentence_says_what_the_numbers_show(tmp_path, gradient, seeds, says):
    profile = synthetic.profile(environments=["LunarLanderContinuous-v3"], seeds=seeds)
    synthetic.write(profile, tmp_path, gradient=gradient)
    frame = empirical.last_snapshot(synthetic.read("gradients", "agreement", profile, tmp_path))
    result = empirical.empirical_value(
        profile, frame, synthetic.read("experiment1", "curves", profile, tmp_path)
    )
    sentence = result.sentence(profile)
    assert says in sentence
    assert sentence.startswith(f"EMPIRICALVALUE = {result.drafts['all'].value:.2f}")
    assert "Q-values correlate with the true ones at 0.9" in sentence
    assert sentence.endswith(".") and "\n" not in sentence and ". " not in sentence


def rows(**columns):
    base = {"environment": "a", "seed": 0, "step": 100, "reading": "drafts", "critic": "neuron",
            "granularity": "neuron", "layer": 1, "neuron": 0, "measure": "pearson", "value": 0.0}  # fmt: skip
    return pd.DataFrame({**base, **columns})


def test_the_value_is_the_median_over_neurons_then_the_mean_over_seeds_and_environments():
    profile = synthetic.profile(environments=["a", "b"], seeds=2)
    parts = [rows(environment=e, seed=s, neuron=range(3), value=values) for e, s, values in (
        ("a", 0, [0.0, 0.1, 0.9]), ("a", 1, [0.2, 0.2, 0.8]), ("b", 0, [0.5, 0.4, 0.3]), ("b", 1, [0.6, 0.6, 0.0]))
    ]  # fmt: skip
    estimate = empirical.pooled(profile, pd.concat(parts))
    assert estimate.value == pytest.approx(np.mean([0.1, 0.2, 0.4, 0.6]))
    over_environments = [(0.1 + 0.4) / 2, (0.2 + 0.6) / 2]  # of each seed
    expected = stats.ttest_1samp(over_environments, 0).confidence_interval()
    np.testing.assert_allclose([estimate.low, estimate.high], expected)


def test_undefined_neurons_are_left_out_and_undefined_environments_too():
    profile = synthetic.profile(environments=["a", "b"], seeds=2)
    frame = pd.concat([
        rows(seed=0, neuron=range(2), value=[0.4, NAN]), rows(seed=1, neuron=range(2), value=[0.6, NAN]),
        rows(environment="b", seed=0, neuron=range(1), value=NAN),
        rows(environment="b", seed=1, neuron=range(1), value=NAN),
    ])  # fmt: skip
    assert empirical.pooled(profile, frame).value == pytest.approx(0.5)
    assert np.isnan(empirical.pooled(profile, frame[frame["environment"] == "b"])).all()


def test_only_the_last_snapshot_of_each_seed_counts():
    frame = pd.concat([rows(step=[50, 100], value=[1.0, 2.0]), rows(seed=1, step=[50, 80], value=[3.0, 4.0])])
    assert list(empirical.last_snapshot(frame)["value"]) == [2, 4]


def test_the_output_layer_is_the_last_of_each_environment():
    frame = pd.concat([rows(layer=[1, 2, 3]), rows(environment="b", layer=[1, 2])])
    assert list(empirical.parts_of(frame, "output")) == [False, False, True, False, True]
    assert list(empirical.parts_of(frame, "hidden")) == [True, True, False, True, False]


def test_value_similarity_is_taken_at_the_last_snapshot_of_phase_1(recorded):
    profile, root = recorded
    frame = empirical.last_snapshot(synthetic.read("gradients", "agreement", profile, root))
    curves = synthetic.read("experiment1", "curves", profile, root)
    values = empirical.value_similarity(curves, frame, "output")
    assert len(values) == 9 and set(values["layer"]) == {3}
    one = values[(values["environment"] == "Pendulum-v1") & (values["seed"] == 0)]["value"].item()
    same = curves.query(
        "environment == 'Pendulum-v1' and seed == 0 and method == 'phase1' and metric == 'similarity/neurons_3/pearson'"
    )
    assert one == same.sort_values("step")["value"].iloc[-1]


def test_the_table_has_median_quartiles_and_interval_for_every_measure(recorded):
    profile, root = recorded
    frame = empirical.last_snapshot(synthetic.read("gradients", "agreement", profile, root))
    table = agreement.summary(profile, frame)
    one = table.query(
        "environment == 'Pendulum-v1' and reading == 'drafts' and critic == 'neuron' and granularity == 'neuron'"
        " and part == 'hidden' and measure == 'cosine'"
    ).iloc[0]
    chosen = frame.query(
        "environment == 'Pendulum-v1' and reading == 'drafts' and critic == 'neuron' and granularity == 'neuron'"
        " and layer < 3 and measure == 'cosine'"
    ).groupby("seed")["value"]
    assert one["median"] == pytest.approx(chosen.median().mean())
    assert one["quartile_3"] == pytest.approx(chosen.quantile(0.75).mean())
    assert one["low"] <= one["median"] <= one["high"]
    assert (one["values"], one["seeds"]) == (16, 3)


def test_a_permutation_of_one_neuron_is_undefined_and_said_so(recorded):
    profile, root = recorded
    table = agreement.summary(
        profile, empirical.last_snapshot(synthetic.read("gradients", "agreement", profile, root))
    )
    one = table.query(
        "environment == 'Pendulum-v1' and reading == 'permuted' and granularity == 'neuron' and part == 'output'"
        " and measure == 'pearson'"
    ).iloc[0]
    assert np.isnan(one["median"]) and one["undefined"] == 3 and one["seeds"] == 0


def test_empirical_value_json_holds_the_number_its_interval_and_its_controls(recorded, one_format):
    profile, root = recorded
    path = next(path for path in agreement.make(profile, root) if path.suffix == ".json")
    data = json.loads(path.read_text())
    assert data["low"] <= data["value"] <= data["high"]
    assert data["parts"]["output"]["value"] > data["parts"]["hidden"]["value"]
    assert data["controls"]["oracle"]["all"]["value"] == 1
    assert set(data["controls"]) == {"oracle", "permuted", "untrained", "random_direction"}
    assert data["better"]["regression"]["all"]["value"] > data["better"]["neuron_noise"]["all"]["value"]
    assert data["q_value_similarity"]["all"]["value"] > 0.9
    estimates = [data, data["controls"]["permuted"]["all"], data["controls"]["oracle"]["all"]]
    estimates = [Estimate(entry["value"], entry["low"], entry["high"]) for entry in estimates]
    assert data["case"] == empirical.classify(*estimates)
    assert data["sentence"].startswith("EMPIRICALVALUE = ")


def test_a_reading_without_the_output_layer_counts_none_of_its_layers_as_output():
    rows = pd.DataFrame(
        [
            {"environment": "E", "seed": seed, "step": 1, "reading": reading, "critic": critic, "granularity": "neuron",
             "layer": layer, "neuron": 0, "measure": "pearson", "value": layer / 10}
            for seed in (0, 1)
            for reading, critic, depth in (
                ("drafts", "neuron", 3), ("permuted", "neuron", 2), ("untrained", "neuron", 3), ("oracle", "oracle", 3)
            )
            for layer in range(1, depth + 1)
        ]
    )  # fmt: skip
    profile = profiles.parse(
        {"profile": "p", "seeds": 2, "environments": ["Pendulum-v1"], "methods": [{"algorithm": "ddpg"}]}
    )
    curves = pd.DataFrame(columns=["environment", "method", "seed", "step", "metric", "value"])
    found = empirical.empirical_value(profile, rows.assign(environment="Pendulum-v1"), curves).controls[
        "permuted"
    ]
    assert found["hidden"].value == pytest.approx(0.15)
    assert np.isnan(found["output"].value)
