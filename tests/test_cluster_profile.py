"""What Snakemake is told for a cluster."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from subcritic import reproduce

PROJECT = Path(__file__).parents[1]
PROFILES = {
    name: yaml.safe_load((PROJECT / "profiles" / name / "config.yaml").read_text())
    for name in ("default", "slurm")
}


def test_the_profile_for_slurm_says_what_the_default_one_says_but_for_cores():
    """It takes its place."""
    assert PROFILES["default"].pop("cores") == "all"
    assert PROFILES["default"].items() <= PROFILES["slurm"].items()


def test_every_rule_that_runs_something_states_threads_and_resources():
    files = [
        PROJECT / "Snakefile",
        *(PROJECT / "workflow").rglob("Snakefile"),
        *PROJECT.glob("workflow/**/*.smk"),
    ]
    text = "\n".join(path.read_text() for path in files)
    rules = [rule for rule in re.split(r"\n *rule\b", text)[1:] if "shell:" in rule]
    assert len(rules) == 3
    for rule in rules:
        assert re.search(r"\n *threads:", rule) and re.search(r"\n *resources:", rule), rule


def test_the_estimate_counts_the_jobs_that_the_profile_submits():
    arguments = ["--workflow-profile", str(PROJECT / "profiles" / "slurm")]
    assert reproduce._cores(reproduce.options_of(arguments)) == PROFILES["slurm"]["jobs"]
    assert reproduce._cores(reproduce.options_of([*arguments, "--jobs", "3"])) == 3


def test_a_profile_of_comments_alone_leaves_the_number_of_jobs_to_the_machine(tmp_path):
    (tmp_path / "config.yaml").write_text("# jobs: 3\n")
    assert reproduce._cores(reproduce.options_of(["--workflow-profile", str(tmp_path)])) == os.cpu_count()


@pytest.mark.skipif(
    not importlib.util.find_spec("snakemake_executor_plugin_slurm"),
    reason="no SLURM plugin: pip install -e '.[slurm]'",
)
def test_snakemake_knows_every_setting_of_the_profile():
    shown = subprocess.run(
        [sys.executable, "-m", "snakemake", "--help"], capture_output=True, text=True
    ).stdout
    assert not [name for name in PROFILES["slurm"] if f"--{name}" not in shown]
