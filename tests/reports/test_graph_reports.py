"""Reports of recurrent networks and of neurons with clocks, from recorded data whose answer is known."""

import graph_records
import numpy as np
import pandas as pd
import pytest
import synthetic

from subcritic.reporting import records
from subcritic.studies import STUDIES
from subcritic.studies.clocks import report as clocks
from subcritic.studies.recurrent import report as recurrent

SEEDS = range(6)


@pytest.fixture
def profile():
    hidden = {"id": "subcritic/HiddenVelocityPendulum-v0", "name": "Hidden", "observed": "Pendulum-v1"}
    mazes = [
        {"id": "subcritic/TMaze-v0", "name": f"TMaze-{n}", "kwargs": {"length": n}, "sequence": n + 2}
        for n in (5, 9)
    ]
    return synthetic.profile(
        environments=["Pendulum-v1"],
        seeds=len(SEEDS),
        recurrent={"environments": [hidden, *mazes], "training": {"steps": 2000}},
        clocks={"environments": ["Pendulum-v1"], "ticks": [1, 4], "training": {"steps": 2000}},
    )


@pytest.fixture
def root(profile, tmp_path):
    graph_records.write(profile, tmp_path)
    return tmp_path


def test_the_recurrent_report_says_what_learned_feedback_reaches(profile, root, one_format):
    files = {path.name: path for path in recurrent.make(profile, root)}
    assert set(files) == {"recurrent.csv", "recurrent.md", "recurrent.png"}
    text = files["recurrent.md"].read_text()
    # Seeds add 0 to 5 to every method: 98.5 against random's 2.5 is 0.96 of 102.5's.
    assert "Hidden: learned feedback without unrolling returns 98.5" in text
    assert (
        "0.96 of what backpropagation through time has over random actions, more than 0.9 of it. It" in text
    )
    assert (
        "is better than the same rule without recurrent connections, which returns 122 where nothing is hidden"
        in text
    )
    assert "counting the same step alone returns 52.5 [50.5, 54.5]" in text
    assert "learned feedback 5; backpropagation through time 9" in text
    table = pd.read_csv(files["recurrent.csv"]).set_index(["environment", "method"])
    mine = table.loc["Hidden", "learned-feedback"]
    assert mine["share"] == pytest.approx(0.96) and mine["agreement"] == pytest.approx(0.8)
    floor, through = 2.5, np.array([100.0 + seed for seed in SEEDS])
    assert mine["minus_aim"] == pytest.approx(98.5 - (floor + 0.9 * (through - floor)).mean())
    assert np.isnan(table.loc["Hidden", "backpropagation"]["agreement"])


def test_a_memory_counts_only_with_every_shorter_one(profile, root):
    table = pd.read_csv(recurrent.make(profile, root)[0])
    forgets = table["environment"].eq("TMaze-5") & table["method"].eq("backpropagation")
    table.loc[forgets, "score"] = 0.3
    assert "backpropagation through time none of them" in recurrent.sentences(table)[-1]


def test_the_clocks_report_says_what_few_ticks_cost_and_what_a_step_alone_tells(profile, root, one_format):
    files = {path.name: path for path in clocks.make(profile, root)}
    assert set(files) == {"clocks.csv", "clocks.md", "clocks.png"}
    text = files["clocks.md"].read_text()
    assert "Pendulum-v1, a common clock: learned feedback returns -298" in text
    assert "worse than ℓ = 4 with ℓ = 1, paired by seed. It is not told apart from backpropagation" in text
    assert "Pendulum-v1, a clock for each neuron: learned feedback returns" in text
    assert (
        "a cosine with the true gradient of 0.01 to 0.01 in layers that do not reach the action in it, and of 0.70"
        in text
    )
    assert "trained with it alone, returns are -318 with ℓ = 1, -168 with ℓ = 4" in text
    table = pd.read_csv(files["clocks.csv"])
    assert len(table) == 2 * 3 + 2 * 2, "at once with a common clock only"
    slow = table[(table.clock == "common") & (table.ticks == 1) & (table.learner == "learned-feedback")].iloc[
        0
    ]
    assert slow["minus_fastest"] == pytest.approx(-150) and slow["minus_backpropagation"] == 0
    assert slow["reach_1"] == 0 and slow["agreement_at_once_2"] == pytest.approx(0.01)


@pytest.mark.parametrize("report", [recurrent, clocks])
def test_a_missing_file_is_named_with_the_study_that_makes_it(report, profile, tmp_path):
    study = report.__name__.split(".")[-2]
    with pytest.raises(records.MissingResult, match=rf"is missing: the study '{study}' makes it"):
        report.make(profile, tmp_path)


@pytest.mark.parametrize("report", [recurrent, clocks])
def test_the_section_of_the_results_page_is_made_from_published_tables(report, profile, root, one_format):
    report.make(profile, root)
    study = report.__name__.split(".")[-2]
    drawn = root / "figures" / f"{study}.png"
    drawn.rename(root / "table" / drawn.name)
    blocks = report.section(root / "table", "somewhere")
    assert f"(somewhere/{study}.png)" in blocks[1] and f"(somewhere/{study}.md)" in blocks[2]
    assert set(report.metrics(root / "table")) and all(
        name.startswith("return/") for name in report.metrics(root / "table")
    )


def test_a_share_of_what_backpropagation_does_not_have_is_not_given(profile, root):
    job = next(
        job for job in STUDIES["recurrent"].jobs(profile) if job.name == "recurrent/TMaze-9/backpropagation"
    )
    curves, scores = graph_records.recorded(job, 0.0, {}, 0.001)
    graph_records.write_tables(job, root, curves=curves, scores=scores)
    table = pd.read_csv(recurrent.make(profile, root)[0])
    assert table.loc[table["environment"] == "TMaze-9", "share"].isna().all()
    assert table.loc[table["environment"] == "TMaze-5", "share"].notna().all()
    (said,) = (sentence for sentence in recurrent.sentences(table) if sentence.startswith("TMaze-9"))
    assert "is not shown to be better than random actions" in said and "of what" not in said


def test_one_seed_has_no_verdict(profile, tmp_path, one_format):
    one = synthetic.profile(
        environments=["Pendulum-v1"],
        seeds=1,
        recurrent=profile.recurrent.model_dump(),
        clocks=profile.clocks.model_dump(),
    )
    graph_records.write(one, tmp_path)
    for report in (recurrent, clocks):
        said = " ".join(report.sentences(pd.read_csv(report.make(one, tmp_path)[0])))
        assert "told apart" not in said and "none is shown" not in said
    assert "without intervals from one seed" in said


def test_a_figure_without_recorded_agreement_is_drawn_all_the_same(profile, root, one_format):
    for job in STUDIES["clocks"].jobs(profile):
        path = root / job.path(STUDIES["clocks"].records["curves"].path)
        curves = pd.read_csv(path)
        curves[~curves["metric"].str.startswith("agreement")].to_csv(path, index=False)
    assert all(path.is_file() for path in clocks.make(profile, root))
