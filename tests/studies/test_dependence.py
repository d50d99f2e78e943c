"""What a result depends on: only that makes a job run again, and all of that does."""

import shutil
from pathlib import Path

import pytest

from subcritic import config, profiles, provenance, workflow
from subcritic.measuring import code
from subcritic.nn import compiled
from subcritic.rules import RULES
from subcritic.studies import STUDIES

# What files of the copies are read as, by their path, time and size: most of them are the same in every copy.
TREES, NAMES = {}, {}

PENDULUM, MOUNTAIN, CART = "Pendulum-v1", "MountainCarContinuous-v0", "subcritic/CartRest-v0"


def profile(**changes):
    return profiles.parse({
        "profile": "test", "seeds": 2, "environments": [PENDULUM, {"id": MOUNTAIN, "steps": 500}, CART],
        "methods": [{"algorithm": "ddpg"}, {"algorithm": "linear"}], "training": {"steps": 1000},
        "ablation": {"steps": 300, "methods": [{"algorithm": "ddpg"}, {"algorithm": "compatible"}]}, **changes,
    })  # fmt: skip


def jobs(chosen):
    """Name of every job of every study → all that Snakemake compares of it."""
    return {
        job.name: workflow.job_depends_on(job) for study in STUDIES.values() for job in study.jobs(chosen)
    }


def changed(before, after):
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_more_training_repeats_experiment_2_where_it_applies_and_nothing_else():
    found = changed(jobs(profile()), jobs(profile(training={"steps": 2000})))
    # MountainCar has steps of its own; Experiment 1, the ablation, threads and recurrence have theirs.
    assert {name for name in found if name.startswith("experiment2/")} == {
        f"experiment2/{environment}/{method}"
        for environment in (PENDULUM, "subcritic-CartRest-v0")
        for method in ("ddpg", "linear")
    }
    # Robustness and films play the policies that Experiment 2 has trained.
    assert studies_of(found) == {"experiment2", "robustness", "films"}


@pytest.mark.parametrize(
    ("study", "settings"),
    [
        ("ablation", {"steps": 400, "methods": [{"algorithm": "ddpg"}, {"algorithm": "compatible"}]}),
        ("throughput", {"rounds": 4}),
        ("theorem", {"aliases": 9}),
        ("scaling", {"actor_steps": [3]}),
        ("asynchronous", {"lag": 8}),
        ("recurrent", {"training": {"steps": 900, "final_episodes": 3}}),
        ("clocks", {"agent": {"sequence": 5}}),
        ("robustness", {"episodes": 3}),
    ],
)
def test_a_studys_own_settings_repeat_all_its_jobs_and_no_others(study, settings):
    found = changed(jobs(profile()), jobs(profile(**{study: settings})))
    assert found == {job.name for job in STUDIES[study].jobs(profile())}


def test_reports_of_other_studies_stay_when_training_gets_longer():
    before, after = profile(), profile(training={"steps": 2000})
    found = {
        name
        for name, study in STUDIES.items()
        if study.shown
        and workflow.report_depends_on(study, before) != workflow.report_depends_on(study, after)
    }
    assert "experiment2" in found and "table" in found
    assert not found & {"experiment1", "gradients", "throughput", "theorem", "scaling", "asynchronous"}
    assert not found & {"recurrent", "ablation", "lab_book", "references", "gallery"}


@pytest.mark.parametrize("setting", ["checkpoint_seconds", "log_every", "progress_seconds"])
def test_what_changes_no_number_repeats_nothing_and_keeps_every_checkpoint(setting, tmp_path):
    before, after = profile(), profile(runtime={setting: 7})
    assert getattr(after.runtime, setting) == 7
    assert not changed(jobs(before), jobs(after))
    for study in STUDIES.values():
        if study.shown:
            assert workflow.report_depends_on(study, before) == workflow.report_depends_on(study, after)
    assert keys(before, tmp_path) == keys(after, tmp_path)


def keys(chosen, results):
    """The checkpoint's key of every training."""
    from subcritic.measuring.session import Session

    return {
        (job.name, run.environment, run.method): Session(job, run, results).key
        for name in ("experiment1", "experiment2", "ablation", "asynchronous", "recurrent")
        for job in STUDIES[name].jobs(chosen)
        for run in job.runs
    }


def test_a_longer_film_repeats_films_and_no_planner():
    found = changed(jobs(profile()), jobs(profile(gallery={"seconds": 9.0})))
    assert found and all(name.startswith("gallery/") for name in found)


def test_the_source_of_references_repeats_anchors_and_no_planner():
    found = changed(jobs(profile()), jobs(profile(references={"source": "measured"})))
    assert found and all(name.startswith("anchors/") for name in found)


def test_a_job_gets_what_its_run_records_and_its_checkpoint_is_keyed_by():
    for study in STUDIES.values():
        for job in study.jobs(profile()):
            parts = {config.digest(config.dump(part)) for part in code.parts_of(job.config)}
            for run in job.runs:
                assert config.digest(config.dump(run.config)) in parts, job.name


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the package to edit, and the digests of code that jobs and reports depend on, there."""
    package = tmp_path / "subcritic"
    shutil.copytree(provenance.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "PACKAGE", package)
    monkeypatch.setattr(provenance, "_tree", once(provenance._tree.__wrapped__, TREES))
    names = provenance._names
    monkeypatch.setattr(provenance, "_names", once(lambda file, package: list(names(file, package)), NAMES))
    chosen = profile()

    def digests():
        for cached in (provenance._digest, provenance._imported):
            cached.cache_clear()
        found = {job.name: code.job_code(job) for study in STUDIES.values() for job in study.jobs(chosen)}
        return found | {
            f"{name}_report": workflow.report_depends_on(study, chosen)["code"]
            for name, study in STUDIES.items()
            if study.shown
        }

    yield package, digests
    for cached in (provenance._digest, provenance._imported):
        cached.cache_clear()


def once(read, known):
    """What is read of a file, read once for each state that it has had; a copy has the time of what it was copied from."""

    def reading(file, package):
        state = file.stat()
        key = str(file)[len(str(package)) :], state.st_mtime_ns, state.st_size
        if key not in known:
            known[key] = read(file, package)
        return known[key]

    return reading


def edit(path: Path, old: str = "", new: str = "\nEDITED = 1\n") -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1) if old else text + new)


def studies_of(names):
    return {name.partition("/")[0] for name in names}


def test_a_comment_a_docstring_and_layout_repeat_nothing(copied):
    package, digests = copied
    before = digests()
    for file in package.rglob("*.py"):
        edit(file, new="\n\n# A comment.\n")
    edit(package / "nn/mlp.py", '"""', '"""More words. ')
    edit(package / "rules/linear.py", '    """', '    """More words. ')
    assert digests() == before


@pytest.mark.parametrize(
    ("file", "repeated"),
    [
        (
            "training/trainer.py",
            {
                "experiment1",
                "experiment2",
                "ablation",
                "asynchronous",
                "recurrent",
                "clocks",
                "robustness",
                "films",
                "agreement",
                "throughput",
            },
        ),
        ("subcritics/family.py", {"experiment1", "gradients", "scaling"}),
        ("studies/throughput/operations.py", {"throughput"}),
        ("studies/theorem/run.py", {"theorem"}),
        ("tracking/mirror.py", set()),
        ("publishing/page.py", set()),
        ("study.py", set()),
        # Of the cart of this profile, and of tasks of asynchronous and recurrent, which are tasks of the suite.
        (
            "envs/suite/environment.py",
            {"anchors", "experiment1", "experiment2", "gradients", "theorem", "scaling"}
            | {"references", "gallery", "robustness", "films", "asynchronous", "recurrent"},
        ),
        ("studies/ablation/__init__.py", set()),
    ],
)
def test_an_edit_repeats_the_studies_it_affects_and_no_other(copied, file, repeated):
    package, digests = copied
    before = digests()
    edit(package / file)
    found = {name for name in changed(before, digests()) if not name.endswith("_report")}
    assert studies_of(found) == repeated


@pytest.mark.parametrize("study", [name for name, study in STUDIES.items() if study.shown])
def test_a_change_of_one_report_remakes_that_report_alone(copied, study):
    package, digests = copied
    before = digests()
    edit(package / f"studies/{study}/report.py")
    assert changed(before, digests()) == {f"{study}_report"}


def test_a_report_depends_on_what_it_imports_wherever_that_is(copied):
    package, digests = copied
    before = digests()
    edit(package / "stats/intervals.py", "CLEAR = 5.0", "CLEAR = 6.0")
    found = changed(before, digests())
    assert {"table_report", "ablation_report", "references_report"} <= found


def test_a_rule_counts_where_it_is_used(copied):
    package, digests = copied
    before = digests()
    edit(package / "rules/compatible.py")
    found = changed(before, digests())
    assert f"ablation/{PENDULUM}/compatible" in found and "throughput" in found
    assert f"agreement/{PENDULUM}/ddpg" in found, "rules follow it there"
    others = {name for name in found if not name.startswith("agreement/")}
    assert not {name for name in others if "ddpg" in name or "linear" in name}


def test_a_new_rule_leaves_all_that_was_there_but_the_timing_of_all_rules(copied, monkeypatch):
    package, digests = copied
    before, compared = digests(), jobs(profile())
    shutil.copy(package / "rules/linear.py", package / "rules/new_rule.py")
    monkeypatch.setitem(RULES, "new_rule", "subcritic.rules.new_rule:NewRule")
    assert changed(before, digests()) == {"throughput"}
    assert changed(compared, jobs(profile())) == {"throughput"}


def test_another_description_of_a_setting_repeats_nothing(copied):
    package, digests = copied
    before = digests()
    edit(package / "rules/compatible.py", 'description="', 'description="In other words: ')
    assert digests() == before


def test_settings_that_decide_what_a_learner_is_made_of_count(copied):
    package, digests = copied
    before = digests()
    edit(package / "config/local.py")
    found = changed(before, digests())
    assert f"ablation/{PENDULUM}/compatible" in found and f"experiment2/{PENDULUM}/linear" in found
    assert f"experiment2/{PENDULUM}/ddpg" not in found


def test_another_environment_leaves_the_checkpoints_of_those_that_were_there(tmp_path):
    cart = {"id": CART, "name": "Cart"}
    before = profile(recurrent={"environments": [PENDULUM]})
    after = profile(recurrent={"environments": [PENDULUM, cart]})
    kept = {name: key for name, key in keys(before, tmp_path).items() if name[0] == "recurrent"}
    assert kept.items() <= keys(after, tmp_path).items()


def test_a_table_that_comes_with_a_study_counts_for_its_report(copied):
    package, digests = copied
    before = digests()
    path = package / "studies/table/lillicrap2016_table1.csv"
    path.write_text(path.read_text() + "more\n")
    assert changed(before, digests()) == {"table_report"}


def test_a_task_counts_where_it_is_used_and_a_new_one_leaves_all_that_was_there(copied, monkeypatch):
    package, digests = copied
    before = digests()
    # The cheetah's family; the cart of this profile is in another.
    edit(package / "envs/suite/runners.py")
    edit(
        package / "suite.py",
        "LISTED = {",
        'LISTED = {\n    "new": Entry("New", "runners", 100),',
    )
    assert digests() == before
    edit(package / "envs/suite/poles.py")
    found = changed(before, digests())
    assert any("CartRest" in name for name in found)
    # The same family as the cart's is that of cartpoles, with velocities hidden.
    others = {name for name in found if not name.startswith("recurrent/HiddenVelocityCartpole")}
    assert not {name for name in others if PENDULUM in name or MOUNTAIN in name}


def test_a_foreign_environment_counts_with_its_code(tmp_path, monkeypatch):
    module = tmp_path / "foreign_tasks.py"
    module.write_text(
        "import gymnasium as gym\n"
        "from gymnasium.envs.classic_control.pendulum import PendulumEnv\n"
        "class Mine(PendulumEnv):\n    pass\n"
        "gym.register('Mine-v0', 'foreign_tasks:Mine', max_episode_steps=50)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    chosen = profile(environments=["foreign_tasks:Mine-v0"])
    job = STUDIES["experiment2"].job(chosen, "Mine-v0", "ddpg")
    before = code.job_code(job)
    assert code.job_code(job) == before
    module.write_text(module.read_text().replace("    pass", "    gravity = 1"))
    assert code.job_code(job) != before


def test_compiled_functions_count_as_code_of_what_calls_them():
    """They are loaded by name, which no import statement shows."""

    def kernels(root):
        paths = (path.relative_to(provenance.PACKAGE) for path in provenance.sources(root))
        return {path.as_posix() for path in paths if path.name.endswith("kernels.py")}

    assert "nn/backprop_kernels.py" in kernels("nn/backprop.py")
    assert "nn/backprop_kernels.py" not in kernels("rules/linear.py") >= {"nn/kernels.py", "rules/kernels.py"}
    every = {
        path.relative_to(provenance.PACKAGE).as_posix() for path in provenance.PACKAGE.rglob("*kernels.py")
    }
    assert every == set(compiled.MODULES)
    assert kernels("studies/experiment2/run.py") == every - {"neuro/kernels.py"}
    assert "neuro/kernels.py" in kernels("studies/clocks/run.py")
