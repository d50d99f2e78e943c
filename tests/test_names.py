"""Names from a config become folders and words of commands: none leads out of the results or means anything to a shell."""

import shlex
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from subcritic import profiles, workflow
from subcritic.config import ConfigError
from subcritic.studies import STUDIES

# Likely to be accepted, or to do harm where they are.
LETTERS = st.text(alphabet="aZ09._-/\\~$`'\"; \n\t*{}:=é", max_size=12)
NAMES = LETTERS | st.text(max_size=5) | st.integers(0, 300).map("a".__mul__)
ROOT = Path("/results")


def parsed(profile, environment, method):
    return profiles.parse(
        {
            "profile": profile,
            "environments": [{"id": "Pendulum-v1", "name": environment}],
            "methods": [{"algorithm": "ddpg", "name": method}],
        },
        "my.yaml",
    )


def paths(profile):
    for study in STUDIES.values():
        for job in study.jobs(profile):
            yield from (Path(job.path(file.path)) for file in study.records.values())
            for run in job.runs:
                yield Path("runs") / study.name / run.environment / run.method


@example("..", "a", "a")
@example("a", "../../a", "a")
@example("a", "a", "a; rm -rf ~")
@example("a\n", "a", "a")
@example("a", "a\n", "a")
@example("a", "a", "$(a)")
@example("a", "{environment}", "a")
@given(NAMES, NAMES, NAMES)
@settings(deadline=None)
def test_a_name_is_refused_or_harmless(profile, environment, method):
    try:
        accepted = parsed(profile, environment, method)
    except ConfigError as error:
        assert str(error).startswith("my.yaml: ")
        return
    root = ROOT / accepted.profile
    assert root.parent == ROOT and root.resolve().parent == ROOT
    for path in paths(accepted):
        assert (root / path).resolve().is_relative_to(root)
        assert all(len(part) < 150 for part in path.parts)
    for name in (accepted.profile, accepted.environments[0].name, accepted.methods[0].name):
        assert shlex.quote(name) == name
        assert not name.startswith("-")


@pytest.mark.parametrize("name", ["Pendulum-v1", "a.b_c-1", "A" * 100])
def test_usual_names_are_accepted(name):
    assert parsed(name, name, "ddpg-2_a").environments[0].name == name


@pytest.mark.parametrize(
    "name", ["published", "Published", "mlartifacts", "mlartifacts-shared", "mlflow.db", "logs"]
)
def test_a_profile_cannot_have_a_name_that_all_share(name):
    with pytest.raises(ConfigError, match="belongs to all profiles; choose another name"):
        parsed(name, "a", "a")


def test_a_job_is_told_apart_by_words_of_a_command():
    assert workflow.options({"environment": "a", "method": "b"}) == ["--environment", "a", "--method", "b"]


def test_the_report_lists_results_by_what_they_show():
    profile = parsed("mine", "here", "ddpg")
    study = STUDIES["table"]
    assert workflow.labels(study, study.shown["figure"], profile) == {
        "result": "table",
        "kind": "figure",
        "environments": "here",
        "methods": "ddpg",
    }
    many = profiles.parse(
        {"profile": "suite", "environments": ["subcritic/*"], "methods": [{"algorithm": "ddpg"}]}
    )
    study = STUDIES["experiment2"]
    assert workflow.labels(study, study.shown["learning"], many)["environments"] == "26 environments"
