"""What the Snakemake workflow catalog asks of a repository, for its area of standardised usage."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def test_the_repository_has_what_the_catalog_looks_for():
    readme = (ROOT / "README.md").read_text().lower()
    assert "snakemake" in readme and "workflow" in readme
    assert list((ROOT / "workflow" / "rules").glob("*.smk"))
    assert (ROOT / "workflow" / "Snakefile").is_file() and (ROOT / "config" / "README.md").is_file()


def test_the_flags_it_shows_name_a_file_that_is_there():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    (config,) = re.findall(r"--configfile=(\S+)", usage["mandatory-flags"]["flags"])
    assert (ROOT / config).is_file()
    assert set(usage["software-stack-deployment"]) == {"conda", "apptainer", "apptainer+conda", "report"}
