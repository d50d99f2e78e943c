"""The whole chain as a user runs it: one command, all outputs, nothing done twice."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from subcritic import commands, profiles, reproduce
from subcritic.chain import jobs_of, spent
from subcritic.config import digest, dump
from subcritic.publishing import generated
from subcritic.publishing.check import chosen
from subcritic.studies import STUDIES
from subcritic.tracking import Identity, claim, views
from subcritic.tracking.record import read

ENVIRONMENTS = ("Pendulum-v1", "MountainCarContinuous-v0")
# Snakemake's own option, which takes further words for further files without the sign.
TINY = "--configfile=configs/tiny.yaml"
pytestmark = pytest.mark.slow


def shown(profile):
    """The tables and figures of a profile's studies, as they are declared."""
    return [file for study in chosen(profile) for file in study.shown.values()]


@pytest.fixture(scope="module")
def profile(finished):
    return profiles.load(finished.results / "tiny" / "config.yaml", recorded=True)


def test_one_command_makes_every_file_that_studies_declare(finished, profile):
    root = finished.results / "tiny"
    paths = [path for file in shown(profile) for path in (*file.paths, file.page) if path]
    paths += [job.path(file.path) for study in chosen(profile) for job in study.jobs(profile)
              for file in study.records.values()]  # fmt: skip
    assert len(paths) > 80
    assert not [path for path in paths if not (root / path).stat().st_size]
    report = (root / "report.html").read_text()
    assert len(report) > 100_000 and "summary.html" in report and "agreement.html" in report
    assert "<table>" in (root / "summary.html").read_text()


def test_nothing_is_written_that_no_rule_declares(finished, profile):
    """But what is known by its folder: records of runs, logs, and the files of the profile as a whole."""
    root = finished.results / "tiny"
    declared = {path for file in shown(profile) for path in (*file.paths, file.page)}
    declared |= {job.path(file.path) for study in STUDIES.values() for job in study.jobs(profile)
                 for file in study.records.values()}  # fmt: skip
    written = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    known = ("runs/", "logs/", "benchmarks/", "config.yaml", "summary.", "report.html", "lock", "jobs.lock")
    assert {path for path in written if not path.startswith(known)} <= declared


def test_every_published_file_can_be_asked_for_by_name(finished, profile):
    paths = [f"results/tiny/{file.path}" for file in shown(profile)]
    plan = finished.plan(TINY, "--", *paths, "results/tiny/experiment2/Pendulum-v1/ddpg.policy.pt")
    assert "Nothing to be done" in plan


def test_the_graph_of_the_readme_is_that_of_snakemake(finished, profile):
    plan = finished.snakemake(TINY, "--rulegraph").stdout
    names = dict(re.findall(r'(\d+)\[label = "([^"]+)"', plan))
    study = {name: label.removesuffix("_report") for name, label in names.items()}
    arrows = {(study[a], study[b]) for a, b in re.findall(r"(\d+) -> (\d+)", plan)}
    run = {name for pair in arrows for name in pair} - {"all", "summary"}
    expected = {(a, b) for a, b in re.findall(r"(\w+) --> (\w+)", generated.graph()) if {a, b} <= run}
    assert {(a, b) for a, b in arrows if a != b and {a, b} <= run} == expected


def test_it_ends_with_the_table_the_answer_and_where_everything_lies(finished):
    for words in (
        "| Pendulum-v1",
        "EMPIRICALVALUE = ",
        "Updates per second",
        "results/tiny/table/table.md",
        "Done in",
    ):
        assert words in finished.output
    assert re.search(r"step \d+ of 600", finished.output), "progress must be seen while it trains"


def test_the_recorded_numbers_are_those_of_the_table(finished):
    root = finished.results / "tiny"
    table = pd.read_csv(root / "table" / "table.csv").set_index(["environment", "method"])
    for environment in ENVIRONMENTS:
        for method in ("ddpg", "linear"):
            scores = pd.read_csv(root / "experiment2" / environment / f"{method}.scores.csv")
            assert table.loc[(environment, method), "average"] == pytest.approx(scores.score.mean())
            curves = pd.read_csv(root / "experiment2" / environment / f"{method}.csv")
            last = (
                curves[(curves.metric == "return/evaluation") & (curves.step == 600)].set_index("seed").value
            )
            np.testing.assert_allclose(scores.set_index("seed").score, last)


def test_experiment_1_watches_every_layer_and_the_oracle_is_exact(finished):
    root = finished.results / "tiny"
    curves = pd.read_csv(root / "experiment1" / "Pendulum-v1" / "curves.csv")
    assert set(curves.method) == {"phase1", "phase2", "neuron_noise"}
    for layer in (1, 2, 3):
        for name in ("layer", "neurons"):
            series = curves[curves.metric == f"similarity/{name}_{layer}/pearson"].value
            assert series.between(-1, 1).all()
            assert len(series) == 3 * 2 * 3  # runs × seeds × records from step 100 on
    frozen = curves[(curves.method == "phase2") & (curves.metric == "loss/critic")]
    assert frozen.empty, "phase 2 keeps the critic of phase 1"
    agreement = pd.read_csv(root / "gradients" / "Pendulum-v1" / "agreement.csv")
    oracle = agreement[(agreement.reading == "oracle") & (agreement.measure == "cosine")].value
    # A dead neuron has no gradient, and so no direction.
    assert oracle.notna().sum() > 0.5 * len(oracle)
    np.testing.assert_allclose(oracle.dropna(), 1, atol=1e-6)
    value = json.loads((root / "table" / "empirical_value.json").read_text())
    assert value["low"] <= value["value"] <= value["high"]


def test_a_second_call_repeats_nothing_and_shows_the_summary_again(finished, monkeypatch, capsys):
    """In this process, with a plan in place of Snakemake's run; that a call waits for another is in test_stop.py."""
    monkeypatch.chdir(finished.folder)

    def plan(runner, command, *more):
        print(finished.plan(*command[3:]))
        return 0

    monkeypatch.setattr(reproduce.CommandRunner, "run", plan)
    monkeypatch.setattr(reproduce, "_write_report", lambda command: None)
    assert reproduce.reproduce("tiny", []) == 0
    said = capsys.readouterr().out
    assert "Nothing to be done" in said and "EMPIRICALVALUE = " in said and "Done in" in said


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            "seeds=3",
            {
                "experiment1": 2,
                "gradients": 2,
                "theorem": 2,
                "scaling": 2,
                "experiment2": 4,
                "ablation": 3,
                "asynchronous": 1,
                "recurrent": 5,
                "clocks": 5,
                "robustness": 4,
            },
        ),
        ("runtime={log_every: 60, checkpoint_seconds: 3}", {}),
        # The ablation of this profile has no steps of its own.
        ("training={steps: 700}", {"experiment2": 4, "ablation": 3, "robustness": 4}),
        (
            "statistics={confidence: 0.9}",
            {"gradients_report": 1, "table_report": 1, "theorem_report": 1, "ablation_report": 1},
        ),
        # That other studies' own settings repeat these alone is tested without Snakemake, in studies/test_dependence.py.
        ("scaling={actor_steps: [3]}", {"scaling": 2}),
    ],
)
def test_a_changed_config_runs_again_what_depends_on_it(finished, change, expected):
    plan = finished.plan(TINY, "--config", change)
    jobs = {name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", plan, re.MULTILINE)}
    assert expected or "Nothing to be done" in plan
    for rule, count in expected.items():
        assert jobs.get(rule) == count, plan
    computing = {name for name, study in STUDIES.items() if study.measures}
    untouched = computing - set(expected)
    assert not untouched & set(jobs), plan


def test_mlflow_holds_the_runs_with_their_params_and_curves(finished, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    client = MlflowClient(f"sqlite:///{finished.results / 'mlflow.db'}")
    experiments = {e.name: e for e in client.search_experiments() if e.name != "Default"}
    assert set(experiments) == {views.experiment_name(name) for name in views.VIEWS}
    found = {}
    for name, experiment in experiments.items():
        assert experiment.tags["mlflow.note.content"]
        for run in client.search_runs([experiment.experiment_id]):
            assert run.info.status == "FINISHED"
            found.setdefault(name.partition("-")[2], []).append(run)
    trained = [run for run in found["experiment2"] if run.data.tags.get("method") in ("ddpg", "linear")]
    assert len(trained) == 2 * 2 * 2
    for name, methods in (("asynchronous", 4), ("recurrent", 4), ("clocks", 5)):
        assert len(found[name]) == methods * 2 + 1, "every method and seed, and the results"
    run = next(
        r for r in trained if r.data.tags["method"] == "ddpg" and r.data.tags["environment"] == "Pendulum-v1"
    )
    points = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "return/evaluation")]
    assert [step for step, _ in points] == [0, 200, 400, 600]
    assert "policy.pt" in {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert {"profile", "study", "config_hash"} <= {name.split(".")[-1] for name in run.data.tags}


def test_the_metrics_of_saved_views_are_recorded(finished, profile):
    """A misspelt metric in a study's declaration would draw an empty chart."""
    for study in chosen(profile):
        wanted = {metric for charts in study.view.charts.values() for metric in charts.values()}
        recorded = {
            line.split(",")[1]
            for path in (finished.results / "tiny" / "runs" / study.name).rglob("metrics.csv")
            for line in path.read_text().splitlines()[1:]
        }
        assert wanted | set(study.view.columns) <= recorded, study.name


def test_a_run_records_the_config_of_its_job(finished, profile):
    for study in chosen(profile):
        for job in study.jobs(profile):
            for run in job.runs:
                for seed in job.seeds:
                    identity = Identity("tiny", study.name, run.environment, run.method, seed)
                    tags = read(identity.folder(finished.results))["tags"]
                    assert tags["config_hash"] == digest(dump(run.config_of(seed))), identity.key


def test_the_profile_is_published_and_the_page_made_from_it(finished, profile, tmp_path, monkeypatch):
    """In a copy, so that the workspace stays as it is."""
    root = tmp_path / "results" / "tiny"
    shutil.copytree(finished.results / "tiny", root)
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert commands.run(["publish", "--profile", "tiny"]) == 0
    published = tmp_path / "results" / "published" / "tiny"
    for file in shown(profile):
        copy = published / Path(file.path).name
        assert not file.published or copy.read_bytes() == (root / file.path).read_bytes()
    page = (tmp_path / "docs" / "results.md").read_text()
    assert all(f"### {study.question}" in page for study in chosen(profile))
    value = json.loads((published / "empirical_value.json").read_text())
    assert value["sentence"] in page


def test_jobs_are_forked_their_commands_import_nothing_and_no_job_imports_mlflow(finished):
    lines = [line.split() for line in (finished.folder / "imported.txt").read_text().splitlines()]
    # Of every command of a job two processes leave a line, the client and the child: the child has what the server imported.
    for name, jobs in (("experiment2", 4), ("robustness", 4), ("report", 13)):
        own = [line for line in lines if line[:1] == [name]]
        assert len(own) == 2 * jobs, own
        assert sum(len(line) == 2 for line in own) >= jobs, own
    assert all(len(line) > 2 for line in lines if line[:1] == ["throughput"]), "several threads: by itself"
    assert [line[:2] for line in lines if "mlflow" in line] == [["tracking", "follow"]], (
        "one process for the whole chain"
    )


def run_alone(finished, results, *command, **environment):
    """A command without a fork server, on results of its own; nothing mirrors them."""
    where = ["--config", str(results / "tiny" / "config.yaml"), "--results", str(results)]
    with claim(results / ".mlflow" / "mirror"):
        subprocess.run(
            ["subcritic", *command, *where],
            cwd=finished.folder, env=finished.environment | environment, check=True, capture_output=True,
        )  # fmt: skip


def test_what_runs_by_itself_gives_what_a_forked_job_gave_bit_for_bit_and_a_report_imports_no_torch(
    finished, tmp_path
):
    """A training with compiled functions, and a figure of its report."""
    root, results = finished.results / "tiny", tmp_path / "tiny"
    shutil.copytree(root, results)
    shutil.rmtree(results / "runs" / "experiment2")
    run_alone(finished, tmp_path, "experiment2", "--environment", "Pendulum-v1", "--method", "linear")
    for name in ("experiment2", "summary"):
        run_alone(finished, tmp_path, "report", name, IMPORTED=str(tmp_path / "imported.txt"))
    imported = (tmp_path / "imported.txt").read_text()
    assert imported.splitlines() == ["report experiment2", "report summary"]
    for path in (
        "experiment2/Pendulum-v1/linear.csv",
        "experiment2/Pendulum-v1/linear.scores.csv",
        "figures/learning.pdf",
    ):
        assert (results / path).read_bytes() == (root / path).read_bytes(), path
        assert (results / path).stat().st_mtime > (root / path).stat().st_mtime, path


def test_every_job_says_what_it_used(finished, profile):
    root = finished.results / "tiny"
    took = spent(root, jobs_of(profile))
    assert len(took) == len(jobs_of(profile))
    for job in jobs_of(profile):
        assert (
            took[job.name].cpu
            == json.loads((root / "benchmarks" / f"{job.name}.json").read_text())["cpu_seconds"]
            > 0
        )


def test_every_record_says_how_long_it_ran_and_how_much_of_that_was_logging(finished):
    folders = [finished.results / "tiny/runs/experiment2" / name for name in ENVIRONMENTS]
    records = [json.loads(path.read_text()) for folder in folders for path in folder.glob("*/s0/run.json")]
    assert len(records) == 4
    for record in records:
        assert record["status"] == "FINISHED"
        assert 0 < record["timing"]["logging_seconds"] < record["timing"]["wall_seconds"]


def test_a_notebook_shows_what_the_chain_has_found(finished, monkeypatch):
    """The other one, which reads MLflow, is run on trainings of its own in reports/test_notebook.py."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(finished.folder / "notebooks" / "findings.ipynb", as_version=4)
    monkeypatch.setenv("SUBCRITIC_PROFILE", "tiny")
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(finished.folder)}}).execute()
    shown = [
        kind
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for kind in output.get("data", {})
    ]
    assert shown.count("image/png") >= 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("seeds=0", ["seeds = 0", "greater than or equal to 1"]),
        ("sedes=3", ["sedes", "unknown key", "seeds"]),
        ("environments=[CartPole-v1]", ["environments[0].id", "Discrete actions"]),
        ("environments=[Nope-v0]", ["environments[0].id", "unknown environment"]),
        ("methods=[{algorithm: ddpg, actor_rate: -1}]", ["methods[0].actor_rate", "-1", "greater than 0"]),
    ],
)
def test_a_wrong_config_is_refused_before_anything_runs(finished, change, words):
    before = sorted(finished.results.iterdir())
    refused = finished.snakemake("-n", "--config", change)
    assert refused.returncode != 0
    for word in words:
        assert word in refused.stdout + refused.stderr
    assert sorted(finished.results.iterdir()) == before
