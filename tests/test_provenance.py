"""What the results of a stage depend on is found from its imports."""

import shutil

import pytest

from subcritic import provenance


def names(stage):
    files = provenance.sources(f"studies/{stage}/run.py")
    return {file.relative_to(provenance.PACKAGE).as_posix() for file in files}


def test_a_stage_depends_on_what_its_modules_import_and_not_on_what_only_shows_it():
    experiment1 = names("experiment1")
    assert {
        "measuring/snapshots.py",
        "nn/backprop.py",
        "agents/ddpg.py",
        "stats/similarity.py",
    } <= experiment1
    assert not [
        name
        for name in experiment1
        if name.startswith(("reporting", "publishing", "tracking", "cli", "config"))
    ]
    assert "measuring/interventions.py" in names("gradients") - experiment1
    assert "subcritics/subcritic.py" not in names("experiment2")


@pytest.fixture
def copied(tmp_path, monkeypatch):
    package = tmp_path / "subcritic"
    shutil.copytree(provenance.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "PACKAGE", package)

    def digests():
        provenance.code_digest.cache_clear()
        provenance.stage_digest.cache_clear()
        return {
            stage: provenance.stage_digest(stage) for stage in ("experiment1", "experiment2", "throughput")
        }

    yield package, digests
    provenance.code_digest.cache_clear()
    provenance.stage_digest.cache_clear()


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("nn/mlp.py", {"experiment1", "experiment2", "throughput"}),
        ("training/trainer.py", {"experiment1", "experiment2"}),
        ("subcritics/family.py", {"experiment1"}),
        ("studies/throughput/operations.py", {"throughput"}),
        ("studies/table/report.py", set()),
        ("tracking/mirror.py", set()),
    ],
)
def test_an_edit_changes_the_digest_of_the_stages_it_affects_and_of_no_other(copied, file, changed):
    package, digests = copied
    before = digests()
    (package / file).write_text((package / file).read_text() + "\n# edited\n")
    after = digests()
    assert {stage for stage in before if before[stage] != after[stage]} == changed
