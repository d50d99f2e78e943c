import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy import stats as scipy_stats

from subcritic import config, profiles
from subcritic.config import parse_method
from subcritic.reporting import records
from subcritic.reporting.estimates import difference
from subcritic.reporting.normalise import normalise, why_raw_only
from subcritic.reporting.verdicts import tasks, verdicts
from subcritic.studies.table import aggregates, drawing, lillicrap, published, results
from subcritic.studies.table import report as table


def row(result, environment, method):
    return result[(result["environment"] == environment) & (result["method"] == method)].iloc[0]


def test_average_best_and_interval_are_over_seeds(frames):
    result = row(results.results(*frames), "a", "ddpg")
    assert (result["average"], result["best"], result["seeds"]) == (50, 100, 3)
    failed = -100.0  # as the random policy
    expected = scipy_stats.ttest_1samp([0.0, 50.0, 100.0, failed], 0).confidence_interval()
    np.testing.assert_allclose([result["low"], result["high"]], expected, atol=1e-9)


def test_a_run_in_which_the_environment_failed_does_not_count_and_is_told(frames):
    profile, scores, anchors = frames
    scores["score"] = scores["score"].mask(
        (scores["environment"] == "b") & (scores["seed"] == 1) & (scores["method"] == "ddpg")
    )
    result = results.results(profile, scores, anchors)
    failed = row(result, "b", "ddpg")
    assert (failed["seeds"], failed["failed"], failed["average"], failed["best"]) == (2, 1, 6, 7)
    assert (row(result, "a", "ddpg")["seeds"], row(result, "a", "ddpg")["failed"]) == (3, 0)
    (shown,) = results.readable(result).query("environment == 'b' and method == 'ddpg'")["seeds"]
    assert shown == "2, environment failed for 1 more"
    # All methods are compared on the environments on which all runs have scores.
    over = aggregates.aggregate(profile, scores, anchors, "ddpg")
    improvement = over[over["statistic"].str.startswith("probability")].iloc[0]
    assert improvement["environments"] == 1 and improvement["value"] == pytest.approx(1.5 / 9)


def test_a_method_whose_runs_all_failed_has_no_score_and_is_no_reference(frames):
    profile, scores, anchors = frames
    lost = (scores["environment"] == "a") & (scores["method"] == "linear")
    failed = row(
        results.results(profile, scores.assign(score=scores["score"].mask(lost)), anchors), "a", "linear"
    )
    assert (failed["seeds"], failed["failed"]) == (0, 3)
    assert np.isnan([failed["average"], failed["best"], failed["normalised_best"]]).all()
    judged = pd.DataFrame(
        {
            "method": ["failed", "ddpg", "linear"],
            "return": [np.nan, 1.0, 2.0],
            "minus_reference": [np.nan, np.nan, 1.0],
        }
    )
    assert results.reference_in(judged) == "ddpg"


def test_one_seed_is_told_without_intervals_and_without_differences(suite):
    profile, scores, anchors, _, found = suite
    profile, scores = profiles.parse(config.dump(profile) | {"seeds": 1}), scores[scores["seed"] == 0]
    facts = {method.name: synthetic.facts(method) for method in profile.methods}
    judged = verdicts(profile, scores, anchors, facts)
    assert results.compared(judged, found, "ddpg", 0.95) == [
        "One seed has no intervals, and cannot tell two methods apart."
    ]
    said = results.wide_explanation(profile, "ddpg", found)
    assert said.startswith("Normalised score of one seed, without interval:") and results.BETTER not in said
    figure = drawing.scores_figure(profile, results.results(profile, scores, anchors), judged, found)
    assert figure.get_supxlabel().startswith("one seed: 0 random actions")
    assert "One seed has no intervals" in aggregates.explanation(profile)


def test_random_scores_zero_and_the_reference_one(frames):
    _, _, anchors = frames
    np.testing.assert_allclose(normalise(np.array([-100.0, 0.0, 100.0]), anchors.loc["a"]), [0, 0.5, 1])
    assert row(results.results(*frames), "a", "ddpg")["normalised_average"] == pytest.approx(0.75)


def test_without_a_reference_only_the_raw_score_is_given(frames):
    result = row(results.results(*frames), "b", "ddpg")
    assert np.isnan(result["normalised_average"]) and result["average"] == 6
    assert result["note"] == "no reference return: raw only"


@pytest.mark.parametrize(
    ("reference", "clear"), [(-89.0, True), (-91.0, False), (-100.0, False), (-120.0, False)]
)
def test_a_reference_within_five_standard_errors_of_random_is_no_reference(frames, reference, clear):
    _, _, anchors = frames
    anchor = anchors.loc["a"].copy()
    anchor["reference_return"] = reference
    assert (why_raw_only(anchor) == "") == clear
    assert np.isfinite(normalise(np.array([0.0]), anchor)).all() == clear


def test_diverged_runs_are_counted_and_stay_in_the_average(frames):
    result = row(results.results(*frames), "a", "linear")
    assert result["diverged"] == 1
    assert result["average"] == pytest.approx(10)


def test_the_reference_table_is_labelled_and_never_mixed_with_results(recorded):
    profile, root = recorded
    text = next(path for path in table.make(profile, root) if path.suffix == ".md").read_text()
    results, reference = text.split("## Reference: Table 1 of Lillicrap et al. 2016")
    assert "not results of this project" in reference
    assert "lowd average" in reference and "lowd average" not in results
    assert "Pendulum-v1 (related, not the same task)" in reference


def test_lillicraps_table_has_26_rows_and_the_published_numbers():
    reference = lillicrap.reference().set_index("environment")
    assert reference.shape == (26, 6)
    assert reference.loc["cheetah", "lowd_average"] == 0.903


def test_only_rows_of_table_1_that_correspond_to_an_environment_are_shown():
    assert list(lillicrap.beside(["Hopper-v5", "Pendulum-v1"])["environment"]) == ["hopper", "pendulum"]
    assert (
        lillicrap.markdown(["LunarLanderContinuous-v3"])
        == lillicrap.latex(["LunarLanderContinuous-v3"])
        == ""
    )


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ("Pendulum-v1", ("pendulum", "related, not the same task")),
        ("CartpoleBalance-v0", ("cartpoleBalance", "rebuilt from its description")),
        ("ReacherThreeFixed-v0", ("fixedReacher", "rebuilt from its description")),
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


def test_a_method_is_compared_with_the_reference_paired_by_seed_task_by_task(suite):
    _, _, _, judged, found = suite
    assert results.reference_in(judged) == "ddpg"
    frozen = next(text for text in results.compared(judged, found, "ddpg", 0.95) if text.startswith("frozen"))
    assert "need hidden layers" not in frozen, "these tasks were chosen by it"
    signs = {name: sign for (name, method), sign in results.marks(judged).items() if method == "rule"}
    assert signs == {"ReacherOneFixed-v0": results.BETTER, "ReacherOneRandom-v0": results.WORSE}
    sentence = next(text for text in results.compared(judged, found, "ddpg", 0.95) if text.startswith("rule"))
    assert sentence == (
        "rule against ddpg, of 13 tasks: better on 1 (ReacherOneFixed-v0), worse on 1 (ReacherOneRandom-v0), not told apart "
        "on 11; on the 5 that need hidden layers, worse on 1."
    )


@pytest.mark.parametrize(
    ("seeds", "confidence", "few"), [(3, 0.95, True), (4, 0.95, False), (3, 0.9, False), (2, 0.9, True)]
)
def test_too_few_seeds_to_tell_methods_apart_are_said_for_the_confidence_asked_for(
    suite, seeds, confidence, few
):
    profile, scores, anchors, _, found = suite
    data = config.dump(profile) | {"seeds": seeds, "statistics": {"confidence": confidence}}
    profile, scores = profiles.parse(data), scores[scores["seed"] < seeds]
    facts = {method.name: synthetic.facts(method) for method in profile.methods}
    judged = verdicts(profile, scores, anchors, facts)
    said = results.compared(judged, found, "ddpg", confidence)
    assert (len(said) == 1 and said[0].startswith(f"{seeds} seeds cannot tell two methods apart")) == few


def test_many_tasks_get_a_row_each_those_that_need_hidden_layers_first_with_lillicraps_numbers(suite):
    profile, scores, anchors, judged, found = suite
    rows = results.wide(results.results(profile, scores, anchors), judged, found)
    assert set(rows["environment"][:5]) == set(found.loc[found["tells_apart"], "environment"])
    first = rows.set_index("environment").loc["ReacherOneFixed-v0"]
    assert first["theirs, lowd"] == "0.95 (1.00)" and first["rule"].endswith("▲")
    single = (
        scores[(scores["environment"] == "ReacherOneFixed-v0") & (scores["method"] == "rule")]["score"] / 100
    )
    assert first["rule"].startswith(f"{single.mean():.2f} [")


def test_the_figure_of_many_tasks_says_every_score_and_marks_differences(suite):
    profile, scores, anchors, judged, found = suite
    table_rows = results.results(profile, scores, anchors)
    (axes,) = drawing.scores_figure(profile, table_rows, judged, found).axes
    said = [text.get_text() for text in axes.texts]
    assert sum(text.endswith("▲") for text in said) == 1
    assert len(axes.patches) == 13 * 4
    assert f"{axes.get_yticklabels()[0].get_text()}-v0" in set(found["environment"][:5])


def test_where_there_is_no_score_the_return_is_drawn_in_a_panel_of_its_own(frames):
    profile, scores, anchors = frames
    figure = drawing.bars(profile, results.results(profile, scores, anchors))
    scored, raw = figure.axes
    assert "normalised score" in scored.get_xlabel() and "return (no reference return" in raw.get_xlabel()
    assert 6 in [line.get_xdata()[0] for line in raw.lines if line.get_marker() == "D"]
    assert "random" in [text.get_text() for text in raw.texts]
    anchors = anchors.assign(reference_return=np.nan)
    assert len(drawing.bars(profile, results.results(profile, scores, anchors)).axes) == 2
    shares = aggregates.profiles(profile, scores, anchors, np.array([0.0, 0.5]))
    alone = aggregates.aggregate(profile, scores, anchors, None, [])
    figure = drawing.aggregates_figure(profile, alone, shares)
    assert not figure.axes and "No environment has a reference" in figure.texts[0].get_text()


def test_with_three_seeds_no_count_is_made_of_methods_that_cannot_be_told_apart():
    profile = synthetic.profile()
    for differences, seeds in ((np.ones(3), 3), (np.full(4, 0.5), 4)):
        found = difference(differences, np.zeros(seeds), profile)
        judged = pd.DataFrame({
            "environment": "a", "method": ["ddpg", "linear"], "control": [None, None], "runs": seeds,
            "minus_reference": [np.nan, found.value], "minus_reference_low": [np.nan, found.low],
            "minus_reference_high": [np.nan, found.high],
        })  # fmt: skip
        found = pd.DataFrame({"environment": ["a"], "tells_apart": False})
        (said,) = results.compared(judged, found, "ddpg", 0.95)
        expected = (
            "3 seeds cannot tell two methods apart"
            if seeds == 3
            else "linear against ddpg, of 1 tasks: better on 1"
        )
        assert said.startswith(expected)


def test_what_is_the_same_for_several_methods_is_said_once():
    rows = pd.DataFrame([
        {"environment": task, "method": method, "normalised_average": value}
        for task in "ab" for method, value in (("ddpg", 1.0), ("linear", 0.0), ("random", -0.1))
    ])  # fmt: skip
    assert results.reached(rows) == [
        "ddpg reaches 0.5 or more on 2 of 2 tasks.",
        "linear, random reach 0.5 or more on 0 of 2 tasks; below 0.1: a, b.",
    ]


def test_published_returns_stand_beside_ours_on_tasks_of_the_same_name_and_no_others():
    names = ["HalfCheetah-v5", "InvertedPendulum-v5", "Pendulum-v1", "Cheetah-v0"]
    ours = pd.DataFrame([
        {"environment": name, "method": method, "average": average, "low": average - 10, "high": average + 10}
        for name in names for method, average in (("ddpg", 5000.0), ("linear", 70.0))
    ])  # fmt: skip
    rows = published.beside(ours)
    assert list(rows["environment"]) == ["HalfCheetah-v5", "InvertedPendulum-v5"]
    assert list(rows.iloc[0][1:]) == [
        "5000 [4990, 5010]", "70.0 [60.0, 80.0]", "6308 ± 1011", "5336 ± 539", "6515 ± 514"
    ]  # fmt: skip
    assert list(rows.iloc[1][["TD3, Tianshou", "SAC, Tianshou"]]) == ["n/a", "n/a"]
    one_seed = ours.assign(low=np.nan, high=np.nan)
    assert published.beside(one_seed)["ddpg"].tolist() == ["5000", "5000"]
    assert published.markdown(ours[ours["environment"] == "Pendulum-v1"]) == ""
    assert "not results of this project" in published.markdown(ours)


def test_without_a_frozen_twin_nothing_is_said_of_hidden_layers(suite):
    profile, scores, anchors, _, _ = suite
    fewer = profile.model_copy(update={"methods": tuple(m for m in profile.methods if m.name != "frozen")})
    facts = {method.name: synthetic.facts(method) for method in fewer.methods}
    judged = verdicts(fewer, scores[scores["method"] != "frozen"], anchors, facts)
    found = tasks(judged, facts, {e.name: 1 for e in fewer.environments})
    rows = results.results(fewer, scores, anchors)
    assert "hidden layers" not in results.wide(rows, judged, found)
    assert "frozen" not in results.wide_explanation(fewer, "ddpg", found)
    figure = drawing.scores_figure(fewer, rows, judged, found)
    assert "hidden" not in "".join(text.get_text() for axes in figure.axes for text in axes.texts)
    assert "frozen" not in figure.get_supxlabel()


def test_what_crosses_layers_says_how_convolutions_learn():
    plain = synthetic.facts(parse_method({"algorithm": "learned_feedback"}))
    encoder = {"encoder": {"trained": "by_critic"}}
    seeing = plain | {"settings": plain["settings"] | encoder}
    shown = table.methods({"plain": plain, "seeing": seeing})
    assert list(shown["method"]) == ["plain", "seeing"]
    assert list(shown["crosses layers"]) == [
        "a vector",
        "a vector; convolutions by the critic's backpropagated error alone",
    ]
