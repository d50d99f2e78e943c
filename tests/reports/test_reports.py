"""What holds for every report."""

import numpy as np
import pandas as pd
import pytest
import synthetic

from subcritic.publishing import summary
from subcritic.publishing.reports import module_of, reads
from subcritic.reporting import records, style
from subcritic.studies import STUDIES
from subcritic.studies.table import report as table
from subcritic.studies.throughput import report as throughput

# The studies whose records `synthetic` writes.
SHOWN = (
    "experiment1",
    "gradients",
    "experiment2",
    "table",
    "throughput",
    "theorem",
    "scaling",
    "ablation",
    "lab_book",
    "robustness",
)


@pytest.fixture(scope="module")
def made(recorded):
    """Figures in one format; the chain's test makes all."""
    profile, root = recorded
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "FORMATS", ("png",))
        return {name: module_of(STUDIES[name]).make(profile, root) for name in SHOWN}


def test_a_report_names_what_it_reads_kind_by_kind(recorded):
    profile, root = recorded
    found = {entry["name"]: entry for entry in reads(STUDIES["table"], profile, root.parent)}
    assert {
        "experiment2/curves",
        "experiment2/scores",
        "experiment2/method",
        "anchors/anchors",
    } <= found.keys()
    curves = found["experiment2/curves"]
    assert curves["source"] == f"{root.name}/experiment2/{{environment}}/{{method}}.csv"
    assert curves["files"] == len(profile.environments) * len(profile.methods)
    assert curves["columns"] == ["environment", "method", "seed", "step", "metric", "value"]
    paths = [read.path for read in STUDIES["lab_book"].report_reads(profile, STUDIES)]
    assert "table/ablation.csv" in paths and len(set(paths)) == len(paths)


@pytest.mark.parametrize("name", SHOWN)
def test_every_report_writes_what_its_study_declares_and_nothing_else(made, recorded, name):
    declared = {file.path for file in STUDIES[name].shown.values()}
    assert {str(path.relative_to(recorded[1])) for path in made[name]} == declared
    assert all(path.stat().st_size > 0 for path in made[name])


def test_a_report_made_twice_is_the_same(recorded):
    before = {path: path.read_bytes() for path in table.make(*recorded)}
    assert {path: path.read_bytes() for path in table.make(*recorded)} == before
    assert {path.suffix for path in before} >= {".csv", ".md", ".tex", ".png", ".svg", ".pdf"}


def test_one_seed_one_environment_and_one_method_are_enough(tmp_path, one_format):
    profile = synthetic.profile(environments=["Hopper-v5"], seeds=1, methods=[{"algorithm": "linear"}])
    synthetic.write(profile, tmp_path)
    for name in set(SHOWN) - {"ablation", "lab_book"}:
        assert module_of(STUDIES[name]).make(profile, tmp_path)
    assert "no interval" in (tmp_path / "table" / "empirical_value.json").read_text()
    row = pd.read_csv(tmp_path / "table" / "table.csv").iloc[0]
    assert np.isnan(row["low"]) and row["average"] == row["best"]


@pytest.mark.parametrize("name", [name for name, study in STUDIES.items() if study.shown])
def test_a_missing_file_is_named_with_the_study_that_makes_it(tmp_path, name):
    profile = synthetic.profile(environments=["Pendulum-v1"], seeds=1)
    makes = {"table": "experiment2", "lab_book": "ablation"}.get(name, name)
    with pytest.raises(records.MissingResult, match=rf"is missing: .*{makes}"):
        module_of(STUDIES[name]).make(profile, tmp_path)


def test_a_file_without_a_needed_column_is_refused(tmp_path):
    profile = synthetic.profile(environments=["Pendulum-v1"], seeds=1)
    synthetic.write(profile, tmp_path)
    path = tmp_path / "throughput" / "throughput.csv"
    pd.read_csv(path).drop(columns="round").to_csv(path, index=False)
    with pytest.raises(records.MissingResult, match="lacks round; expected: learner"):
        throughput.make(profile, tmp_path)


def test_the_summary_shows_the_table_the_value_and_the_speed(made, recorded):
    profile, root = recorded
    text = summary.text(profile, [STUDIES[name] for name in SHOWN], root)
    assert "Pendulum-v1" in text and "EMPIRICALVALUE = " in text and "linear / ddpg" in text
    assert str(root / "figures") in text and str(root / "table/agreement.md") in text


def test_the_summary_of_some_studies_speaks_of_these_alone(made, recorded):
    profile, root = recorded
    text = summary.text(profile, [STUDIES["theorem"]], root)
    assert "EMPIRICALVALUE" not in text and str(root / "table/theorem.md") in text
