"""A profile that is published in parts: what is kept, what is taken as given, and which part is shown."""

import json
import shutil
import time

import pandas as pd
import pytest
import yaml
from parts import TASKS, finish, profile, publish, published, train

from subcritic import config, profiles
from subcritic.measuring import kept, method
from subcritic.publishing import accumulated
from subcritic.reporting.records import MissingResult
from subcritic.reproduce import _parts
from subcritic.studies.experiment2.run import run


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
        kept.is_kept(job, seed, new) for job in accumulated.jobs_of(profile()) for seed in job.seeds
    )


def test_nothing_is_taken_of_another_code_or_config_nor_where_a_seed_is_done(finished, tmp_path, monkeypatch):
    assert accumulated.take(profile(), finished / "published", finished) == (0, 0)
    longer = profile(training=config.dump(profile())["training"] | {"steps": 60})
    assert accumulated.take(longer, finished / "published", tmp_path / "new") == (0, 0)
    assert accumulated.outdated(longer, finished / "published", finished) == 8
    assert accumulated.outdated(profile(), finished / "published", tmp_path / "new") == 0
    path = finished / "published/parts/runs.csv"
    path.write_text(path.read_text().replace(kept.job_code(accumulated.jobs_of(profile())[0]), "of_before"))
    assert accumulated.outdated(profile(), finished / "published", tmp_path / "new") > 0
    assert accumulated.outdated(profile(), finished / "published", finished) == 0, "made again"
    monkeypatch.setattr(kept, "job_code", lambda *_: "other")
    assert accumulated.take(profile(), finished / "published", tmp_path / "new") == (0, 0)


def test_a_stopped_chain_publishes_the_tasks_that_have_all_methods_and_says_what_is_missing(tmp_path):
    results = tmp_path / "results"
    train(profile(), results, environment=TASKS[0], seeds=1)
    publish(profile(), results)
    assert profiles.load(results / "parts/config.yaml") == profile(), "a chain may still run its jobs"
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


def test_without_a_task_that_has_all_methods_there_is_nothing_to_publish(tmp_path):
    results, whole = tmp_path / "results", profile()
    run(accumulated.jobs_of(whole)[0], results)
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


def test_a_taken_seed_says_so_in_its_record(finished, tmp_path):
    new = tmp_path / "new"
    accumulated.take(profile(), finished / "published", new)
    content = json.loads((new / "parts/runs/experiment2/Pendulum-v1/ddpg/s0/run.json").read_text())
    was = json.loads((finished / "parts/runs/experiment2/Pendulum-v1/ddpg/s0/run.json").read_text())
    assert content["tags"]["taken"] == "published" and content["tags"]["commit"] == was["tags"]["commit"]
    assert content["end_ms"] / 1000 <= time.time() and "policy.pt" not in content["artifacts"]


def test_a_chain_in_parts_goes_through_all_tasks_for_one_seed_then_for_the_next():
    calls = list(_parts(profile(), ["--cores", "1", "--config", "x=1"]))
    assert [call[call.index("--config") + 1 :][:2] for call in calls[:-1]] == [
        ["x=1", f"seeds={n}"] for n in (1, 1, 2, 2)
    ]
    targets = [call[call.index("--") + 1 :] for call in calls[:-1]]
    assert all(any("anchors/" in name for name in each) for each in targets)
    assert [{name.split("/")[-2] for name in each if "experiment2" in name} for each in targets] == [
        {TASKS[0]}, {TASKS[1]}, {TASKS[0]}, {TASKS[1]},
    ]  # fmt: skip
    assert calls[-1] == ["--cores", "1", "--config", "x=1"]
    assert list(_parts(profile(runtime={}), ["--cores", "1"])) == [["--cores", "1"]]


def test_as_many_tasks_come_together_as_there_are_cores():
    first, _, _ = _parts(profile(), ["--cores", "2"])
    assert {name.split("/")[-2] for name in first if "/experiment2/" in name} == set(TASKS)
