"""What the ablation's table says, and that the answer follows from it, whatever it is."""

from typing import get_args

import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy import stats

from subcritic import config
from subcritic.config import LocalSettings, parse_method
from subcritic.reporting import records
from subcritic.studies.ablation import diagnostics, methods
from subcritic.studies.ablation import report as ablation
from subcritic.studies.ablation.answer import MATCHED, answer, floor_of, verdict
from subcritic.studies.ablation.settings import environments_of
from subcritic.studies.lab_book import publish as publishing
from subcritic.studies.lab_book import report as lab_book


def facts(profile):
    return {method.name: synthetic.facts(method) for method in profile.ablation.methods}


@pytest.fixture(scope="module")
def tables(recorded):
    profile, root = recorded
    scores, curves = (
        synthetic.read("ablation", "scores", profile, root),
        synthetic.read("ablation", "curves", profile, root),
    )
    anchors = records.anchors(profile, root, environments_of(profile))
    table = ablation.summary(profile, scores, curves, anchors, facts(profile))
    return profile, scores, curves, anchors, table


def test_every_global_critic_has_its_words():
    for critic in get_args(LocalSettings.model_fields["critic"].annotation):
        said = methods.describe(
            synthetic.facts(parse_method({"algorithm": "node_perturbation", "critic": critic}))
        )
        assert said["global critic"] == methods.CRITICS[critic] != methods.NONE


def test_rows_are_sorted_by_the_interquartile_mean_which_is_scipys(tables):
    _, scores, _, anchors, table = tables
    assert list(table["method"]) == [
        "ddpg",
        "node-perturbation",
        "feedback-alignment",
        "random-direction",
        "linear",
    ]
    anchor = anchors.loc["Pendulum-v1"]
    raw = scores[scores["method"] == "linear"]["score"]
    normalised = (raw - anchor["random_mean"]) / (anchor["reference_return"] - anchor["random_mean"])
    row = table.set_index("method").loc["linear"]
    assert row["iqm"] == pytest.approx(stats.trim_mean(normalised, 0.25))
    assert row["Pendulum-v1"] == pytest.approx(normalised.mean())
    assert row["Pendulum-v1/worst"] == pytest.approx(normalised.min())
    assert row["low"] <= row["iqm"] <= row["high"]


def test_environments_that_ddpg_does_not_learn_do_not_count(tables):
    profile, scores, curves, anchors, _ = tables
    assert ablation.learned(profile, scores, anchors) == ["Pendulum-v1"]
    lost = scores.assign(score=scores["score"].where(scores["method"] != "ddpg", -1222.0))
    assert ablation.learned(profile, lost, anchors) == []
    table = ablation.summary(profile, lost, curves, anchors, facts(profile))
    assert table["iqm"].notna().all(), "with none learned, all that are normalised count"


def test_the_cosine_is_the_mean_over_training(tables):
    *_, table = tables
    assert table.set_index("method").loc["node-perturbation", "cosine"] == pytest.approx(0.45)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"algorithm": "linear"}, methods.NOTHING),
        ({"algorithm": "compatible", "exploration": "neuron"}, methods.NOTHING),
        ({"algorithm": "compatible", "target": "global_td"}, methods.SCALAR),
        ({"algorithm": "compatible", "replay": "imagined"}, methods.SCALAR),
        ({"algorithm": "node_perturbation"}, methods.SCALAR),
        ({"algorithm": "feedback_alignment"}, methods.VECTOR),
        ({"algorithm": "random_direction"}, methods.NOTHING),
    ],
)
def test_what_crosses_layers_is_what_the_rule_receives(settings, expected):
    assert methods.crosses(synthetic.facts(parse_method(settings))) == expected


ROLES = {"ddpg": "backpropagation", "random_direction": "control"}


def made(**rules):
    """A table of rules: name=(what crosses, iqm, low, high), beside DDPG at 1.0 and a random direction at 0 ± 0.05."""
    rows = {
        "ddpg": (methods.ERROR, 1.0, 0.9, 1.1),
        "random_direction": (methods.NOTHING, 0.0, -0.05, 0.05),
    } | rules
    return pd.DataFrame([
        {"method": name, "order": order, "algorithm": name, "role": ROLES.get(name, "local"),
         "crosses layers": crossing, "iqm": iqm, "low": low, "high": high,
         "diverged": 0, "runs": 3, "cosine": iqm / 2}
        for order, (name, (crossing, iqm, low, high)) in enumerate(rows.items())
    ])  # fmt: skip


GOOD, SOME, WIDE, BAD = (0.95, 0.9, 1.0), (0.5, 0.4, 0.6), (0.4, -0.1, 0.9), (0.01, -0.02, 0.04)
POOR = {"a": (methods.NOTHING, *BAD)}


@pytest.mark.parametrize(
    ("rules", "case", "words"),
    [
        ({"a": (methods.NOTHING, *GOOD)}, methods.NOTHING, ["yes: the one rule, a, reaches 0.95", "nothing has to cross"]),
        (POOR | {"b": (methods.SCALAR, *GOOD)}, methods.SCALAR, ["no: the one rule, a,", "one broadcast scalar has to"]),
        (POOR | {"b": (methods.VECTOR, *GOOD)}, methods.VECTOR, ["a broadcast vector has to cross"]),
        (POOR | {"b": (methods.SCALAR, *SOME)}, "in part", ["improves the whole policy", "no rule tried reaches 90 %"]),
        (POOR | {"b": (methods.SCALAR, *WIDE)}, "no", ["it is not shown", "do not show that the whole policy"]),
        (POOR, "no", ["does not exceed moving at random", "none of the rules tried"]),
    ],
)  # fmt: skip
def test_the_answer_follows_from_the_numbers(rules, case, words):
    found = answer(made(**rules), ["Pendulum-v1"])
    assert found["case"] == case
    assert (
        "Pendulum-v1, which DDPG learns: DDPG, with backpropagation, 1.00 [0.90, 1.10]" in found["sentence"]
    )
    for text in words:
        assert text in found["sentence"]


def test_the_best_of_a_group_speaks_for_it_and_the_group_is_counted():
    table = made(a=(methods.NOTHING, *BAD), b=(methods.NOTHING, *SOME), c=(methods.NOTHING, *BAD))
    found = answer(table, ["Pendulum-v1"])
    assert (
        "the best of 3 rules, b, improves the whole policy, to 0.50 [0.40, 0.60], 50 % of DDPG's"
        in found["sentence"]
    )
    assert found["verdicts"] == {methods.NOTHING: "improves"}


def test_where_ddpg_learns_nothing_nothing_is_answered():
    found = answer(made(**POOR), [])
    assert found["case"] == "untested" and "cannot be told" in found["sentence"]


def test_a_rule_whose_runs_were_mostly_stopped_diverges_however_it_scores():
    row = made(a=(methods.NOTHING, *GOOD)).iloc[-1].to_dict()
    assert verdict(row, 0.05, 1.0) == "works"
    assert verdict(row | {"diverged": 1}, 0.05, 1.0) == "works"
    assert verdict(row | {"diverged": 2}, 0.05, 1.0) == "diverges"
    table = made(a=(methods.NOTHING, *GOOD))
    table["diverged"] = [0, 0, 3]
    assert "no: most runs diverge" in answer(table, ["Pendulum-v1"])["sentence"]


def test_the_threshold_of_matching_is_what_it_says():
    row = {"iqm": MATCHED, "low": 0.5, "high": 1.0, "diverged": 0, "runs": 3}
    assert verdict(row, 0.05, 1.0) == "works"
    assert verdict(row | {"iqm": MATCHED - 1e-6}, 0.05, 1.0) == "improves"


def test_nothing_works_by_matching_a_ddpg_that_does_not_learn():
    row = {"iqm": 0.2, "low": 0.1, "high": 0.3, "diverged": 0, "runs": 3}
    assert verdict(row, 0.05, 0.0) == "improves"
    assert verdict(row, 0.05, float("nan")) == "improves"


def test_the_floor_is_the_upper_end_of_the_random_direction_but_at_least_the_random_policy():
    assert floor_of(made()) == 0.05
    assert floor_of(made().assign(high=-1.0)) == 0.0
    assert floor_of(made().iloc[:1]) == 0.0


def test_one_seed_has_no_interval_and_still_an_answer():
    table = made(b=(methods.SCALAR, *GOOD)).assign(low=np.nan, high=np.nan)
    assert answer(table, ["Pendulum-v1"])["case"] == methods.SCALAR


def test_the_figure_names_every_method_and_what_crosses_layers(tables):
    profile, *_, table = tables
    axes, words = ablation.figure(profile, table).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == list(table["method"])
    written = [text.get_text() for text in words.texts]
    assert {"1 scalar", "a vector", "nothing", "full error", "crosses layers"} <= set(written)


def test_diagnostics_show_ddpg_the_drafts_rule_and_the_best_local_one(tables):
    profile, _, curves, _, table = tables
    assert ablation.shown(table) == ["ddpg", "linear", "node-perturbation"]
    figure = diagnostics.figure(profile, curves, ablation.shown(table))
    titles = [axes.get_title("left") for axes in figure.axes if axes.get_title("left")]
    assert titles == ["ddpg, Pendulum-v1", "linear", "node-perturbation"]
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert any("saturated" in label for label in labels) and any("entropy" in label for label in labels)


def test_an_attempt_is_told_by_what_it_changes():
    shared = {"hidden": [8, 8], "noise_scale": 0.3}
    profile = synthetic.profile(ablation={"methods": [
        {"algorithm": "ddpg", **shared},
        {"algorithm": "compatible", **shared},
        {"algorithm": "compatible", "name": "loud", "exploration": "neuron", "optimiser": "adam", **shared},
        {"algorithm": "node_perturbation", "draws": 4, **shared},
    ]})  # fmt: skip
    every = facts(profile)
    shared = lab_book.common(every)
    assert [lab_book.changes(method, shared) for method in every.values()] == [
        {}, {}, {"exploration": "neuron", "optimiser": "adam"}, {"draws": 4},
    ]  # fmt: skip
    assert shared["noise_scale"] == 0.3
    assert lab_book.in_words({"noise_scale": 0.25, "hidden": [8, 8]}) == "noise scale 0.25, hidden 8-8"


def test_the_lab_book_holds_every_attempt_in_the_order_of_the_config(tables):
    profile, *_, table = tables
    found = lab_book.attempts(profile, table, facts(profile))
    assert list(found["attempt"]) == [method.name for method in profile.ablation.methods]
    verdicts = dict(zip(found["attempt"], found["verdict"], strict=True))
    assert verdicts == {"ddpg": "reference", "random-direction": "reference", "linear": "fails",
                        "node-perturbation": "works", "feedback-alignment": "improves"}  # fmt: skip
    text = lab_book.markdown(profile, found, facts(profile))
    assert text.startswith("5 attempts, each on Pendulum-v1 with seeds 0 to 2.")
    for method in profile.ablation.methods:
        assert f"| {method.name} " in text


def test_only_what_stands_between_the_markers_is_replaced(tmp_path):
    folder, docs = tmp_path / "published" / "tuning", tmp_path / "docs"
    folder.mkdir(parents=True)
    docs.mkdir()
    (folder / "lab_book.md").write_text("| attempt |\n")
    page = docs / "local-rules.md"
    page.write_text(f"# Before\n\n{publishing.BEGIN}\nold\n{publishing.END}\n\nafter\n")
    assert publishing.publish(None, tmp_path, folder, docs) == [page]
    once = page.read_text()
    assert once.startswith("# Before\n\n") and once.endswith("\n\nafter\n")
    assert "| attempt |" in once and "old" not in once and "(../published/tuning/ablation.png)" in once
    publishing.publish(None, tmp_path, folder, docs)
    assert page.read_text() == once
    page.write_text("no markers")
    with pytest.raises(records.MissingResult, match="must hold the lines"):
        publishing.publish(None, tmp_path, folder, docs)


def test_an_environment_the_profile_does_not_have_is_refused():
    with pytest.raises(config.ConfigError, match="'Nope' is not among"):
        synthetic.profile(ablation={"environments": ["Nope"]})


def test_a_second_method_with_backpropagation_is_no_local_rule():
    """Roles decide, not names: such a method is neither counted among the rules nor shown as one."""
    table = made(a=(methods.SCALAR, *SOME), td3=(methods.ERROR, 1.2, 1.1, 1.3))
    table.loc[table["method"] == "td3", "role"] = "backpropagation"
    found = answer(table, ["Pendulum-v1"])
    assert set(found["verdicts"]) == {methods.SCALAR} and "td3" not in found["sentence"]
    assert "DDPG, with backpropagation, 1.00 [0.90, 1.10]" in found["sentence"], "the first in the config"
    own = table.replace({"algorithm": {"ddpg": "my_agents:TD3"}, "method": {"random_direction": "still"}})
    sentence = answer(own, ["Pendulum-v1"])["sentence"]
    assert "TD3, with backpropagation" in sentence and "the control still 0.00" in sentence
    assert ablation.shown(table.sort_values("iqm", ascending=False)) == ["ddpg", "a"]
