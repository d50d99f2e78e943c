from pathlib import Path

import nbformat
import pytest
import synthetic
import yaml
from nbclient import NotebookClient

from subcritic import config

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "findings.ipynb"


@pytest.mark.filterwarnings("ignore")  # the kernel's start-up warnings are not ours
def test_the_notebook_redraws_both_findings(tmp_path, monkeypatch):
    profile = synthetic.profile(environments=["LunarLanderContinuous-v3"])
    root = synthetic.write(profile, tmp_path / "results" / "synthetic")
    (root / "config.yaml").write_text(yaml.safe_dump(config.dump(profile)))
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setenv("SUBCRITIC_PROFILE", "synthetic")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    figures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(figures) == 5
    assert any("EMPIRICALVALUE = " in output.get("data", {}).get("text/markdown", "") for output in outputs)


def test_the_notebook_is_stored_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(
        not cell.outputs and cell.execution_count is None
        for cell in notebook.cells
        if cell.cell_type == "code"
    )
