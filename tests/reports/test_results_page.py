"""Only a whole, finished, current profile is published, and the page says nothing but what is published."""

import itertools
import json
import os
import re
import shutil
from pathlib import Path

import graph_records
import pandas as pd
import pytest
import synthetic
import yaml
from matplotlib.figure import Figure

from subcritic import config, profiles
from subcritic.publishing import page as results_page
from subcritic.publishing import provenance, reports
from subcritic.publishing import publish as publishing
from subcritic.publishing.check import chosen
from subcritic.reporting import records
from subcritic.studies import STUDIES
from subcritic.studies.ablation import diagnostics
from subcritic.studies.ablation import drawing as ablation_drawing
from subcritic.studies.ablation import report as ablation
from subcritic.studies.asynchronous import report as asynchronous
from subcritic.studies.clocks import report as clocks
from subcritic.studies.experiment1 import report as similarity
from subcritic.studies.experiment2 import report as learning
from subcritic.studies.gradients import readings
from subcritic.studies.gradients import report as agreement
from subcritic.studies.recurrent import report as recurrent
from subcritic.studies.references import publish as package_references
from subcritic.studies.robustness import report as robustness
from subcritic.studies.scaling import drawing
from subcritic.studies.scaling import report as scaling
from subcritic.studies.table import report as table
from subcritic.studies.table import results as table_results
from subcritic.studies.theorem import report as theorem
from subcritic.studies.throughput import report as throughput
from subcritic.tracking import Identity, log_results
from subcritic.tracking.record import Run

SEEDS = 2
TASKS = ("CartRest", "CartpoleBalance", "CartpoleSwingUp", "PendulumSwingUp", "ReacherOneFixed", "Cheetah")
# Empty figures will do here, and are quick.
DRAWN = (
    *(
        (module, "figure")
        for module in (
            learning,
            ablation_drawing,
            diagnostics,
            agreement,
            throughput,
            theorem,
            drawing,
            robustness,
            recurrent,
            clocks,
        )
    ),
    (table, "scores_figure"),
    (table, "aggregates_figure"),
    (readings, "training_figure"),
    (learning, "small_figure"),
    (learning, "cosine_figure"),
    (similarity, "similarity_figure"),
    (similarity, "values_figure"),
)


def compared(root, name, methods, table, profile):
    """The table of a study that compares learners, as `table` makes it of scores, and stand-ins for the rest."""
    scores = pd.DataFrame([
        {"environment": "Pendulum-v1", "method": method, "seed": seed, "score": -seed - 1.0, "diverged_at": float("nan")}
        for method in methods for seed in profile.seed_list()
    ])  # fmt: skip
    table(scores, profile=profile).to_csv(root / "table" / f"{name}.csv", index=False)
    (root / "table" / f"{name}.md").write_text("# Stand-in\n")
    Figure().savefig(root / "figures" / f"{name}.png")


def record(profile, results):
    """Every run that the profile's studies record, finished; and files without rows, where there are none."""
    for study in chosen(profile):
        for name in (study.name, *study.reads):
            for job in STUDIES[name].jobs(profile):
                for run, seed in itertools.product(job.runs, job.seeds):
                    identity = Identity(job.profile, job.study, run.environment, run.method, seed)
                    Run.open(results, identity, config.dump(run.config_of(seed))).finish()
                for file in STUDIES[name].records.values():
                    path = results / profile.profile / job.path(file.path)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if path.exists():
                        path.touch()
                    else:
                        path.write_text(",".join(file.columns) + "\n")


def made(profile, results):
    """The records of all reports, made from what is there now."""
    for study in chosen(profile):
        log_results(results, profile.profile, study.name, {}, inputs=reports.reads(study, profile, results))


@pytest.fixture(scope="module")
def finished_profile(tmp_path_factory):
    """The results folder of a small finished profile."""
    results = tmp_path_factory.mktemp("finished") / "results"
    hidden = {"id": "subcritic/HiddenVelocityPendulum-v0", "name": "Hidden", "observed": "Pendulum-v1"}
    profile = synthetic.profile(
        environments=["Pendulum-v1", "LunarLanderContinuous-v3"],
        seeds=SEEDS,
        recurrent={"environments": [hidden]},
        clocks={"environments": ["Pendulum-v1"], "ticks": [1, 4]},
    )
    root = synthetic.write(profile, results / "synthetic")
    graph_records.write(profile, root)
    record(profile, results)
    with pytest.MonkeyPatch.context() as patch:
        for module, function in DRAWN:
            patch.setattr(module, function, lambda *_: Figure())
        for report in (
            learning,
            ablation,
            similarity,
            agreement,
            table,
            throughput,
            theorem,
            scaling,
            robustness,
            recurrent,
            clocks,
        ):
            report.make(profile, root)
    ways = ("linear-synchronous", "linear-asynchronous")
    compared(root, "asynchronous", ways, asynchronous.return_table, profile)
    (root / "table" / "asynchronous_speed.csv").write_text("hidden,batch,learner\n")
    (root / "table" / "asynchronous_messages.csv").write_text("learner,hidden\n")
    (root / "config.yaml").write_text(yaml.safe_dump(config.dump(profile)))
    made(profile, results)
    return results


@pytest.fixture
def results(finished_profile, tmp_path):
    """A copy to damage, with the times of the original."""
    return shutil.copytree(finished_profile, tmp_path / "results", copy_function=shutil.copy2)


@pytest.fixture(scope="module")
def finished_suite(tmp_path_factory):
    """The results folder of a finished profile of some tasks of the suite, two methods."""
    results = tmp_path_factory.mktemp("suite") / "results"
    tasks = [
        {"id": "Pendulum-v1", "steps": 500},
        *({"id": f"subcritic/{name}-v0", "name": name} for name in TASKS),
    ]
    studies = ["experiment2", "table", "references"]
    profile = synthetic.profile(environments=tasks, seeds=SEEDS, studies=studies)
    root = synthetic.write(profile, results / "synthetic")
    record(profile, results)
    with pytest.MonkeyPatch.context() as patch:
        for module, function in DRAWN:
            patch.setattr(module, function, lambda *_: Figure())
        for module in (learning, table):
            module.make(profile, root)
    for name in ("table/references.csv", "table/references.md"):
        (root / name).write_text("stand-in")
    (root / "config.yaml").write_text(yaml.safe_dump(config.dump(profile)))
    made(profile, results)
    return results


@pytest.fixture
def suite(finished_suite, tmp_path, monkeypatch):
    """A copy to damage."""
    # What is published with the package must stay.
    monkeypatch.setattr(package_references, "publish", lambda *_: [])
    return shutil.copytree(finished_suite, tmp_path / "results", copy_function=shutil.copy2)


def publish(results, name="synthetic"):
    return publishing.publish(name, results, results / "published", results.parent / "docs")


def run_file(results, where="experiment2/Pendulum-v1/linear/s1"):
    return results / "synthetic" / "runs" / where / "run.json"


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def kept(profile):
    """The names of the files that publishing a profile keeps."""
    shown = [file.path for study in chosen(profile) for file in study.shown.values() if file.published]
    return {Path(path).name for path in shown} | {
        "config.yaml",
        "provenance.json",
        "facts.json",
        "scores.csv",
    }


def test_every_declared_table_and_figure_is_copied_as_it_is(results):
    publish(results)
    published, root = results / "published" / "synthetic", results / "synthetic"
    expected = kept(profiles.load(root / "config.yaml"))
    assert len(expected) > 30 and {path.name for path in published.iterdir()} == expected
    for kind in ("table", "figures"):
        for path in (root / kind).iterdir():
            if path.name in expected:
                assert (published / path.name).read_bytes() == path.read_bytes()


def test_pages_need_no_config_so_that_its_keys_can_be_renamed(results):
    publish(results)
    published, docs = results / "published", results.parent / "docs"
    page = (docs / "results.md").read_text()
    (published / "synthetic" / "config.yaml").write_text("of: another time\n")
    assert results_page.page(published, docs) == page


def test_every_score_is_published_seed_by_seed(results):
    publish(results)
    scores = pd.read_csv(results / "published" / "synthetic" / "scores.csv")
    recorded = [pd.read_csv(path) for path in (results / "synthetic").glob("*/*/*.scores.csv")]
    assert len(scores) == sum(map(len, recorded)) > 0
    mine = scores[(scores["study"] == "experiment2") & (scores["method"] == "ddpg")]
    (theirs,) = [frame for frame in recorded if len(frame) and frame["method"].iloc[0] == "ddpg"][:1]
    assert set(theirs["score"]) <= set(mine["score"]) and {"seed", "diverged_at"} <= set(scores)


def test_provenance_names_code_packages_machine_and_config(results):
    publish(results)
    made = json.loads((results / "published" / "synthetic" / "provenance.json").read_text())
    resolved = yaml.safe_load((results / "published" / "synthetic" / "config.yaml").read_text())
    assert made["config_digest"] == config.digest(resolved)
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", made["commit"])
    assert made["versions"]["torch"] and made["machine"]["cores"] >= 1 and made["machine"]["processor"]
    assert made["made_on_this_machine"] is True
    assert made["minutes_from_first_start_to_last_end"] >= made["minutes_of_sittings"] >= 0
    assert made["sittings"] >= 1
    assert made["run_commits"] == [json.loads(run_file(results).read_text())["tags"]["commit"]]


def test_a_profile_that_was_left_alone_was_made_in_sittings():
    runs = [(100.0, 110.0), (105.0, 120.0), (149.0, 150.0), (400.0, 410.0)]
    assert provenance.sittings(runs, []) == [(100.0, 150.0), (400.0, 410.0)]
    # A job without runs wrote in between, and another one before the first run.
    assert provenance.sittings(runs[:2], [90.0, 130.0]) == [(100.0, 130.0)]
    assert provenance.sittings([], [1.0]) == []


def test_numbers_of_the_page_are_those_of_the_published_files(results):
    publish(results)
    published = results / "published" / "synthetic"
    text = (results.parent / "docs" / "results.md").read_text()
    value = json.loads((published / "empirical_value.json").read_text())
    assert value["sentence"] in text
    for row in table_results.readable(pd.read_csv(published / "table.csv")).itertuples():
        assert re.search(rf"\| {row.environment} +\| {row.method} +\| {re.escape(row.average)} ", text)
    assert f"{agreement.ROWS['oracle']} " in text and "linear / ddpg = " in text


def test_the_page_follows_the_published_files_and_not_the_results(results):
    publish(results)
    published, docs = results / "published", results.parent / "docs"
    shutil.rmtree(results / "synthetic")
    assert results_page.page(published, docs) == (docs / "results.md").read_text()
    value = json.loads((published / "synthetic" / "empirical_value.json").read_text())
    change(published / "synthetic" / "empirical_value.json", sentence="Changed.", parts=value["parts"])
    assert "Changed." in results_page.page(published, docs)


def test_links_of_the_page_lead_to_files(results):
    publish(results)
    docs = results.parent / "docs"
    links = re.findall(r"\]\(([^)]+)\)", (docs / "results.md").read_text())
    # A page of the repository beside those that are made.
    (results.parent / "CHANGELOG.md").touch()
    outside = [link for link in links if link.startswith("..")]
    assert len(outside) > 10 and all((docs / link).exists() for link in outside)


def test_publishing_again_replaces_what_was_there(results):
    publish(results)
    stray = results / "published" / "synthetic" / "stray.csv"
    stray.touch()
    publish(results)
    assert not stray.exists() and [path.name for path in (results / "published").iterdir()] == ["synthetic"]


def test_profiles_stand_on_one_page_quick_first(results):
    publish(results)
    shutil.copytree(results / "published" / "synthetic", results / "published" / "quick")
    change(results / "published" / "quick" / "facts.json", profile="quick")
    text = results_page.page(results / "published", results.parent / "docs")
    assert text.index("## Profile quick") < text.index("## Profile synthetic")


@pytest.mark.parametrize("name", ["table/agreement.csv", "figures/cosine.png", "table/empirical_value.json"])
def test_a_missing_file_is_named_and_nothing_is_published(results, name):
    (results / "synthetic" / name).unlink()
    with pytest.raises(records.MissingResult, match=rf"{name} missing: .* has not been run to its end"):
        publish(results)
    assert not (results / "published").exists() and not (results.parent / "docs").exists()


def test_tables_that_were_made_from_other_files_are_refused(results):
    path = results / "synthetic" / "anchors" / "Pendulum-v1.json"
    path.write_text(path.read_text() + " ")
    told = r"experiment2 were not made from synthetic/anchors/.*: `subcritic report experiment2 --config .*config.yaml`"
    with pytest.raises(records.MissingResult, match=told):
        publish(results)


def test_a_job_that_has_written_the_same_again_changes_nothing(results):
    for path in (results / "synthetic").glob("*/*.json"):
        os.utime(path)
    publish(results)


def test_files_of_an_older_version_are_named(results):
    publish(results)
    (results / "published/synthetic/table_tasks.csv").unlink()
    with pytest.raises(
        records.MissingResult, match=r"synthetic: was published by an older version, publish it again"
    ):
        results_page.page(results / "published", results.parent / "docs")


def test_facts_of_another_format_are_refused(results):
    publish(results)
    change(results / "published" / "synthetic" / "facts.json", format=0)
    with pytest.raises(records.MissingResult, match=r"facts.json: has format 0, this version reads 1"):
        results_page.page(results / "published", results.parent / "docs")


def test_a_profile_without_trainings_is_published(tmp_path):
    profile = synthetic.profile(environments=["Pendulum-v1"], studies=["throughput"])
    root = synthetic.write(profile, tmp_path / "results" / "synthetic")
    record(profile, tmp_path / "results")
    throughput.make(profile, root)
    (root / "config.yaml").write_text(yaml.safe_dump(config.dump(profile)))
    made(profile, tmp_path / "results")
    publish(tmp_path / "results")
    page = (tmp_path / "docs" / "results.md").read_text()
    assert "### How fast is an update?" in page and "minutes from" not in page


def test_a_profile_that_was_never_run_says_what_to_run(results):
    with pytest.raises(records.MissingResult, match="make reproduce PROFILE=standard"):
        publish(results, "standard")


@pytest.mark.parametrize("status", ["RUNNING", "KILLED", "FAILED"])
def test_a_run_that_did_not_finish_is_refused(results, status):
    change(run_file(results), status=status)
    with pytest.raises(
        records.MissingResult, match=rf"linear/s1/run.json: the run is {status}, only FINISHED"
    ):
        publish(results)


def test_a_run_without_a_record_is_refused(results):
    run_file(results, "experiment1/Pendulum-v1/phase2/s0").unlink()
    with pytest.raises(records.MissingResult, match=r"phase2/s0/run.json is missing"):
        publish(results)


def test_what_a_job_wrote_before_its_runs_ended_is_refused(results):
    os.utime(results / "synthetic" / "experiment2" / "Pendulum-v1" / "ddpg.scores.csv", (0, 0))
    with pytest.raises(
        records.MissingResult, match=r"ddpg\.scores\.csv is older than the run .*Pendulum-v1/ddpg"
    ):
        publish(results)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"experiment1": {"steps": 999}}, "experiment1/Pendulum-v1/phase1/s0"),
        ({"training": {"steps": 999}}, "experiment2/Pendulum-v1/ddpg/s0"),
        (
            {"clocks": {"environments": ["Pendulum-v1"], "ticks": [1, 4], "training": {"steps": 999}}},
            "clocks/Pendulum-v1/common-1-learned-feedback/s0",
        ),
        ({"theorem": {"aliases": 9}}, "theorem/Pendulum-v1/theorem/s0"),
    ],
)
def test_a_run_of_another_config_is_refused(results, changes, where):
    path = results / "synthetic" / "config.yaml"
    now = config.merged(yaml.safe_load(path.read_text()), changes)
    path.write_text(yaml.safe_dump(now))
    with pytest.raises(
        records.MissingResult, match=rf"{where}: was made with another config than .*config.yaml"
    ):
        publish(results)


def test_what_changes_no_number_may_differ(results):
    path = results / "synthetic" / "config.yaml"
    path.write_text(
        yaml.safe_dump(config.merged(yaml.safe_load(path.read_text()), {"runtime": {"log_every": 9}}))
    )
    assert publish(results)


def test_what_was_published_survives_a_refusal(results):
    def published():
        folders = (results / "published", results.parent / "docs")
        return {p: p.read_bytes() for folder in folders for p in folder.rglob("*") if p.is_file()}

    publish(results)
    before = published()
    change(run_file(results), status="KILLED")
    with pytest.raises(records.MissingResult):
        publish(results)
    assert published() == before


def test_a_profile_of_some_studies_is_published_with_these_alone(suite):
    publish(suite)
    published = suite / "published" / "synthetic"
    assert {path.name for path in published.iterdir()} == kept(
        profiles.load(suite / "synthetic" / "config.yaml")
    )
    text = (suite.parent / "docs" / "results.md").read_text()
    assert "ddpg, linear on 7 tasks, 500 or 10,000 steps each." in text
    assert "- ddpg reaches 0.5 or more on 7 of 7 tasks.\n" in text
    assert "Experiment 1:" not in text and "EMPIRICALVALUE" not in text


def test_tasks_near_random_are_named_and_those_without_a_score_are_not_counted():
    rows = pd.DataFrame({
        "environment": ["a", "b", "c", "d"], "method": "ddpg", "normalised_average": [0.5, 0.0999, float("nan"), 0.3],
    })  # fmt: skip
    assert table_results.reached(rows) == ["ddpg reaches 0.5 or more on 1 of 3 tasks; below 0.1: b."]


@pytest.mark.parametrize("name", ["table/references.csv", "figures/learning.png", "table/table.csv"])
def test_a_profile_of_the_suite_without_one_of_its_files_is_refused(suite, name):
    (suite / "synthetic" / name).unlink()
    with pytest.raises(records.MissingResult, match=f"{name} missing"):
        publish(suite)


@pytest.mark.parametrize("where", ["experiment2/Pendulum-v1/ddpg/s1", "references/results/results/s0"])
def test_a_profile_of_the_suite_without_one_of_its_runs_is_refused(suite, where):
    run_file(suite, where).unlink()
    with pytest.raises(records.MissingResult, match=f"{where}/run.json is missing"):
        publish(suite)
