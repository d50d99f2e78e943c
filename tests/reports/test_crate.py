"""The export of published results as an RO-Crate."""

import json
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from subcritic import provenance
from subcritic.config import ConfigError
from subcritic.publishing.crate import CONFORMS_TO, export

PROJECT = Path(__file__).parents[2]
PUBLISHED = PROJECT / "results" / "published"


@pytest.fixture(scope="module")
def crate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crate") / "quick"
    metadata = export("quick", PUBLISHED, PROJECT, folder)
    graph = json.loads(metadata.read_text())["@graph"]
    return folder, {entity["@id"]: entity for entity in graph}


def ids(value):
    return {entry["@id"] for entry in (value if isinstance(value, list) else [value])}


def test_every_file_is_described_and_every_description_has_its_file(crate):
    folder, entities = crate
    described = {name for name, entity in entities.items() if "File" in entity["@type"]}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == described | {"ro-crate-metadata.json"}
    assert {f"results/{path.name}" for path in (PUBLISHED / "quick").iterdir()} <= there
    assert ids(entities["./"]["hasPart"]) >= described


def test_no_entity_is_referred_to_that_is_not_described(crate):
    _, entities = crate
    for entity in entities.values():
        for key, value in entity.items():
            if key in ("@id", "@type", "@reverse"):
                continue
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, dict):
                    assert part["@id"] in entities or part["@id"].startswith("https://"), (key, part)


def test_the_run_names_what_it_read_wrote_and_by_what(crate):
    _, entities = crate
    run = entities["#run-quick"]
    facts = json.loads((PUBLISHED / "quick" / "provenance.json").read_text())
    assert run["@type"] == "CreateAction" and ids(run["instrument"]) == {"workflow/Snakefile"}
    assert ids(run["object"]) == {"results/config.yaml"}
    assert "results/table.csv" in ids(run["result"])
    assert all(commit in run["description"] for commit in facts["run_commits"])
    assert "endTime" not in run and entities["./"]["datePublished"] == facts["published"]
    workflow = entities["workflow/Snakefile"]
    assert set(workflow["@type"]) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    assert ids(entities["./"]["mainEntity"]) == {"workflow/Snakefile"}
    assert workflow["version"] == provenance.source_name(), "of the file that is in the crate"
    assert entities["#torch"]["softwareVersion"] == facts["versions"]["torch"]


def test_it_says_to_which_profiles_it_conforms(crate):
    _, entities = crate
    assert ids(entities["./"]["conformsTo"]) == set(CONFORMS_TO)
    assert entities["ro-crate-metadata.json"]["about"] == {"@id": "./"}


def test_it_is_written_again_in_place(crate):
    folder, entities = crate
    again = json.loads(export("quick", PUBLISHED, PROJECT, folder).read_text())["@graph"]
    assert {entity["@id"] for entity in again} == set(entities)


OTHER = {
    "no crate": {"mine.txt": "mine"},
    "another crate": {
        "data.csv": "1",
        "ro-crate-metadata.json": json.dumps({"@graph": [{"@id": "data.csv"}]}),
    },
    "no metadata": {"ro-crate-metadata.json": "[]"},
}


@pytest.mark.parametrize("files", OTHER.values(), ids=OTHER)
def test_a_folder_with_something_else_is_left_alone(tmp_path, files):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match="is of no crate of 'quick'; name another folder with --output"):
        export("quick", PUBLISHED, PROJECT, tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == files


def test_a_file_of_others_in_a_crate_is_left_alone_and_so_is_the_crate_of_another_profile(crate):
    folder, _ = crate
    mine = folder / "results" / "mine.txt"
    mine.write_text("mine")
    with pytest.raises(ConfigError, match=r"holds results/mine\.txt, which is of no crate of 'quick'"):
        export("quick", PUBLISHED, PROJECT, folder)
    mine.unlink()
    with pytest.raises(ConfigError, match="is of no crate of 'suite'"):
        export("suite", PUBLISHED, PROJECT, folder)


def test_a_crate_stays_where_no_new_one_can_be_made(crate, monkeypatch):
    folder, _ = crate
    before = (folder / "ro-crate-metadata.json").read_bytes()
    with monkeypatch.context() as patch, pytest.raises(ConfigError, match="needs the package rocrate"):
        patch.setitem(sys.modules, "rocrate.rocrate", None)
        export("quick", PUBLISHED, PROJECT, folder)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
        patch.setattr("rocrate.rocrate.ROCrate.write", Mock(side_effect=OSError("full")))
        export("quick", PUBLISHED, PROJECT, folder)
    assert (folder / "ro-crate-metadata.json").read_bytes() == before
    assert list(folder.parent.iterdir()) == [folder]


def test_a_profile_that_is_not_published_is_named_with_those_that_are(tmp_path):
    with pytest.raises(
        ConfigError, match=r"profile 'quik': nothing is published in .*; known: .*quick.*suite"
    ):
        export("quik", PUBLISHED, PROJECT, tmp_path / "crate")
