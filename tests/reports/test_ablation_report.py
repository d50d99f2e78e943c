"""What the ablation's tables say, and that the answer follows from them, whatever they are."""

from types import SimpleNamespace
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy import stats

from subcritic import config
from subcritic.config import LocalSettings, parse_method
from subcritic.reporting import methods, records
from subcritic.reporting.verdicts import (
    DIVERGES,
    LEARNS,
    MATCHED,
    MATCHES,
    NO_VERDICT,
    SAME,
    TELLS_APART,
    WORSE,
    control_of,
    tasks,
    verdict,
    verdicts,
)
from subcritic.studies import STUDIES
from subcritic.studies.ablation import diagnostics, drawing
from subcritic.studies.ablation import report as ablation
from subcritic.studies.ablation.answer import answer
from subcritic.studies.ablation.settings import environments_of
from subcritic.studies.lab_book import publish as publishing
from subcritic.studies.lab_book import report as lab_book


def facts(profile):
    return {method.name: synthetic.facts(method) for method in profile.ablation.methods}


def tables_of(profile, scores, curves, anchors, actions):
    """Everything that the report makes of scores and curves."""
    known = facts(profile)
    judged = verdicts(profile, scores, anchors, known)
    found = ablation.compared(tasks(judged, known, actions), scores)
    table = ablation.summary(profile, scores, curves, anchors, known, judged, found)
    return SimpleNamespace(
        profile=profile,
        scores=scores,
        curves=curves,
        anchors=anchors,
        judged=judged,
        tasks=found,
        table=table,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Of one task, five seeds."""
    profile = synthetic.profile(environments=["Pendulum-v1"], seeds=5)
    root = synthetic.write(profile, tmp_path_factory.mktemp("results") / "synthetic")
    scores, curves = (synthetic.read("ablation", name, profile, root) for name in ("scores", "curves"))
    anchors = records.anchors(profile, root, environments_of(profile))
    return tables_of(profile, scores, curves, anchors, records.actions(ablation.STUDY, profile, root))


def on_tasks(levels, seeds=5, actions=None):
    """Tables of tasks: {task: {method: normalised score}}, random at 0, the reference at 1; seeds differ by 0.02."""
    names = list(levels)
    profile = synthetic.profile(
        environments=[{"id": "Pendulum-v1", "name": name} for name in names],
        seeds=seeds,
        ablation={
            "environments": names,
            "methods": [
                {"name": name, "hidden": [8, 8], **given} for name, (given, _) in synthetic.ABLATED.items()
            ],
        },
    )
    rng, known = np.random.default_rng(0), facts(profile)
    scores = pd.DataFrame([
        {"environment": task, "method": method, "role": known[method]["role"], "seed": seed,
         "score": levels[task][method] + rng.uniform(-0.02, 0.02), "steps": 1000, "diverged_at": np.nan}
        for task in names for method in known for seed in range(seeds)
    ])  # fmt: skip
    curves = pd.DataFrame({"method": ["linear"], "metric": ["cosine/actor"], "value": [0.1]})
    anchors = pd.DataFrame(
        {"random_mean": 0.0, "random_standard_error": 0.0, "reference_return": 1.0}, index=names
    )
    return tables_of(profile, scores, curves, anchors, actions or dict.fromkeys(names, 1))


GOOD = {name: reached for name, (_, reached) in synthetic.ABLATED.items()}


def said(made):
    return answer(made.table, made.tasks, made.profile.seeds)


def test_every_global_critic_has_its_words():
    for critic in get_args(LocalSettings.model_fields["critic"].annotation):
        found = methods.describe(
            synthetic.facts(parse_method({"algorithm": "node_perturbation", "critic": critic}))
        )
        assert found["global critic"] == methods.CRITICS[critic] != methods.NONE


@pytest.mark.parametrize(
    ("settings", "noise", "activation"),
    [
        ({"algorithm": "node_perturbation", "draws": 4}, "imagined ×4", "tanh"),
        ({"algorithm": "ddpg", "activation": "relu"}, "executed, action", "relu"),
        ({"algorithm": "compatible", "exploration": "neuron"}, "executed, all neurons", "tanh"),
        (
            {"algorithm": "compatible", "exploration": "subset", "replay": "recomputed"},
            "executed, some neurons; recomputed",
            "tanh",
        ),
    ],
)
def test_a_method_is_told_by_its_activation_and_its_noise(settings, noise, activation):
    found = methods.describe(synthetic.facts(parse_method(settings)))
    assert (found["noise"], found["activation"]) == (noise, activation)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        (
            {"algorithm": "coagent", "own_critic": "layer_value"},
            "coagent, error of own critic layer value, SGD",
        ),
        ({"algorithm": "coagent", "target": "global_td"}, "coagent, SGD"),
        (
            {"algorithm": "learned_feedback", "optimiser": "adam"},
            "learned feedback, action's error one by one, Adam",
        ),
        ({"algorithm": "ddpg", "frozen_hidden": True}, "backpropagation, Adam, hidden layers frozen"),
    ],
)
def test_a_rule_is_told_by_what_it_reads(settings, rule):
    assert methods.describe(synthetic.facts(parse_method(settings)))["rule"] == rule


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"algorithm": "linear"}, methods.NOTHING),
        ({"algorithm": "coagent"}, methods.NOTHING),
        ({"algorithm": "coagent", "critic_reads": "observation"}, methods.OBSERVATION),
        ({"algorithm": "coagent", "target": "global_td"}, methods.SCALAR),
        ({"algorithm": "compatible", "exploration": "neuron"}, methods.NOTHING),
        ({"algorithm": "compatible", "target": "global_td"}, methods.SCALAR),
        ({"algorithm": "compatible", "replay": "imagined"}, methods.SCALAR),
        ({"algorithm": "node_perturbation"}, methods.SCALAR),
        ({"algorithm": "feedback_alignment"}, methods.VECTOR),
        ({"algorithm": "random_direction"}, methods.NOTHING),
        ({"algorithm": "ddpg"}, methods.ERROR),
        ({"algorithm": "ddpg", "frozen_hidden": True}, methods.NONE),
    ],
)
def test_what_crosses_layers_is_what_the_rule_receives(settings, expected):
    assert methods.crosses(synthetic.facts(parse_method(settings))) == expected


@pytest.mark.parametrize(
    ("changes", "role"),
    [
        ({}, "local"),
        ({"reads": "slope"}, "control"),
        ({"reads": "slope", "critic_reads": "observation"}, "local"),
        ({"reads": "slope", "critic_reads": "observation", "frozen_hidden": True}, "control"),
    ],
)
def test_slopes_of_critics_that_know_only_the_voltages_are_a_control(changes, role):
    assert parse_method({"algorithm": "coagent", **changes}).role == role


def test_a_rule_is_compared_with_its_frozen_twin_or_else_with_ddpgs():
    given = [
        {"algorithm": "random_direction"},
        {"algorithm": "ddpg"},
        {"algorithm": "ddpg", "name": "ddpg-frozen", "frozen_hidden": True},
        {"algorithm": "node_perturbation", "draws": 2},
        {"algorithm": "node_perturbation", "name": "other", "draws": 3},
        {"algorithm": "node_perturbation", "name": "twin", "draws": 2, "frozen_hidden": True},
    ]
    known = {method.name: synthetic.facts(method) for method in map(parse_method, given)}
    assert {name: control_of(name, known) for name in known} == {
        "random-direction": None, "ddpg": "ddpg-frozen", "ddpg-frozen": None,
        "node-perturbation": "twin", "other": "ddpg-frozen", "twin": None,
    }  # fmt: skip
    without = {name: known[name] for name in ("random-direction", "ddpg", "other")}
    assert control_of("other", without) == "random-direction"
    assert control_of("ddpg", {"ddpg": known["ddpg"]}) is None


ROW = {
    "diverged": 0,
    "runs": 5,
    "score": 0.6,
    "low": 0.4,
    "high": 0.8,
    "minus_control_low": 0.1,
    "minus_control_high": 0.5,
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, LEARNS),
        ({"score": MATCHED}, MATCHES),
        ({"score": MATCHED - 1e-6}, LEARNS),
        ({"score": 1.0, "minus_control_low": -0.01}, SAME),
        ({"score": 1.0, "low": -0.01}, SAME),
        ({"minus_control_low": -0.5, "minus_control_high": -0.1}, WORSE),
        ({"score": 1.0, "diverged": 3}, DIVERGES),
        ({"diverged": 2}, LEARNS),
        ({"low": np.nan}, NO_VERDICT),
        ({"minus_control_low": np.nan}, NO_VERDICT),
    ],
)
def test_a_verdict_follows_from_the_intervals(changes, expected):
    assert verdict(ROW | changes, 1.0) == expected


def test_without_a_reference_there_is_no_verdict():
    assert verdict(ROW, np.nan) == NO_VERDICT


def test_verdicts_rest_on_paired_differences_and_scipys_intervals(made):
    row = made.judged.set_index("method").loc["node-perturbation"]
    anchor = made.anchors.loc["Pendulum-v1"]
    wide = made.scores.pivot(index="seed", columns="method", values="score")
    wide = (wide - anchor["random_mean"]) / (anchor["reference_return"] - anchor["random_mean"])
    paired = wide["node-perturbation"] - wide["ddpg-frozen"]
    ends = stats.ttest_1samp([*paired, 0.0], 0).confidence_interval()
    assert row["control"] == "ddpg-frozen" and row["minus_control"] == pytest.approx(paired.mean())
    np.testing.assert_allclose([row["minus_control_low"], row["minus_control_high"]], ends)
    ends = stats.ttest_1samp([*wide["node-perturbation"], 0.0], 0).confidence_interval()
    np.testing.assert_allclose([row["low"], row["high"]], ends)
    paired = wide["node-perturbation"] - wide["ddpg"]
    assert row["minus_reference"] == pytest.approx(paired.mean())
    assert made.judged.set_index("method").loc[["ddpg", "random-direction"], "verdict"].eq(NO_VERDICT).all()


def test_the_actions_of_a_task_are_those_that_were_recorded(made, tmp_path):
    assert dict(zip(made.tasks["environment"], made.tasks["actions"], strict=True)) == {"Pendulum-v1": 1}
    for job in STUDIES["ablation"].jobs(made.profile):
        path = tmp_path / job.path(STUDIES["ablation"].records["method"].path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    with pytest.raises(records.MissingResult, match="number of actions"):
        records.actions(ablation.STUDY, made.profile, tmp_path)


@pytest.mark.parametrize(
    ("ddpg", "frozen", "tells"),
    [(0.95, 0.3, True), (0.95, 0.95 - TELLS_APART + 0.05, False), (0.95, 0.95, False), (-0.2, -0.9, False)],
)
def test_a_task_tells_rules_apart_where_learning_in_ddpgs_hidden_layers_helps(ddpg, frozen, tells):
    made = on_tasks({"a": GOOD | {"ddpg": ddpg, "ddpg-frozen": frozen}})
    row = made.tasks.iloc[0]
    assert row["tells_apart"] == tells and row["difference"] == pytest.approx(ddpg - frozen, abs=0.02)


def test_without_a_frozen_twin_no_task_tells_rules_apart(made):
    known = {name: method for name, method in facts(made.profile).items() if name != "ddpg-frozen"}
    judged = verdicts(made.profile, made.scores, made.anchors, known)
    found = tasks(judged, known, {"Pendulum-v1": 1})
    assert not found["tells_apart"].any() and found["difference"].isna().all()


def test_rows_are_sorted_by_the_score_which_over_one_task_is_the_mean(made):
    assert list(made.table["method"]) == [
        "ddpg", "node-perturbation", "feedback-alignment", "ddpg-frozen", "random-direction", "linear",
    ]  # fmt: skip
    row = made.table.set_index("method").loc["linear"]
    assert row["iqm"] == row["Pendulum-v1"] and row["low"] <= row["iqm"] <= row["high"]


def test_over_several_tasks_it_is_scipys_trimmed_mean_of_those_that_tell_rules_apart():
    flat = dict.fromkeys(GOOD, 0.9)
    made = on_tasks(
        {"a": GOOD, "b": GOOD | {"linear": 0.5}, "flat": flat}, actions={"a": 1, "b": 3, "flat": 1}
    )
    assert list(made.tasks["tells_apart"]) == [True, True, False]
    row = made.table.set_index("method").loc["linear"]
    own = made.scores[made.scores["method"] == "linear"].set_index("environment")["score"]
    assert row["iqm"] == pytest.approx(stats.trim_mean(np.concatenate([own["a"], own["b"]]), 0.25))
    assert row["one_action"] == pytest.approx(own["a"].mean())
    assert row["many_actions"] == pytest.approx(own["b"].mean())
    assert (row[WORSE], row[LEARNS], row[MATCHES]) == (1, 1, 0), (
        "the task that tells none apart does not count"
    )


def test_the_cosine_is_the_mean_over_training(made):
    assert made.table.set_index("method").loc["node-perturbation", "cosine"] == pytest.approx(0.45)


POOR = GOOD | {"node-perturbation": 0.3, "feedback-alignment": 0.3, "linear": 0.3}


@pytest.mark.parametrize(
    ("scores", "case", "words"),
    [
        (GOOD | {"linear": 0.93}, methods.NOTHING, ["it sufficed that nothing crosses layers: by linear,",
                                                    "matches DDPG on a and b"]),
        (GOOD, methods.SCALAR, ["it sufficed that one scalar crosses layers: by node-perturbation,",
                                "Of the rules tried with nothing crossing layers (1), none matches DDPG"]),
        (POOR | {"feedback-alignment": 0.94}, methods.VECTOR, ["it sufficed that a vector crosses layers"]),
        (POOR | {"node-perturbation": 0.6}, "in part", ["by 1 of the 3 rules tried", "no rule tried matches DDPG"]),
        (POOR, "no", ["none of the 3 rules tried is better than both its control and random actions"]),
    ],
)  # fmt: skip
def test_the_answer_follows_from_the_numbers(scores, case, words):
    found = said(on_tasks({"a": scores, "b": scores}))
    assert found["case"] == case and len(found["levels"]) == 3
    for text in ["Rules are told apart on a (by 0.6", *words]:
        assert text in found["sentence"]
    for word in ("has to", "must", "need"):
        assert word not in found["sentence"], "what sufficed, not what is necessary"


def test_each_level_names_its_best_rule_with_score_control_and_verdicts():
    found = said(on_tasks({"a": GOOD, "b": GOOD | {"node-perturbation": 0.5}}, actions={"a": 1, "b": 4}))
    level = found["levels"][1]
    assert level["crosses layers"] == methods.SCALAR and level["best"] == "node-perturbation"
    assert level["verdicts"] == {"a": MATCHES, "b": LEARNS} and level["control"] == "ddpg-frozen"
    assert level["one_action"][0] == pytest.approx(0.9, abs=0.02) and level["many_actions"][0] < 0.55
    assert "matches DDPG on a; learns, short of DDPG, on b" in found["sentence"]
    assert found["case"] == "in part"


def test_a_task_that_tells_no_rules_apart_is_named_with_its_difference_and_counts_in_nothing():
    found = said(on_tasks({"a": GOOD, "flat": dict.fromkeys(GOOD, 0.9)}))
    assert "flat (" in found["sentence"] and "does not tell rules apart" in found["sentence"]
    assert all(set(level["verdicts"]) == {"a"} for level in found["levels"])


def test_where_no_task_tells_rules_apart_nothing_is_answered():
    made = on_tasks({"flat": dict.fromkeys(GOOD, 0.9)})
    found = said(made)
    assert found["case"] == "untested" and "cannot be told" in found["sentence"] and not found["levels"]
    assert made.table["iqm"].isna().all()


def test_a_task_that_failed_in_a_run_of_one_method_counts_for_none():
    made = on_tasks({"a": GOOD, "b": GOOD | {"node-perturbation": 0.5}})
    alone = on_tasks({"a": GOOD}).table.set_index("method")["iqm"]
    lost = (
        (made.scores["environment"] == "b") & (made.scores["method"] == "linear") & (made.scores["seed"] == 2)
    )
    scores = made.scores.assign(score=made.scores["score"].mask(lost))
    again = tables_of(made.profile, scores, made.curves, made.anchors, {"a": 1, "b": 1})
    assert list(again.tasks["tells_apart"]) == [True, False] and list(again.tasks["failed"]) == [False, True]
    assert "b counts in no aggregate, since the environment failed in runs." in said(again)["sentence"]
    assert "Mean normalised score, 5 seeds" in said(again)["sentence"], "of a alone"
    (shown,) = ablation.readable(again.table, again.tasks).query("method == 'linear'")["diverged"]
    assert shown == "0 of 9, environment failed for 1 more"
    table = again.table.set_index("method")["iqm"]
    for method in ("node-perturbation", "linear", "ddpg"):
        assert table[method] == pytest.approx(alone[method], abs=0.02)
    assert made.table.set_index("method")["iqm"]["node-perturbation"] < alone["node-perturbation"] - 0.1


def test_one_seed_has_no_interval_and_no_verdict(tmp_path):
    made = on_tasks({"a": GOOD}, seeds=1)
    assert said(made)["case"] == "untested" and made.judged["verdict"].eq(NO_VERDICT).all()
    drawing.figure(made.profile, made.table, made.tasks)


def test_a_second_method_with_backpropagation_is_no_local_rule(made):
    """Roles decide, not names: such a method is neither counted among the rules nor shown as one."""
    table = made.table.replace({"algorithm": {"ddpg": "my_agents:TD3"}})
    table.loc[table["method"] == "node-perturbation", "role"] = "backpropagation"
    found = answer(table, made.tasks, 5)
    assert {level["best"] for level in found["levels"]} == {"linear", "feedback-alignment"}
    assert "TD3 exceeds TD3 with frozen hidden layers" in found["sentence"]


def test_the_figure_names_every_method_and_every_task():
    made = on_tasks({"a": GOOD, "flat": dict.fromkeys(GOOD, 0.9)})
    figure = drawing.figure(made.profile, made.table, made.tasks)
    axes, cells = figure.axes
    assert [name.get_text() for name in axes.get_yticklabels()] == list(made.table["method"])
    written = [text.get_text() for text in cells.texts]
    assert {"1 scalar", "a vector", "nothing", "full error", "crosses layers", "a", "flat"} <= set(written)
    shaded = len(cells.patches)
    assert shaded == 3, "one verdict for each rule, on the task that tells rules apart"


def test_diagnostics_show_ddpg_the_drafts_rule_and_the_best_by_what_crosses_layers(made):
    assert ablation.shown(made.table) == ["ddpg", "linear", "node-perturbation", "feedback-alignment"]
    figure = diagnostics.figure(made.profile, made.curves, ablation.shown(made.table))
    titles = [axes.get_title("left") for axes in figure.axes if axes.get_title("left")]
    assert titles == ["ddpg, Pendulum-v1", "linear", "node-perturbation", "feedback-alignment"]
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert any("saturated" in name for name in labels) and any("entropy" in name for name in labels)


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


def test_the_lab_book_holds_every_attempt_in_the_order_of_the_config(made):
    found = lab_book.attempts(made.profile, made.table, made.tasks.to_dict("records"), facts(made.profile))
    assert list(found["attempt"]) == [method.name for method in made.profile.ablation.methods]
    verdicts = dict(zip(found["attempt"], found["verdicts"], strict=True))
    assert verdicts == {
        "ddpg": "backpropagation", "ddpg-frozen": "control", "random-direction": "control",
        "linear": "1 worse", "node-perturbation": "1 matches", "feedback-alignment": "1 learns",
    }  # fmt: skip
    text = lab_book.markdown(made.profile, found, made.table, facts(made.profile))
    assert text.startswith("6 attempts, each on Pendulum-v1 with seeds 0 to 4.")
    for method in made.profile.ablation.methods:
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
    with pytest.raises(config.ConfigError, match="environment 'Nope' is not in the config"):
        synthetic.profile(ablation={"environments": ["Nope"]})
