import numpy as np
import pandas as pd
import pytest
import synthetic
from matplotlib.figure import Figure

from subcritic.reporting import curves, records
from subcritic.studies.experiment1 import report as similarity
from subcritic.studies.experiment2 import report as learning


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_every_panel_names_its_methods_its_anchors_and_its_units(recorded):
    profile, root = recorded
    figure = learning.figure(
        profile,
        synthetic.read("experiment2", "curves", profile, root),
        synthetic.read("experiment2", "scores", profile, root),
        records.anchors(profile, root),
    )
    first, *_, last = figure.axes
    assert {"ddpg", "linear", "random -1222", "reference -152"} == set(texts(first))
    assert {"ddpg", "linear", "random -188"} == set(texts(last))
    assert (first.get_xlabel(), first.get_ylabel()) == ("environment steps", "evaluation return")


def test_many_environments_get_small_panels_between_random_and_reference(tmp_path):
    names = [*synthetic.ENVIRONMENTS, *(f"Task{n}-v0" for n in range(learning.LARGE_PANELS - 2))]
    profile = synthetic.profile(environments=names)
    synthetic.write(profile, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "figure", lambda *_: pytest.fail("large panels"))
        patch.setattr(learning.style, "save", lambda *_: [])
        learning.make(profile, tmp_path)
    curves, scores = (
        synthetic.read("experiment2", "curves", profile, tmp_path),
        synthetic.read("experiment2", "scores", profile, tmp_path),
    )
    figure = learning.small_figure(profile, curves, scores, records.anchors(profile, tmp_path))
    assert [axes.get_title("left") for axes in figure.axes[1:4]] == [
        "MountainCarContinuous",
        "LunarLanderContinuous-v3",
        "Task0",
    ]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    pendulum, lander = figure.axes[0], figure.axes[2]
    ends = [
        line.get_ydata()[-1]
        for line in pendulum.lines
        if line.get_linewidth() > 1 and len(line.get_xdata()) > 2
    ]
    scored = scores[scores["environment"] == "Pendulum-v1"].groupby("method", sort=False)["score"].mean()
    assert ends == pytest.approx((scored + 1222) / (1222 - 152))
    assert {line.get_ydata()[0] for line in pendulum.lines if line.get_linestyle() in (":", "--")} == {0, 1}
    assert texts(lander) == ["no clear reference"] and texts(pendulum) == []
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ddpg", "linear"]


def test_a_diverged_seed_is_marked_and_stays_in_the_mean(recorded):
    profile, root = recorded
    curves, scores = (
        synthetic.read("experiment2", "curves", profile, root),
        synthetic.read("experiment2", "scores", profile, root),
    )
    figure = learning.figure(profile, curves, scores, records.anchors(profile, root))
    crosses = [[line for line in axes.lines if line.get_marker() == "x"] for axes in figure.axes]
    assert [len(found) for found in crosses] == [0, 0, 1]
    assert crosses[2][0].get_xdata()[0] == 6000
    wide = learning.over_steps(curves, "LunarLanderContinuous-v3", "linear", "return/evaluation")
    end = learning.draw_curve(Figure().add_subplot(), wide, profile, "k")
    assert end == pytest.approx(np.mean([wide[0].iloc[-1], wide[1].dropna().iloc[-1], wide[2].iloc[-1]]))


def test_the_cosine_is_drawn_for_the_actor_and_every_layer_of_probed_methods(recorded):
    profile, root = recorded
    curves = synthetic.read("experiment2", "curves", profile, root)
    figure = learning.cosine_figure(profile, curves[curves["method"] == "linear"])
    assert [axes.get_title("left").split(", ")[1] for axes in figure.axes] == ["linear"] * 3
    assert all({"actor", "layer 1", "layer 2", "layer 3"} == set(texts(axes)) for axes in figure.axes)
    unprobed = curves[curves["metric"] == "return/evaluation"]
    for draw in (learning.cosine_figure, learning.small_cosine_figure):
        figure = draw(profile, unprobed)
        assert not figure.axes and [text.get_text() for text in figure.texts] == [learning.NOT_PROBED]


def test_every_layer_has_its_curve_in_both_phases(recorded):
    profile, root = recorded
    curves = synthetic.read("experiment1", "curves", profile, root)
    figure = similarity.similarity_figure(profile, curves)
    assert [axes.get_title("left") for axes in figure.axes[:2]] == [
        "Pendulum-v1, phase 1",
        "Pendulum-v1, phase 2",
    ]
    assert all({"$Q_1$", "$Q_2$", "$Q_3$"} <= set(texts(axes)) for axes in figure.axes)
    values = similarity.values_figure(profile, curves)
    assert all({"$Q^\\mu$", "$Q_1$", "$Q_2$", "$Q_3$"} <= set(texts(axes)) for axes in values.axes)


def test_a_similarity_that_starts_undefined_is_drawn_from_where_it_is_defined(recorded):
    profile, root = recorded
    curves = synthetic.read("experiment1", "curves", profile, root)
    curves.loc[curves["metric"].str.startswith("similarity") & (curves["step"] <= 1000), "value"] = np.nan
    figure = similarity.similarity_figure(profile, curves)
    assert texts(figure.axes[0])


def steps(values):
    return pd.DataFrame({"environment": "a", "method": "phase1", "seed": range(len(values)), "critic": "layer_1",
                         "step": values})  # fmt: skip


def test_a_seed_that_never_got_there_counts_as_later_than_all():
    profile = synthetic.profile(environments=["a"], seeds=3)
    table = similarity.steps_table(profile, steps([1000, np.nan, 2000]))
    one = table.iloc[0]
    assert (one["median"], one["reached"], one["seeds"]) == (2000, 2, 3)
    assert one["low"] == 1000 and np.isinf(one["high"])
    shown = similarity.steps_markdown(profile, table)
    assert "| 2000" in shown and "1000 to > 10000" in shown and "2 of 3" in shown


def test_when_most_seeds_never_got_there_the_median_is_beyond_the_run():
    profile = synthetic.profile(environments=["a"], seeds=3)
    assert np.isinf(similarity.steps_table(profile, steps([np.nan, np.nan, 2000])).iloc[0]["median"])


def test_cosines_of_many_tasks_are_means_over_tenths_of_the_training_and_over_tasks():
    profile = synthetic.profile(
        environments=["a", "b", "c"], seeds=1, training={"steps": 100, "evaluate_every": 50}
    )
    rows = [
        {
            "environment": name,
            "method": "linear",
            "seed": 0,
            "step": step,
            "metric": "cosine/actor",
            "value": level,
        }
        for name, level in (("a", 0.2), ("b", 0.4))
        for step in range(1, 101)
    ]
    rows[0]["value"] = 10.2
    (axes,) = learning.small_cosine_figure(profile, pd.DataFrame(rows)).axes
    first, second, over = axes.lines[:3]
    assert len(first.get_ydata()) == 10 and first.get_ydata()[0] == pytest.approx(1.2), (
        "ten values, one of them 10.2"
    )
    np.testing.assert_allclose(second.get_ydata(), 0.4)
    np.testing.assert_allclose(over.get_ydata()[1:], 0.3)


@pytest.mark.parametrize(("seeds", "bands"), [(1, 0), (3, 0), (4, 1)])
def test_three_seeds_have_no_band(seeds, bands):
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(4, seeds)), index=range(4))
    axes, profile = Figure().add_subplot(), synthetic.profile(seeds=seeds)
    curves.draw_curve(axes, wide, profile, "k")
    assert len(axes.collections) == bands and len(axes.lines) == seeds + 1
    assert ("95 %" in curves.curve_note(profile)) == bool(bands)
