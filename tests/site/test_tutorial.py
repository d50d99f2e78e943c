"""docs/tutorial.md works as it stands: its files, its commands, its Python, and the published numbers it shows."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from subcritic import commands

PROJECT = Path(__file__).parents[2]
TEXT = (PROJECT / "docs" / "tutorial.md").read_text()
FILES = dict(re.findall(r"n a file `([\w.]+)`:\n\n```\w+\n(.*?)```", TEXT, re.DOTALL))
(LOOKING,) = [
    block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if block not in FILES.values()
]
COMMANDS = [
    shlex.split(line, comments=True)[1:] for line in re.findall(r"^ {4}(subcritic .*)", TEXT, re.MULTILINE)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the tutorial's files, in which its rule was trained, for fewer steps and seeds."""
    folder = tmp_path_factory.mktemp("tutorial")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (training,) = [words for words in COMMANDS if words[0] == "experiment2"]
    run(folder, "-m", "subcritic.cli", *training, "--seeds", "2", "--steps", "1200")
    return folder


def run(folder, *arguments):
    path = os.pathsep.join([str(folder), str(PROJECT / "src")])
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stderr
    return done.stdout


def test_it_has_a_rule_and_a_profile():
    assert set(FILES) == {"own_rules.py", "bits.yaml"}


def test_every_command_has_options_that_exist():
    assert len(COMMANDS) >= 5
    for words in COMMANDS:
        if words != ["--help"]:
            commands._parser().parse_args(words)


def test_the_profile_is_valid_and_names_the_rule(folder):
    shown = run(folder, "-m", "subcritic.cli", "config", "bits.yaml")
    assert "own_rules:OneBitRule" in shown and "name: one-bit" in shown


def test_the_rule_was_trained_and_its_results_can_be_looked_at(folder):
    looking = LOOKING.replace("results/quick", "results/bits-local").replace("learned-feedback", "one-bit")
    printed = run(folder, "-c", looking)
    assert "return/evaluation" in LOOKING and "torch.Size([2, " in printed
    assert "(3, 32, 32, 1)" in printed and "[0, 1]" in printed


def test_the_table_is_the_published_one():
    published = pd.read_csv(PROJECT / "results" / "published" / "quick" / "table.csv")
    published = published.set_index(["environment", "method"])
    rows = re.findall(r"^\| Pendulum-v1 \| (.*) \|$", TEXT.split("```text")[1], re.MULTILINE)
    assert len(rows) == 3
    for row in rows:
        method, average, interval, normalised, of_normalised, seeds, diverged = row.split(" | ")
        found = published.loc[("Pendulum-v1", method)]
        assert average == f"{found['average']:.0f}"
        assert interval == f"[{found['low']:.0f}, {found['high']:.0f}]"
        assert normalised == f"{found['normalised_average']:.2f}"
        assert of_normalised == f"[{found['normalised_low']:.2f}, {found['normalised_high']:.2f}]"
        assert (int(seeds), int(diverged)) == (found["seeds"], found["diverged"])
