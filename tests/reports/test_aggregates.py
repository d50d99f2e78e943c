import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy import stats as scipy_stats

from subcritic.reporting import documents
from subcritic.reporting.estimates import difference, over_environments
from subcritic.stats import probability_of_improvement
from subcritic.studies.table import aggregates, drawing, report, results


def test_aggregates_are_scipys_on_what_can_be_compared(frames):
    profile, scores, anchors = frames
    result = aggregates.aggregate(profile, scores, anchors, "ddpg").set_index(["method", "statistic"])
    # A single environment is judged by its mean, which the table has.
    assert ("ddpg", "interquartile_mean") not in result.index
    apart = result.loc[("linear", "mean_difference_to_ddpg")]
    paired = [(-10 - 0) / 200, (0 - 50) / 200, (40 - 100) / 200]
    assert apart["value"] == pytest.approx(np.mean(paired)) and apart["environments"] == 1
    # Student's t of the three seeds and one that shows no difference.
    ends = scipy_stats.ttest_1samp([*paired, 0.0], 0).confidence_interval()
    np.testing.assert_allclose([apart["low"], apart["high"]], ends)
    better = result.loc[("linear", "probability_of_improvement_over_ddpg")]
    us = [scipy_stats.mannwhitneyu([-10, 0, 40], [0, 50, 100], method="asymptotic").statistic,
          scipy_stats.mannwhitneyu([8, 9, 6], [5, 6, 7], method="asymptotic").statistic]  # fmt: skip
    assert better["value"] == pytest.approx(np.mean(us) / 9)
    assert 0 <= better["low"] <= better["value"] <= better["high"] <= 1 and better["environments"] == 2


def test_aggregates_over_tasks_that_need_hidden_layers_are_those_of_these_tasks_alone(suite):
    profile, scores, anchors, _, found = suite
    needing = list(found.loc[found["tells_apart"], "environment"])
    here = aggregates.aggregate(profile, scores, anchors, "ddpg", needing).set_index(["method", "statistic"])
    frozen = scores[(scores["method"] == "frozen") & scores["environment"].isin(needing)]["score"] / 100
    found_mean = here.loc[("frozen", f"interquartile_mean{aggregates.NEEDING}")]
    assert found_mean["value"] == pytest.approx(scipy_stats.trim_mean(frozen, 0.25))
    assert found_mean["environments"] == 5
    assert here.loc[("frozen", f"probability_of_improvement_over_ddpg{aggregates.NEEDING}"), "value"] == 0
    assert here.loc[("frozen", "probability_of_improvement_over_ddpg"), "value"] > 0


def test_where_there_is_one_environment_and_one_method_nothing_is_aggregated(frames):
    profile, scores, anchors = frames
    alone = aggregates.aggregate(profile, scores, anchors, None, [])
    assert aggregates.readable_aggregates(alone).empty
    # As it was published once.
    row = {
        "method": "ddpg",
        "statistic": "interquartile_mean",
        "value": 0.68,
        "low": 0.1,
        "high": 1.2,
        "seeds": 5,
    }
    before = pd.DataFrame([row | {"environments": count} for count in (1, 2)])
    (shown,) = aggregates.readable_aggregates(before).to_dict("records")
    assert shown == {"method": "ddpg", "interquartile mean, 2 environments": "0.68 [0.10, 1.20]"}


def test_a_method_has_all_its_aggregates_in_one_row(suite):
    profile, scores, anchors, _, found = suite
    needing = list(found.loc[found["tells_apart"], "environment"])
    shown = aggregates.readable_aggregates(aggregates.aggregate(profile, scores, anchors, "ddpg", needing))
    assert len(shown) == len(profile.methods)
    row = shown.set_index("method").loc["ddpg"]
    assert row["mean difference to ddpg, 13 environments"] == ""
    assert row["interquartile mean, the 5 that need hidden layers"] == "0.90 [0.89, 0.90]"


def test_a_mean_difference_is_that_of_the_means_over_tasks_paired_by_seed(suite):
    profile, scores, anchors, _, found = suite
    needing = list(found.loc[found["tells_apart"], "environment"])
    here = aggregates.aggregate(profile, scores, anchors, "ddpg", needing).set_index(["method", "statistic"])
    scaled = {
        name: scores[(scores["method"] == name) & scores["environment"].isin(needing)]
        .groupby("seed")["score"]
        .mean()
        / 100
        for name in ("frozen", "ddpg")
    }
    expected = difference(scaled["frozen"], scaled["ddpg"], profile)
    apart = here.loc[("frozen", f"mean_difference_to_ddpg{aggregates.NEEDING}")]
    np.testing.assert_allclose([apart["value"], apart["low"], apart["high"]], expected)
    assert apart["environments"] == 5 and apart["high"] < 0


def test_no_interval_is_made_of_a_statistic_that_no_seed_moves():
    """By chance, as with two seeds that win as many comparisons as they lose."""
    profile = synthetic.profile()
    ours, theirs = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    found = over_environments(profile, probability_of_improvement, ours, theirs, added=np.nan)
    assert found.value == 0.5 and np.isnan(found.low) and np.isnan(found.high)
    assert str(found) == "0.50"


def test_a_performance_profile_is_the_share_of_runs_above_each_score(suite):
    profile, scores, anchors, _, _ = suite
    shares = aggregates.profiles(profile, scores, anchors, np.array([0.0, 0.5, 2.0]))
    frozen = shares[shares["method"] == "frozen"].set_index("threshold")
    assert frozen.loc[[0.0, 0.5, 2.0], "share"].tolist() == [1.0, pytest.approx(8 / 13), 0.0]


def test_the_figure_of_aggregates_has_a_row_for_each_method_over_all_tasks_and_over_those_that_need_hidden_layers(
    suite,
):
    profile, scores, anchors, _, found = suite
    needing = list(found.loc[found["tells_apart"], "environment"])
    numbers = aggregates.aggregate(profile, scores, anchors, "ddpg", needing)
    shares = aggregates.profiles(profile, scores, anchors, np.array([0.0, 0.5, 1.0]))
    figure = drawing.aggregates_figure(profile, numbers, shares)
    left, difference_axes, middle, right = figure.axes
    diamonds = [line for line in left.lines if line.get_marker() == "D"]
    assert len(diamonds) == 2 * 4 and {line.get_markerfacecolor() for line in diamonds} >= {"white"}
    assert len([line for line in middle.lines if line.get_marker() == "D"]) == 2 * 3, (
        "not of the reference itself"
    )
    assert len([line for line in difference_axes.lines if line.get_marker() == "D"]) == 2 * 3
    assert (
        len(right.lines) == 4 and "13 tasks" in left.get_xlabel() and "the 5 that" in figure.get_supxlabel()
    )
    alone = aggregates.aggregate(profile, scores, anchors, None, [])
    assert len(drawing.aggregates_figure(profile, alone, shares).axes) == 2, "no reference to be better than"


def test_mlflow_gets_every_score_and_every_aggregate_that_there_is(frames, tmp_path):
    profile, scores, anchors = frames
    over = aggregates.aggregate(profile, scores, anchors, "ddpg")
    documents.write(tmp_path / "table.csv", results.results(profile, scores, anchors))
    documents.write(tmp_path / "aggregates.csv", over)
    found = report.metrics(tmp_path)
    # b has no reference, and so no score.
    assert {name for name in found if name.startswith("score/")} == {"score/ddpg/a", "score/linear/a"}
    assert found["score/ddpg/a"] == pytest.approx(0.75)
    rest = {name for name in found if not name.startswith("score/")}
    assert rest == {"mean_difference_to_ddpg/linear", "probability_of_improvement_over_ddpg/linear"}
    assert found["mean_difference_to_ddpg/linear"] == pytest.approx(-0.2)
