"""A profile that is published in parts: what is kept, what is taken as given, and which part is shown."""

import json
import os
import shutil
import time

import pandas as pd
import pytest
import yaml
from parts import TASKS, finish, profile, publish, published, train

from subcritic import commands, config
from subcritic.config import ConfigError
from subcritic.measuring import kept, method
from subcritic.publishing import accumulated, reports
from subcritic.publishing import publish as publishing
from subcritic.reporting.records import MissingResult
from subcritic.studies.experiment2.run import run
from subcritic.tracking import process
from subcritic.tracking.claim import try_claim


def test_every_finished_seed_is_published_with_score_curve_and_digests(finished):
    runs, curves = published(finished, "runs.csv"), published(finished, "curves.csv")
    assert len(runs) == 2 * 2 * 2 and runs["code"].str.fullmatch(r"[0-9a-f]{12}").all()
    scores = pd.concat(
        pd.read_csv(path) for path in sorted(finished.glob("parts/experiment2/*/*.scores.csv"))
    )
    both = runs.merge(scores, on=["environment", "method", "seed"], suffixes=("", "_of_chain"))
    assert len(both) == 8 and (both["score"] == both["score_of_chain"]).all()
    assert set(curves["metric"]) == {"return/evaluation"} and set(curves["step"]) == {0, 20, 40}
    last = curves[curves["step"] == 40].merge(runs, on=accumulated.KEY)
    assert (last["value"] == last["score"]).all()
    assert "Not there yet" not in (finished / "published/parts/facts.json").read_text()


def test_a_new_chain_takes_what_is_published_and_ends_with_the_same_table(finished, tmp_path, monkeypatch):
    new = tmp_path / "new" / "results"
    shutil.copytree(finished / "published", new / "published")
    monkeypatch.setattr(method, "_train", lambda *_: pytest.fail("trained"))
    assert accumulated.take(profile(), new / "published", new) == (8, 0)
    train(profile(), new)
    finish(profile(), new)
    for name in ("table/table.csv", "table/aggregates.csv"):
        assert (new / "parts" / name).read_bytes() == (finished / "parts" / name).read_bytes()
    publish(profile(), new)
    for name in (accumulated.RUNS, accumulated.CURVES, accumulated.METHODS):
        assert (new / "published/parts" / name).read_text() == (
            finished / "published/parts" / name
        ).read_text()
    # And from scratch all of it is trained.
    assert accumulated.forget_taken(profile(), new) == 8
    assert not any(
        kept.is_kept(job, seed, new) for job in accumulated.trainings_of(profile()) for seed in job.seeds
    )


def test_from_scratch_forgets_what_was_taken_and_nothing_that_was_trained_here(finished, tmp_path):
    new = tmp_path / "new"
    train(profile(), new, environment=TASKS[1])
    assert accumulated.take(profile(), finished / "published", new) == (4, 0)
    assert accumulated.forget_taken(profile(), new) == 4
    kept_there = {job.environment for job in accumulated.trainings_of(profile()) if kept.is_kept(job, 0, new)}
    assert kept_there == {TASKS[1]}


def test_nothing_is_taken_of_another_code_or_config_nor_where_a_seed_is_done(finished, tmp_path, monkeypatch):
    assert accumulated.take(profile(), finished / "published", finished) == (0, 0)
    longer = profile(training=config.dump(profile())["training"] | {"steps": 60})
    assert accumulated.take(longer, finished / "published", tmp_path / "new") == (0, 0)
    assert accumulated.outdated(longer, finished / "published", finished) == 8
    assert accumulated.outdated(profile(), finished / "published", tmp_path / "new") == 0
    path = finished / "published/parts/runs.csv"
    path.write_text(
        path.read_text().replace(kept.job_code(accumulated.trainings_of(profile())[0]), "of_before")
    )
    assert accumulated.outdated(profile(), finished / "published", tmp_path / "new") > 0
    assert accumulated.outdated(profile(), finished / "published", finished) == 0, "made again"
    monkeypatch.setattr(kept, "job_code", lambda *_: "other")
    assert accumulated.take(profile(), finished / "published", tmp_path / "new") == (0, 0)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_stopped_chain_publishes_the_tasks_that_have_all_methods_and_says_what_is_missing(tmp_path):
    results = tmp_path / "results"
    train(profile(), results, environment=TASKS[0], seeds=1)
    before = contents(results / "parts")
    publish(profile(), results)
    assert contents(results / "parts") == before, "a chain may still run its jobs"
    table = published(results, "table.csv")
    assert set(table["environment"]) == {TASKS[0]} and set(table["seeds"]) == {1}
    page = (tmp_path / "docs/results.md").read_text()
    assert "Not there yet: 1 of 2 tasks (MountainCarContinuous)." in page
    assert "Not there yet: 1 of 2 seeds." in page
    # Half of the second round: it waits until all tasks have it, but its runs are kept.
    train(profile(), results, seeds=1)
    train(profile(), results, environment=TASKS[0])
    publish(profile(), results)
    table = published(results, "table.csv")
    assert set(table["environment"]) == set(TASKS) and set(table["seeds"]) == {1}
    assert published(results, "runs.csv").groupby("environment").size().to_dict() == {
        TASKS[0]: 4,
        TASKS[1]: 2,
    }


def test_a_round_that_is_under_way_hides_no_seeds(tmp_path):
    """Its chain writes a config of as many seeds as the round has."""
    results = tmp_path / "results"
    train(profile(), results, environment=TASKS[0])
    path = results / "parts/config.yaml"
    path.write_text(yaml.safe_dump(config.dump(profile(seeds=1))))
    publish(profile(), results)
    table = published(results, "table.csv")
    assert set(table["environment"]) == {TASKS[0]} and set(table["seeds"]) == {2}
    # At the end of the round all tasks have one seed, and the chain has made no tables yet.
    train(profile(), results, seeds=1)
    path.write_text(yaml.safe_dump(config.dump(profile(seeds=1))))
    publish(profile(), results)
    table = published(results, "table.csv")
    assert set(table["environment"]) == set(TASKS) and set(table["seeds"]) == {1}
    assert "Not there yet: 1 of 2 seeds." in (tmp_path / "docs/results.md").read_text()


def test_a_part_is_known_as_one_where_the_config_is_that_of_the_results(tmp_path):
    results = tmp_path / "results"
    train(profile(), results, environment=TASKS[0])
    publishing.publish("parts", results, results / "published", tmp_path / "docs")
    assert "Not there yet: 1 of 2 tasks" in (tmp_path / "docs/results.md").read_text()


def test_a_part_that_a_study_cannot_do_with_is_refused_in_words(tmp_path):
    results = tmp_path / "results"
    # The study is not run, but its section names the other task.
    whole = profile(ablation={"environments": [TASKS[1]]})
    train(whole, results, environment=TASKS[0])
    with pytest.raises(
        MissingResult, match=r"needs more than the 1 tasks that are done, .* environment 'Mountain"
    ):
        publish(whole, results)


def test_publishing_a_part_leaves_nothing_for_mlflow(tmp_path, monkeypatch):
    results, make = tmp_path / "results", reports.make

    def held(study, part, folder):
        with try_claim(folder / process.FOLDER) as mine:
            assert not mine, "no process can copy what is made here"
        return make(study, part, folder)

    monkeypatch.setattr(reports, "make", held)
    train(profile(), results, environment=TASKS[0])
    publish(profile(), results)
    assert published(results, "table.csv")["seeds"].eq(2).all()


def test_times_are_those_of_the_trainings_not_of_publishing(tmp_path):
    results = tmp_path / "results"
    train(profile(), results, environment=TASKS[0])
    hours_ago = time.time() - 3 * 3600
    for path in results.glob("parts/runs/*/*/*/s*/run.json"):
        content = json.loads(path.read_text())
        path.write_text(
            json.dumps(content | {"start_ms": hours_ago * 1000, "end_ms": hours_ago * 1000 + 60_000})
        )
    for path in results.glob("parts/anchors/*.json"):
        os.utime(path, (hours_ago, hours_ago))
    publish(profile(), results)
    made = json.loads((results / "published/parts/provenance.json").read_text())
    assert (
        made["sittings"] == 1
        and made["minutes_of_sittings"] == made["minutes_from_first_start_to_last_end"] == 1
    )


@pytest.mark.parametrize("lacking", [(), ("minutes_of_sittings", "sittings")])
def test_times_add_up_over_clones_and_count_nothing_twice(lacking, finished, tmp_path):
    new = tmp_path / "new" / "results"
    shutil.copytree(finished / "published", new / "published")
    file, runs = new / "published/parts/provenance.json", new / "published/parts/runs.csv"
    frame = pd.read_csv(runs)
    frame[frame["environment"] == TASKS[0]].to_csv(runs, index=False)
    before = json.loads(file.read_text())
    old = {
        name: value
        for name, value in before.items()
        if name not in ("sitting_times", "earlier_sittings", *lacking)
    }
    times = {"minutes_of_sittings": 100.0, "sittings": 2, "minutes_from_first_start_to_last_end": 100.0}
    file.write_text(json.dumps(old | {name: value for name, value in times.items() if name not in lacking}))
    accumulated.take(profile(), new / "published", new)
    train(profile(), new)
    finish(profile(), new)
    for _ in range(2):
        publish(profile(), new)
        made = json.loads(file.read_text())
        count = 1 if lacking else 2
        assert made["earlier_sittings"] == [count, 100.0] and made["sittings"] == count + 1
        assert (
            100 <= made["minutes_of_sittings"] < 105 and made["minutes_from_first_start_to_last_end"] is None
        )
        assert made["made_on_this_machine"] is True
    # Runs of another machine are not said to be of this one.
    file.write_text(json.dumps(made | {"machine": {"processor": "another", "cores": 64}}))
    publish(profile(), new)
    assert json.loads(file.read_text())["made_on_this_machine"] is False


def test_runs_do_not_vanish_with_the_setting_that_keeps_them(finished):
    plain = profile(runtime={})
    (finished / "parts/config.yaml").write_text(yaml.safe_dump(config.dump(plain)))
    finish(plain, finished)
    with pytest.raises(MissingResult, match=r"runs\.csv: these runs would be lost, .* --replace"):
        publish(plain, finished)
    publish(plain, finished, replace=True)
    assert not (finished / "published/parts/runs.csv").exists()


def test_what_no_page_can_show_is_not_published(finished):
    shutil.copytree(finished / "published/parts", finished / "published/others")
    wrong = profile(table={"beside": "others", "beside_methods": ["dppg"]})
    (finished / "parts/config.yaml").write_text(yaml.safe_dump(config.dump(wrong)))
    finish(wrong, finished)
    before = contents(finished / "published")
    with pytest.raises(ConfigError, match=r"table\.beside_methods: 'dppg' not published"):
        publish(wrong, finished)
    assert contents(finished / "published") == before


def test_without_a_task_that_has_all_methods_there_is_nothing_to_publish(tmp_path):
    results, whole = tmp_path / "results", profile()
    run(accumulated.trainings_of(whole)[0], results)
    (results / "parts/config.yaml").write_text(yaml.safe_dump(config.dump(whole)))
    with pytest.raises(MissingResult, match="no task yet on which all methods have a finished seed"):
        publish(whole, results)


def test_published_runs_that_were_not_made_again_stay_unless_they_are_of_another_code(finished, tmp_path):
    new = tmp_path / "new" / "results"
    shutil.copytree(finished / "published", new / "published")
    one = profile(seeds=1)
    train(one, new)
    finish(one, new)
    publish(profile(), new)
    assert len(published(new, "runs.csv")) == 8
    path = new / "published/parts/runs.csv"
    runs = pd.read_csv(path)
    runs.loc[runs["seed"] == 1, "code"] = "0123456789ab"
    runs.to_csv(path, index=False)
    with pytest.raises(MissingResult, match=r"4 published runs are of another .*/1; run"):
        publish(profile(), new)
    assert len(published(new, "runs.csv")) == 8
    publish(profile(), new, replace=True)
    assert set(published(new, "runs.csv")["seed"]) == {0} and len(published(new, "curves.csv")) == 4 * 3


@pytest.mark.parametrize("there", [True, False])
def test_a_figure_of_more_than_is_kept_of_runs_stays_as_it_was_published(there, tmp_path):
    whole = profile(studies=["experiment2", "table"])
    first, new = tmp_path / "first" / "results", tmp_path / "new" / "results"
    train(whole, first)
    publish(whole, first)
    drawn, page = first / "published/parts/cosine.png", "docs/results.md"
    assert drawn.is_file() and "/cosine.png)" in (first.parent / page).read_text()
    shutil.copytree(first / "published", new / "published")
    drawn = new / "published/parts/cosine.png"
    drawn.write_bytes(b"of whole runs") if there else drawn.unlink()
    # One seed is trained here, the other is taken: a figure of the first alone would stand for both.
    train(profile(seeds=1, studies=["experiment2", "table"]), new)
    assert accumulated.take(whole, new / "published", new) == (4, 0)
    train(whole, new)
    publish(whole, new)
    assert drawn.is_file() == there and ("/cosine.png)" in (new.parent / page).read_text()) == there
    assert not there or drawn.read_bytes() == b"of whole runs"


def test_a_taken_seed_says_so_in_its_record(finished, tmp_path):
    new = tmp_path / "new"
    accumulated.take(profile(), finished / "published", new)
    content = json.loads((new / "parts/runs/experiment2/Pendulum-v1/ddpg/s0/run.json").read_text())
    was = json.loads((finished / "parts/runs/experiment2/Pendulum-v1/ddpg/s0/run.json").read_text())
    assert content["tags"]["taken"] == "published" and content["tags"]["commit"] == was["tags"]["commit"]
    assert content["end_ms"] / 1000 <= time.time() and "policy.pt" not in content["artifacts"]


def test_a_profile_is_published_by_its_file_too(finished, tmp_path, monkeypatch, capsys):
    assert finished == tmp_path / "results"
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(config.dump(profile())))
    monkeypatch.chdir(tmp_path)
    assert commands.run(["publish", "--profile", "mine.yaml"]) == 0
    assert "results/published/parts/table.csv" in capsys.readouterr().out
