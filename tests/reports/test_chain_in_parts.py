"""Which calls of Snakemake a profile takes that is made in parts, and what is said before them."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from parts import TASKS, profile, train

from subcritic import config, reproduce
from subcritic.config import ConfigError
from subcritic.publishing import accumulated
from subcritic.studies import STUDIES


def calls_of(whole, *arguments):
    return list(reproduce._parts(whole, arguments, reproduce.options_of(arguments)))


def test_a_chain_in_parts_goes_through_all_tasks_for_one_seed_then_for_the_next(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ["--config", "x=1", "--cores", "1"]
    calls = calls_of(profile(), *given)
    read = [reproduce.options_of(call) for call in calls[:-1]]
    assert [each.config for each in read] == [["x=1", f"seeds={n}"] for n in (1, 1, 2, 2)]
    assert all(any("anchors/" in name for name in each.targets) for each in read)
    assert [{name.split("/")[-2] for name in each.targets if "experiment2" in name} for each in read] == [
        {TASKS[0]}, {TASKS[1]}, {TASKS[0]}, {TASKS[1]},
    ]  # fmt: skip
    assert calls[-1] == given
    assert calls_of(profile(runtime={}), "--cores", "1") == [["--cores", "1"]]
    assert calls_of(profile(), "--cores=1", "summary") == [["--cores=1", "summary"]], "asked for by name"


def test_a_training_runs_once_for_every_round_until_all_of_its_seeds_are_done(tmp_path):
    rounds = accumulated.rounds_left(profile(), tmp_path)
    jobs = accumulated.trainings_of(profile())
    assert rounds(next(STUDIES["anchors"].jobs(profile()))) is None
    assert {rounds(job) for job in jobs} == {2}
    assert {
        accumulated.rounds_left(profile(runtime={"seeds_at_a_time": 2}), tmp_path)(job) for job in jobs
    } == {1}
    train(profile(), tmp_path, seeds=1)
    assert {rounds(job) for job in jobs} == {1}
    train(profile(), tmp_path, environment=TASKS[0])
    assert {job.environment for job in jobs if rounds(job)} == {TASKS[1]}
    assert not any(accumulated.rounds_left(profile(runtime={}), tmp_path)(job) for job in jobs)


def test_what_is_done_needs_no_call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(profile(), tmp_path / "results", seeds=1)
    train(profile(), tmp_path / "results", environment=TASKS[0])
    (anchors, only, _) = calls_of(profile(), "--cores", "1")
    assert all("anchors/" in name for name in reproduce.options_of(anchors).targets)
    read = reproduce.options_of(only)
    assert read.config == ["seeds=2"] and {TASKS[1]} == {
        name.split("/")[-2] for name in read.targets if "experiment2" in name
    }
    train(profile(), tmp_path / "results")
    assert calls_of(profile(), "--cores", "1") == [["--cores", "1"]]


def test_first_comes_what_the_tables_of_tasks_with_taken_runs_need(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    new = tmp_path / "new" / "results"
    monkeypatch.setattr(reproduce, "RESULTS", new)
    shutil.copytree(finished / "published", new / "published")
    path = new / "published/parts/runs.csv"
    runs = pd.read_csv(path)
    runs[runs["environment"] == TASKS[0]].to_csv(path, index=False)
    accumulated.take(profile(), new / "published", new)
    first, *rest = calls_of(profile(), "--cores", "1")
    anchor = new / f"parts/anchors/{TASKS[0]}.json"
    assert list(reproduce.options_of(first).targets) == [str(anchor)] and len(rest) == 3
    accumulated.take(profile(), finished / "published", new)
    assert calls_of(profile(), "--cores", "1") == [["--cores", "1"]], "all is done"


@pytest.mark.parametrize("words", ["-n", "-np", "--dryrun", "--list", "--dag", "--unlock", "--summary"])
def test_a_call_that_runs_nothing_is_left_to_snakemake(words, monkeypatch):
    called = []
    monkeypatch.chdir(Path(__file__).parents[2])
    monkeypatch.setattr(reproduce.CommandRunner, "run", lambda _, *words: called.append(words) or 0)
    monkeypatch.setattr(reproduce, "claim_chain", lambda *_: pytest.fail("started"))
    assert reproduce.reproduce("suite", ["--config=seeds=3", words]) == 0
    ((command,),) = called
    assert command[-2:] == ["--config=seeds=3", words]


def test_a_file_behind_config_is_told_where_it_belongs(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    with pytest.raises(ConfigError, match=r"--config mine\.yaml: must be KEY=VALUE, .* behind --profile"):
        reproduce.reproduce("quick", ["--config", "mine.yaml"])


def test_results_of_another_config_are_said_to_be_replaced(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "results" / "parts" / "config.yaml"
    path.parent.mkdir(parents=True)
    reproduce._warn_of_others(profile())
    path.write_text(yaml.safe_dump(config.dump(profile(seeds=1))))
    reproduce._warn_of_others(profile())
    assert not capsys.readouterr().out, "more seeds, in parts"
    path.write_text(yaml.safe_dump(config.dump(profile(runtime={}))))
    reproduce._warn_of_others(profile(seeds=3, runtime={}))
    assert "results/parts are of another config (seeds)" in capsys.readouterr().out


def test_as_many_tasks_come_together_as_there_are_cores(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, _, _ = calls_of(profile(), "--cores", "2")
    assert {name.split("/")[-2] for name in first if "/experiment2/" in name} == set(TASKS)
