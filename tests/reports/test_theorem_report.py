"""The table and figure of Theorem 2.2.4."""

import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy import stats

from subcritic.studies.theorem import report as theorem


@pytest.fixture(scope="module")
def tables(recorded):
    profile, root = recorded
    frame = synthetic.read("theorem", "theorem", profile, root)
    return profile, frame, theorem.summary(profile, frame)


def test_every_row_of_the_table_is_the_mean_over_seeds_with_its_interval(tables):
    _, frame, table = tables
    one = table.query("environment == 'Pendulum-v1' and reading == 'aliased' and layer == 2")
    one = one[one.measure == "relative_difference_per_state"].iloc[0]
    values = frame.query("environment == 'Pendulum-v1' and reading == 'aliased' and layer == 2")
    values = values[values.measure == "relative_difference_per_state"].value
    assert one["value"] == pytest.approx(values.mean())
    np.testing.assert_allclose(
        one[["low", "high"]].astype(float), stats.ttest_1samp(values, 0).confidence_interval()
    )
    assert (one["seeds"], one["undefined"]) == (3, 0)


def test_the_exponent_is_the_slope_of_the_logarithms(tables):
    _, frame, table = tables
    exact = table[table.measure == "exponent"]
    assert len(exact) == 9
    np.testing.assert_allclose(exact["value"], -0.5, atol=1e-12)
    slower = frame.assign(
        value=frame.value.where(~frame.measure.str.startswith(theorem.MEAN), frame.value**0.5)
    )
    np.testing.assert_allclose(theorem.exponents(slower)["value"], -0.25, atol=1e-12)


def test_a_seed_without_a_true_gradient_is_counted_and_left_out(tables):
    profile, frame, _ = tables
    chosen = (frame.reading == "do") & (frame.layer == 1) & (frame.seed == 0)
    table = theorem.summary(profile, frame.assign(value=frame.value.mask(chosen)))
    rows = table[(table.reading == "do") & (table.layer == 1)]
    assert set(rows["seeds"]) == {2} and set(rows["undefined"]) == {1}
    assert np.isfinite(rows["value"]).all()


def test_the_differences_hold_every_reading_once_per_environment_and_layer(tables):
    _, _, table = tables
    rows = theorem.differences(table)
    assert list(rows["reading"].unique()) == list(theorem.READINGS)
    assert not rows.duplicated(["environment", "reading", "layer"]).any()
    assert len(rows) == 3 * 3 * len(theorem.READINGS)


def test_the_page_says_which_readings_hold(tables):
    profile, _, table = tables
    lines = theorem.markdown(profile, table).splitlines()
    row = next(line for line in lines if "Pendulum-v1" in line and theorem.READINGS["opposite_slope"] in line)
    assert row.count("2.00 [2.00, 2.00]") == 3
    row = next(line for line in lines if "Pendulum-v1" in line and theorem.READINGS["one_step"] in line)
    assert row.count("1.00 [1.00, 1.00]") == 2
    assert sum("| exponent" in line for line in lines) == 3


def test_a_seed_alone_draws_and_says_that_it_has_no_interval(tmp_path):
    profile = synthetic.profile(environments=["Pendulum-v1"], seeds=1)
    synthetic.write(profile, tmp_path)
    drawn = theorem.figure(
        profile, theorem.summary(profile, synthetic.read("theorem", "theorem", profile, tmp_path))
    )
    assert "none, from one seed" in drawn.get_supxlabel()
    assert len(drawn.axes) == 2
    marks = [line.get_xdata()[0] for line in drawn.axes[0].lines if line.get_marker() == "D"]
    assert len(marks) == 3 * len(theorem.READINGS) and min(marks) >= theorem.ZERO
    assert pd.Series(marks).between(1.99, 2.01).sum() == 3
