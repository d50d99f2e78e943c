"""What can be checked of the recipes for containers without one."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
RULE = """
rule:
    output: "results/quick/seeds.txt"
    params: seeds=config["seeds"]
    shell: "echo {params.seeds} > {output}"
"""


def test_a_new_container_knows_from_which_config_the_results_in_the_volume_are(tmp_path):
    """The link and the entry point are the Dockerfile's; a container is a folder, and the volume its results."""
    (link,) = re.findall(r"ln -s \S+ \S+", DOCKERFILE)
    (entry_point,) = re.findall(r"^ENTRYPOINT (\[.*\])$", DOCKERFILE, re.MULTILINE)

    def run(container, *arguments):
        folder = tmp_path / container
        folder.mkdir()
        (folder / "Snakefile").write_text(RULE)
        subprocess.run(link.split(), cwd=folder, check=True)
        if (volume := tmp_path / "results").exists():
            volume.rename(folder / "results")
        command = [*json.loads(entry_point), sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert not done.returncode, done.stderr
        (folder / "results").rename(volume)
        shutil.rmtree(folder)
        return done.stdout + done.stderr

    run("first", "--config", "seeds=1")
    assert "Nothing to be done" in run("second", "--config", "seeds=1")
    run("third", "--config", "seeds=2")
    assert (tmp_path / "results" / "quick" / "seeds.txt").read_text() == "2\n"


def test_apptainer_is_given_one_file_and_its_place_a_line():
    """Of a line under %files it takes the first two words."""
    files = re.search(r"^%files\n((?:    .*\n)+)", (ROOT / "apptainer.def").read_text(), re.MULTILINE)
    for line in files[1].splitlines():
        source, place = line.split()
        assert (ROOT / source).exists() and place == f"/opt/subcritic/{source}"
