"""What holds for every report."""

import numpy as np
import pandas as pd
import pytest
import synthetic

from subcritic.publishing import summary
from subcritic.reporting import records
from subcritic.studies.experiment1 import report as similarity
from subcritic.studies.experiment2 import report as learning
from subcritic.studies.gradients import report as agreement
from subcritic.studies.table import report as table
from subcritic.studies.theorem import report as theorem
from subcritic.studies.throughput import report as throughput

REPORTS = (learning, similarity, agreement, table, throughput, theorem, summary)
FIGURES = (
    "agreement_training",
    "learning",
    "cosine",
    "similarity",
    "values",
    "agreement",
    "table",
    "throughput",
    "theorem",
)


@pytest.fixture(scope="module")
def made(recorded):
    profile, root = recorded
    return {report: report.make(profile, root) for report in REPORTS}


def test_every_report_writes_what_it_says(made, recorded):
    _, root = recorded
    paths = [path for report in REPORTS for path in made[report]]
    assert all(path.stat().st_size > 0 for path in paths)
    assert len(set(paths)) == len(paths)
    assert {f"figures/{name}.{kind}" for name in FIGURES for kind in ("png", "svg", "pdf")} | {
        "table/agreement.csv", "table/agreement.md", "table/agreement_readings.csv", "table/empirical_value.json",
        "table/table.csv", "table/table.md",
        "table/table.tex", "table/aggregates.csv", "table/steps_to_similar.csv", "table/steps_to_similar.md",
        "table/throughput.csv", "table/throughput.md", "table/throughput_ratios.csv", "summary.md",
        "table/theorem.csv", "table/theorem.md",
    } == {str(path.relative_to(root)) for path in paths}  # fmt: skip


def test_a_report_made_twice_is_the_same(made, recorded):
    before = {path: path.read_bytes() for path in made[table]}
    assert {path: path.read_bytes() for path in table.make(*recorded)} == before


def test_one_seed_one_environment_and_one_method_are_enough(tmp_path):
    profile = synthetic.profile(environments=["Hopper-v5"], seeds=1, methods=[{"algorithm": "linear"}])
    synthetic.write(profile, tmp_path)
    for report in REPORTS:
        assert report.make(profile, tmp_path)
    row = pd.read_csv(tmp_path / "table" / "table.csv").iloc[0]
    assert np.isnan(row["low"]) and row["average"] == row["best"]
    assert "no interval" in (tmp_path / "summary.md").read_text()


def test_a_missing_file_is_named_with_the_stage_that_makes_it(tmp_path):
    profile = synthetic.profile(environments=["Pendulum-v1"], seeds=1)
    for report, stage in ((learning, "experiment2"), (similarity, "experiment1"), (agreement, "gradients"),
                          (throughput, "throughput"), (theorem, "theorem"), (summary, "table")):  # fmt: skip
        with pytest.raises(
            records.MissingResult, match=rf"\.csv is missing: the (stage|report) '{stage}' makes it"
        ):
            report.make(profile, tmp_path)


def test_a_file_without_a_needed_column_is_refused(tmp_path):
    profile = synthetic.profile(environments=["Pendulum-v1"], seeds=1)
    synthetic.write(profile, tmp_path)
    path = tmp_path / "throughput" / "throughput.csv"
    pd.read_csv(path).drop(columns="round").to_csv(path, index=False)
    with pytest.raises(records.MissingResult, match="lacks round; expected: learner"):
        throughput.make(profile, tmp_path)


def test_the_summary_shows_the_table_the_value_and_the_speed(made, recorded):
    text = summary.text(*recorded)
    assert "Pendulum-v1" in text and "EMPIRICALVALUE = " in text and "linear / ddpg" in text
    assert str(recorded[1] / "figures") in text
