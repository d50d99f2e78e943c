"""What holds of every study, because others rely on it."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from subcritic import profiles, provenance
from subcritic.studies import NAMES, STUDIES
from subcritic.study import Job
from subcritic.tracking import views

FOLDER = provenance.PACKAGE / "studies"
EVERY = pytest.mark.parametrize("study", STUDIES.values(), ids=lambda study: study.name)


@pytest.fixture(scope="module")
def profile():
    return profiles.parse({
        "profile": "p", "environments": ["subcritic/CartRest-v0", "Pendulum-v1"],
        "methods": [{"algorithm": "ddpg"}, {"algorithm": "linear"}],
    })  # fmt: skip


def test_every_folder_is_a_study_and_every_study_a_folder():
    folders = {path.name for path in FOLDER.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(NAMES) == {study.name for study in STUDIES.values()}


@EVERY
def test_a_study_has_the_files_of_what_it_does(study):
    folder = FOLDER / study.name
    assert (folder / "run.py").is_file() == study.measures
    assert (folder / "report.py").is_file() == bool(study.shown)
    assert (folder / "publish.py").is_file() == study.publishes
    captions = {file.caption for file in study.shown.values() if file.caption}
    assert {path.stem for path in folder.glob("*.rst")} == captions
    assert all((folder / f"{name}.rst").read_text().strip() for name in captions)


def test_reports_import_neither_what_measures_nor_torch_nor_mlflow():
    code = (
        "import importlib, re, sys\n"
        "from subcritic.studies import STUDIES\n"
        "for name, study in STUDIES.items():\n"
        "    if study.shown:\n"
        "        importlib.import_module(f'subcritic.studies.{name}.report')\n"
        "heavy = {'torch', 'mlflow', 'stable_baselines3'} & set(sys.modules)\n"
        "print(sorted(heavy | {name for name in sys.modules if re.fullmatch(r'subcritic\\.studies\\.\\w+\\.run', name)}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_making_a_report_loads_a_recorded_profile_without_torch(tmp_path):
    """Neither do the jobs that say which files it reads."""
    code = (
        "import sys\nfrom subcritic import profiles\nfrom subcritic.studies import STUDIES\n"
        f"profile = profiles.load({str(Path(__file__).parents[2] / 'configs/quick.yaml')!r}, recorded=True)\n"
        "jobs = [job.name for study in STUDIES.values() for job in study.jobs(profile)]\n"
        "print(len(jobs) > 50, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"], done.stdout + done.stderr


@EVERY
def test_jobs_are_told_apart_and_say_all_that_is_recorded(study, profile):
    jobs = list(study.jobs(profile))
    assert all(isinstance(job, Job) and job.study == study.name for job in jobs)
    assert len({job.name for job in jobs}) == len(jobs)
    for job in jobs:
        assert {kind for kind in ("environment", "method") if getattr(job, kind)} == set(study.over)
        assert job == study.job(profile, job.environment, job.method)
        assert bool(job.runs) <= bool(job.seeds)


@EVERY
def test_files_of_a_study_are_its_own(study):
    mine = [file.path for file in study.records.values()]
    mine += [path for file in study.shown.values() for path in file.paths]
    others = [
        path
        for other in STUDIES.values()
        if other is not study
        for path in [file.path for file in other.records.values()]
        + [path for file in other.shown.values() for path in file.paths]
    ]
    assert len(set(mine)) == len(mine) and not set(mine) & set(others)
    for file in study.records.values():
        assert all(f"{{{kind}}}" in file.path for kind in study.over), "jobs would write one file"


@EVERY
def test_a_study_reads_studies_there_are(study):
    assert {*study.reads, *study.reads_shown} <= set(STUDIES)


def test_mlflow_shows_the_studies_in_reading_order():
    shown = [name for name, study in STUDIES.items() if study.view]
    assert list(views.VIEWS) == shown
    assert [views.experiment_name(name) for name in shown] == [
        f"subcritic/{number}-{name}" for number, name in enumerate(shown, start=1)
    ]
    assert all(len(study.view.about) > 100 for study in STUDIES.values() if study.view)


@EVERY
def test_what_shows_a_study_has_its_parts(study):
    if not study.shown:
        return
    module = importlib.import_module(f"subcritic.studies.{study.name}.report")
    assert callable(module.make)
    assert study.page != "results.md" or callable(module.section), "docs/results.md has its section"


def test_an_unknown_environment_or_method_is_named_with_the_known_ones(profile):
    from subcritic.config import ConfigError

    with pytest.raises(
        ConfigError, match="method 'x' is not in the config of the study experiment2; known: ddpg"
    ):
        STUDIES["experiment2"].job(profile, "Pendulum-v1", "x")
    with pytest.raises(
        ConfigError, match=r"environment 'x' is not in .* theorem; known: subcritic-CartRest-v0"
    ):
        STUDIES["theorem"].job(profile, "x")


@pytest.mark.parametrize("wrong", [["experiment3"], [], "experiment2"])
def test_a_wrong_list_of_studies_is_refused(wrong):
    from subcritic.config import ConfigError

    with pytest.raises(ConfigError, match="studies"):
        profiles.parse({"profile": "p", "environments": ["Pendulum-v1"], "studies": wrong})


def test_a_study_of_methods_needs_one():
    from subcritic.config import ConfigError

    with pytest.raises(ConfigError, match="methods: the study experiment2 needs at least 1 method"):
        profiles.parse({"profile": "p", "environments": ["Pendulum-v1"], "studies": ["table"]})
    assert profiles.parse({"profile": "p", "environments": ["Pendulum-v1"], "studies": ["ablation"]})
