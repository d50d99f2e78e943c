"""The notebooks, run from a folder of no importance against results that are made here."""

from pathlib import Path

import nbformat
import pytest
import synthetic
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from subcritic import config, profiles, tracking
from subcritic.config import MethodTraining
from subcritic.measuring import method
from subcritic.reporting.notebooks import results_folder
from subcritic.studies import STUDIES

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
FINDINGS, OWN_RUNS = NOTEBOOKS
# The kernel's start-up warnings are not ours.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("SUBCRITIC_PROFILE", raising=False)
    monkeypatch.setenv("SUBCRITIC_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


def executed(path, folder):
    """The outputs of a notebook's cells."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def of_type(outputs, kind):
    return [output["data"][kind] for output in outputs if kind in output.get("data", {})]


def test_findings_redraws_both(results, tmp_path):
    profile = synthetic.profile(environments=["LunarLanderContinuous-v3"])
    root = synthetic.write(profile, results / "synthetic")
    (root / "config.yaml").write_text(yaml.safe_dump(config.dump(profile)))
    outputs = executed(FINDINGS, tmp_path)
    assert len(of_type(outputs, "image/png")) == 5
    assert any("EMPIRICALVALUE = " in text for text in of_type(outputs, "text/markdown"))


TRAINED = {
    "profile": "own",
    "seeds": 2,
    "environments": ["Pendulum-v1"],
    "methods": [
        {"algorithm": "ddpg", "hidden": [8], "batch_size": 8, "learning_starts": 50},
        {"algorithm": "linear", "hidden": [8], "batch_size": 8, "learning_starts": 50},
    ],
    "training": {"steps": 200, "evaluate_every": 100, "evaluation_episodes": 1, "final_episodes": 1},
}


def test_own_runs_compares_methods_and_films_a_policy(results, tmp_path, monkeypatch):
    monkeypatch.setattr(tracking.group, "keep_mirrored", lambda results: None)
    profile = profiles.parse(TRAINED)
    for job in STUDIES["experiment2"].jobs(profile):
        assert isinstance(job.config, MethodTraining)
        method.train(job, STUDIES["experiment2"], results)
    (results / "own" / "config.yaml").write_text(yaml.safe_dump(config.dump(profile)))
    outputs = executed(OWN_RUNS, tmp_path)
    assert len(of_type(outputs, "image/png")) == 1, "the curves"
    assert len(of_type(outputs, "image/gif")) == 1, "the film"
    (apart,) = (text for text in of_type(outputs, "text/plain") if "minus the first method" in text)
    assert "ddpg" in apart and "linear" in apart and "[" in apart
    said = "".join(output.get("text", "") for output in outputs)
    assert "4 runs of the study experiment2, profile own" in said and "after 200 steps" in said


@pytest.mark.parametrize(
    ("path", "words"),
    [(FINDINGS, "no results of the profile 'quick'.*Run `make reproduce` first"),
     (OWN_RUNS, "There is no finished training in .*results. Run `make reproduce`")],
)  # fmt: skip
def test_without_results_a_notebook_says_what_to_do(results, tmp_path, path, words):
    with pytest.raises(CellExecutionError, match=f"SystemExit.*{words}"):
        executed(path, tmp_path)


def test_notebooks_find_the_results_wherever_they_run(tmp_path, monkeypatch):
    monkeypatch.delenv("SUBCRITIC_RESULTS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert results_folder() == NOTEBOOKS[0].parents[1] / "results"
    (tmp_path / "Snakefile").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert results_folder() == tmp_path / "results"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_stored_without_outputs(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)
