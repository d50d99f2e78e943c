"""The export of published results as an RO-Crate."""

import json
from pathlib import Path

import pytest

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
    assert "results/table.csv" in ids(run["result"]) and run["endTime"] == facts["published"]
    workflow = entities["workflow/Snakefile"]
    assert set(workflow["@type"]) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    assert ids(entities["./"]["mainEntity"]) == {"workflow/Snakefile"}
    assert workflow["version"] == ", ".join(facts["run_commits"])
    assert entities["#torch"]["softwareVersion"] == facts["versions"]["torch"]


def test_it_says_to_which_profiles_it_conforms(crate):
    _, entities = crate
    assert ids(entities["./"]["conformsTo"]) == set(CONFORMS_TO)
    assert entities["ro-crate-metadata.json"]["about"] == {"@id": "./"}


def test_it_is_written_again_in_place(crate):
    folder, entities = crate
    again = json.loads(export("quick", PUBLISHED, PROJECT, folder).read_text())["@graph"]
    assert {entity["@id"] for entity in again} == set(entities)


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is no crate; name another folder with --output"):
        export("quick", PUBLISHED, PROJECT, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_profile_that_is_not_published_is_named_with_those_that_are(tmp_path):
    with pytest.raises(
        ConfigError, match=r"profile 'quik': nothing is published in .*; known: .*quick.*suite"
    ):
        export("quik", PUBLISHED, PROJECT, tmp_path / "crate")
