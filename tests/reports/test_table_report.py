import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy import stats as scipy_stats

from subcritic.reporting import records
from subcritic.studies.table import lillicrap
from subcritic.studies.table import report as table

ROLES = {"ddpg": "backpropagation", "linear": "local"}


@pytest.fixture
def frames():
    profile = synthetic.profile(environments=["a", "b"])
    runs = {("a", "ddpg"): [0.0, 50.0, 100.0], ("a", "linear"): [-10.0, 0.0, 40.0],
            ("b", "ddpg"): [5.0, 6.0, 7.0], ("b", "linear"): [8.0, 9.0, 6.0]}  # fmt: skip
    scores = pd.DataFrame([
        {"environment": environment, "method": method, "role": ROLES[method], "seed": seed, "score": score, "steps": 1000,
         "diverged_at": 600 if (method, seed) == ("linear", 2) else np.nan}
        for (environment, method), values in runs.items() for seed, score in enumerate(values)
    ])  # fmt: skip
    anchors = pd.DataFrame({
        "environment": ["a", "b"], "random_mean": [-100.0, 0.0], "random_standard_error": [2.0, 1.0],
        "random_episodes": [20, 20], "reference_return": [100.0, np.nan], "reference_source": ["a paper", ""],
    }).set_index("environment")  # fmt: skip
    return profile, scores, anchors


def row(result, environment, method):
    return result[(result["environment"] == environment) & (result["method"] == method)].iloc[0]


def test_average_best_and_interval_are_over_seeds(frames):
    result = row(table.results(*frames), "a", "ddpg")
    assert (result["average"], result["best"], result["seeds"]) == (50, 100, 3)
    failed = -100.0  # as the random policy
    expected = scipy_stats.ttest_1samp([0.0, 50.0, 100.0, failed], 0).confidence_interval()
    np.testing.assert_allclose([result["low"], result["high"]], expected, atol=1e-9)


def test_random_scores_zero_and_the_reference_one(frames):
    _, _, anchors = frames
    np.testing.assert_allclose(table.normalise(np.array([-100.0, 0.0, 100.0]), anchors.loc["a"]), [0, 0.5, 1])
    assert row(table.results(*frames), "a", "ddpg")["normalised_average"] == pytest.approx(0.75)


def test_without_a_reference_only_the_raw_score_is_given(frames):
    result = row(table.results(*frames), "b", "ddpg")
    assert np.isnan(result["normalised_average"]) and result["average"] == 6
    assert result["note"] == "no reference return: raw only"


@pytest.mark.parametrize(
    ("reference", "clear"), [(-89.0, True), (-91.0, False), (-100.0, False), (-120.0, False)]
)
def test_a_reference_within_five_standard_errors_of_random_is_no_reference(frames, reference, clear):
    _, _, anchors = frames
    anchor = anchors.loc["a"].copy()
    anchor["reference_return"] = reference
    assert (table.why_raw_only(anchor) == "") == clear
    assert np.isfinite(table.normalise(np.array([0.0]), anchor)).all() == clear


def test_diverged_runs_are_counted_and_stay_in_the_average(frames):
    result = row(table.results(*frames), "a", "linear")
    assert result["diverged"] == 1
    assert result["average"] == pytest.approx(10)


def test_aggregates_are_scipys_on_what_can_be_compared(frames):
    profile, scores, anchors = frames
    result = table.aggregate(profile, scores, anchors).set_index(["method", "statistic"])
    mean = result.loc[("ddpg", "interquartile_mean")]
    assert mean["value"] == pytest.approx(scipy_stats.trim_mean([0.5, 0.75, 1.0], 0.25))
    assert mean["environments"] == 1
    better = result.loc[("linear", "probability_of_improvement_over_ddpg")]
    us = [scipy_stats.mannwhitneyu([-10, 0, 40], [0, 50, 100], method="asymptotic").statistic,
          scipy_stats.mannwhitneyu([8, 9, 6], [5, 6, 7], method="asymptotic").statistic]  # fmt: skip
    assert better["value"] == pytest.approx(np.mean(us) / 9)
    assert 0 <= better["low"] <= better["value"] <= better["high"] <= 1 and better["environments"] == 2


def test_the_reference_table_is_labelled_and_never_mixed_with_results(recorded):
    profile, root = recorded
    text = next(path for path in table.make(profile, root) if path.suffix == ".md").read_text()
    results, reference = text.split("## Reference: Table 1 of Lillicrap et al. 2016")
    assert "not results of this project" in reference
    assert "cartpoleBalance" in reference and "cartpoleBalance" not in results
    assert "Pendulum-v1 (related, not the same task)" in reference


def test_lillicraps_table_has_26_rows_and_the_published_numbers():
    reference = lillicrap.reference().set_index("environment")
    assert reference.shape == (26, 6)
    assert reference.loc["cheetah", "lowd_average"] == 0.903


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ("Pendulum-v1", ("pendulum", "related, not the same task")),
        ("CartpoleBalance-v0", ("cartpoleBalance", "same name")),
        ("subcritic-gripper-v0", ("gripper", "same name")),
        ("LunarLanderContinuous-v3", None),
    ],
)
def test_environments_correspond_by_name_or_are_called_related(environment, expected):
    assert lillicrap.correspondence(environment) == expected


def test_anchors_without_reference_are_read_as_nan(recorded):
    anchors = records.anchors(*recorded)
    assert np.isnan(anchors.loc["LunarLanderContinuous-v3", "reference_return"])
    assert anchors.loc["Pendulum-v1", "reference_return"] == -152
