"""The report on scaling says what the numbers show."""

import numpy as np
import pandas as pd
import pytest
import synthetic

from subcritic.studies.gradients import readings
from subcritic.studies.scaling import report as scaling


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    root = tmp_path_factory.mktemp("scaling")
    profile = synthetic.profile(
        environments=["Pendulum-v1"], scaling={"widths": [8, 16, 32], "width": 16, "noise_scales": [0.1, 0.3]}
    )
    return profile, synthetic.write(profile, root)


def test_the_crossing_is_interpolated_in_log_draws():
    rows = pd.DataFrame({"draws": [100, 10_000], "value": [0.8, 1.0]})
    assert scaling.crossing(rows) == pytest.approx(1000)
    assert scaling.crossing(rows.assign(value=[0.95, 1.0])) == pytest.approx(100)
    assert np.isinf(scaling.crossing(rows.assign(value=[0.5, 0.89])))


def test_the_draws_follow_from_the_noise_of_single_draws():
    """1/√(1 + c/N) = 0.9."""
    noise = 40.0
    assert 1 / np.sqrt(1 + noise / (noise * scaling.PER_NOISE)) == pytest.approx(0.9)


def test_the_exponents_are_those_the_draws_were_made_with(recorded):
    profile, root = recorded
    frame = synthetic.read("scaling", "scaling", profile, root)
    frame["layer"] = ["actor" if pd.isna(layer) else f"layer {int(layer)}" for layer in frame["layer"]]
    slopes = scaling.slopes_table(profile, frame)
    main = slopes[(slopes.estimator == "antithetic") & (slopes.environment == "all")].set_index(
        ["actor_steps", "layer"]
    )
    assert main.loc[(0, "actor"), "slope"] == pytest.approx(1, abs=0.15)
    assert main.loc[(100, "actor"), "slope"] == pytest.approx(2, abs=0.15)


def test_the_page_says_what_the_numbers_say(recorded, one_format):
    profile, root = recorded
    paths = scaling.make(profile, root)
    text = next(path for path in paths if path.name == "scaling.md").read_text()
    assert "fit the Q-values of the draws they learned from at a correlation of 0.98" in text
    assert "more than in proportion" in text
    assert "> 65,536" in text, "a width that did not get there says so"


def test_the_short_table_has_every_reading_in_order_and_says_what_chance_gives(recorded):
    profile, root = recorded
    rows = readings.table(profile, synthetic.read("gradients", "agreement", profile, root))
    assert list(rows["reading"].unique()) == list(readings.READINGS)
    shown = readings.readable(rows).set_index("reading")
    assert shown.index[0] == "**the drafts' reading**"
    assert shown.loc["random direction", "expected"].startswith("0 ± 0.1")
    assert shown.loc["permuted neurons", "neurons, output"] == "", "one output neuron has no permutation"
    assert shown.loc["oracle", "whole actor"].startswith("1.00")
    assert shown.loc["regression on the true ∂Q/∂h", "Q-values"] == "", "it has no values"
