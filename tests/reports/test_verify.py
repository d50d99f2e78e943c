"""Published runs of earlier code count as today's if today's code finds their numbers again, and only then."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from parts import NETWORK, TASKS, finish, profile, publish, published, train

from subcritic import config, reproduce
from subcritic.measuring import kept, method
from subcritic.publishing import accumulated, verify
from subcritic.publishing.repeat import repeat
from subcritic.studies.experiment2.run import run
from subcritic.tracking import read_metrics
from subcritic.training import Trainer

BEFORE = "0123456789ab"
ONE = ("experiment2", TASKS[0], "ddpg")
TASK = config.dump(profile())["environments"][:1]


def texts(results, name="runs.csv"):
    return pd.read_csv(results / "published/parts" / name, dtype=str, keep_default_na=False)


def change(results, name, column, value, **where):
    """Put a value into published rows. value: also a function of the text that is there."""
    table = texts(results, name)
    chosen = (table[list(where)] == pd.Series(where)).all(axis=1)
    assert chosen.any()
    table.loc[chosen, column] = table.loc[chosen, column].map(value) if callable(value) else value
    table.to_csv(results / "published/parts" / name, index=False)


@pytest.fixture
def earlier(finished):
    """Results whose published runs are all of earlier code, as a version without the column `verified` wrote them."""
    path = finished / "published/parts/runs.csv"
    texts(finished).drop(columns="verified").assign(code=BEFORE).to_csv(path, index=False)
    return finished


def verified(results, whole=None, steps=20, cores=1):
    return verify.verify(whole or profile(), results / "published", results.parent / "docs", steps, cores)


def code_of(environment, algorithm):
    jobs = {
        job_key[1:]: job
        for job in accumulated.trainings_of(profile())
        if (job_key := accumulated.job_key(job))
    }
    return kept.job_code(jobs[environment, algorithm])


def test_runs_that_are_found_again_count_as_those_of_todays_code(earlier, tmp_path, capsys, monkeypatch):
    before = texts(earlier)
    assert verified(earlier, cores=2) == 0
    said = capsys.readouterr().out
    assert "8 of 8 published runs are of earlier code, in 4 jobs." in said
    assert "of 4: experiment2/Pendulum-v1/ddpg: 2 seeds as published, to step 20\n" in said
    after = texts(earlier)
    # A critic of so few neurons may have no gradient at first: then a repeat goes on until the policy has learned.
    assert after["verified"].str.fullmatch(r"\S+ to step (20|40)").all()
    assert list(after["code"]) == [code_of(row.environment, row.method) for row in after.itertuples()]
    unchanged = [name for name in before if name != "code"]
    assert after[unchanged].equals(before[unchanged])
    # A new clone takes them, and says so.
    new = tmp_path / "new/results"
    shutil.copytree(earlier / "published", new / "published")
    monkeypatch.chdir(new.parent)
    monkeypatch.setattr(method, "_train", lambda *_: pytest.fail("trained"))
    reproduce._take_published(profile(), dry_run=True)
    assert "8 published runs would be taken as given" in capsys.readouterr().out
    assert not list(new.glob("*/runs"))
    reproduce._take_published(profile())
    said = capsys.readouterr().out
    assert "8 published runs are taken as given" in said and "8 of them are of earlier code" in said
    # What it publishes says the same of them.
    train(profile(), new)
    finish(profile(), new)
    times = new / "published/parts/provenance.json"
    before = json.loads(times.read_text())
    times.write_text(json.dumps(before | {"minutes_of_sittings": 123.4}))
    publish(profile(), new)
    assert texts(new).equals(after)
    # Nothing was trained here: the time is that of the published runs.
    assert json.loads(times.read_text())["minutes_of_sittings"] == 123.4
    pages = [(folder.parent / "docs/results.md").read_text() for folder in (earlier, new)]
    said = [[line for line in page.splitlines() if "earlier code" in line] for page in pages]
    assert len(said[0]) == 1 and said[0] == said[1]
    assert "/runs.csv), 8 are of earlier code, of which later code has repeated the beginning" in said[0][0]
    for text, count in after["verified"].value_counts().items():
        commit, _, rest = text.partition(" ")
        assert f" {count} by {commit[:12]}{commit[40:]} {rest}" in said[0][0]
    assert verified(new) == 0 and "0 of 8 published runs are of earlier code" in capsys.readouterr().out


def test_one_digit_that_differs_keeps_a_job_as_it_was_and_is_named(earlier, capsys):
    def next_one(text):
        return repr(float(np.nextafter(float(text), 0)))

    where = dict(zip(accumulated.KEY, (*ONE, "1"), strict=True))
    change(earlier, "curves.csv", "value", next_one, step="20", **where)
    before = texts(earlier)
    assert verified(earlier) == 1
    said = capsys.readouterr().out
    number = r"-\d+\.\d+"
    line = rf"Pendulum-v1/ddpg: seed 1: return/evaluation at step 20: {number}, published {number}, -\d\S+e-\d+\n"
    assert re.search(rf"subcritic: 1 of 4: experiment2/{line}", said), said
    assert "seed 0" not in said and "6 runs are verified, 2 are not." in said
    mine = (before["environment"] == ONE[1]) & (before["method"] == ONE[2])
    after = texts(earlier)
    assert after.loc[mine, before.columns].equals(before[mine]) and (after.loc[mine, "verified"] == "").all()
    assert (after.loc[~mine, "verified"] != "").all()
    new = earlier.parent / "new"
    assert accumulated.take(profile(), earlier / "published", new) == (6, 6)
    assert accumulated.outdated(profile(), earlier / "published", new) == 2


@pytest.mark.parametrize(
    ("name", "column", "value", "steps", "said"),
    [
        ("runs.csv", "diverged_at", "20", 20, "diverged at step 20: only published"),
        ("runs.csv", "score", "-1.5", 40, r"score: -\S+, published -1\.5"),
        ("curves.csv", "step", "19", 20, "return/evaluation at step 19: only published"),
    ],
)
def test_whatever_is_published_of_the_repeated_part_must_be_found_again(
    earlier, capsys, name, column, value, steps, said
):
    where = {"step": "20"} if column == "step" else {}
    change(earlier, name, column, value, **dict(zip(accumulated.KEY, (*ONE, "0"), strict=True)), **where)
    before = (earlier / "published/parts/runs.csv").read_text()
    one = profile(environments=TASK, methods=[{"algorithm": "ddpg", **NETWORK}])
    assert verified(earlier, one, steps) == 1
    output = capsys.readouterr().out
    assert re.search(rf"experiment2/Pendulum-v1/ddpg: seed 0: {said}", output), output
    assert (earlier / "published/parts/runs.csv").read_text() == before


def test_what_comes_after_the_repeated_part_is_not_compared(earlier):
    change(earlier, "curves.csv", "value", "0.5", step="40")
    change(earlier, "runs.csv", "diverged_at", "40", seed="0")
    assert verified(earlier, profile(environments=TASK)) == 0
    rows = texts(earlier)
    assert rows.loc[rows["environment"] == TASKS[0], "verified"].str.endswith(" to step 20").all()


def test_by_default_a_short_training_is_repeated_whole(earlier):
    assert verified(earlier, steps=None) == 0
    assert texts(earlier)["verified"].str.endswith(" to step 40").all()


def test_other_facts_of_a_method_are_a_difference(earlier, capsys):
    path = earlier / "published/parts/methods.json"
    facts = json.loads(path.read_text())
    facts["/".join(ONE)]["receives"] = ["reward"]
    path.write_text(json.dumps(facts))
    assert verified(earlier) == 1
    assert "ddpg: what tables say of the method is not as in methods.json" in capsys.readouterr().out
    assert (texts(earlier)["verified"] == "").sum() == 2


def test_a_stopped_call_keeps_what_is_done_and_the_next_one_goes_on_from_there(earlier, monkeypatch):
    asked, whole = [], verify.repeats

    def stopped(jobs, *arguments):
        asked.append([job.name for job in jobs])
        yield from whole(jobs[:1], *arguments)
        raise KeyboardInterrupt

    def counted(jobs, *arguments):
        asked.append([job.name for job in jobs])
        return whole(jobs, *arguments)

    monkeypatch.setattr(verify, "repeats", stopped)
    with pytest.raises(KeyboardInterrupt):
        verified(earlier)
    done = texts(earlier)
    assert list(done.loc[done["verified"] != "", "method"]) == ["ddpg", "ddpg"]
    assert "/runs.csv), 2 are of earlier code" in (earlier.parent / "docs/results.md").read_text()
    monkeypatch.setattr(verify, "repeats", counted)
    assert verified(earlier) == 0
    assert asked[1] == asked[0][1:] and (texts(earlier)["verified"] != "").all()


def test_runs_of_another_config_are_left_alone_and_counted(earlier, capsys, monkeypatch):
    def nothing(jobs, *_):
        assert not jobs
        yield from ()

    monkeypatch.setattr(verify, "repeats", nothing)
    before = (earlier / "published/parts/runs.csv").read_text()
    longer = profile(training=config.dump(profile())["training"] | {"steps": 60})
    assert verified(earlier, longer) == 0
    said = capsys.readouterr().out
    assert "0 of 8 published runs are of earlier code" in said
    assert "8 are of another config, cannot be verified, and stay as they are." in said
    assert (earlier / "published/parts/runs.csv").read_text() == before


def test_a_job_that_cannot_be_trained_is_said_and_no_other_is_kept_from_it(earlier, capsys, monkeypatch):
    whole = verify.repeats

    def broken(jobs, *arguments):
        return whole([replace(jobs[0], study="no_such_study"), *jobs[1:]], *arguments)

    monkeypatch.setattr(verify, "repeats", broken)
    assert verified(earlier) == 1
    why = "ModuleNotFoundError: No module named 'subcritic.studies.no_such_study'"
    assert f"1 of 4: no_such_study/Pendulum-v1/ddpg: could not be repeated: {why}" in capsys.readouterr().out
    assert (texts(earlier)["verified"] != "").sum() == 6


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Jobs that record often, with wider networks, and the folder of their whole trainings."""
    methods = [
        {"algorithm": name, **NETWORK, "hidden": [32]} for name in ("ddpg", "linear", "learned_feedback")
    ]
    training = config.dump(profile())["training"] | {"steps": 60}
    often = {"seeds_at_a_time": 1, "log_every": 5}
    jobs = accumulated.trainings_of(
        profile(environments=TASK, methods=methods, training=training, runtime=often)
    )
    results = tmp_path_factory.mktemp("trained")
    for job in jobs:
        run(job, results)
    return jobs, results


def recorded(job, seed, results, last):
    points = read_metrics(kept.identity_of(job, seed).folder(results))[0]
    return [(point.step, point.metric, repr(point.value)) for point in points if point.step <= last]


def test_a_repeat_records_all_that_the_training_recorded(trained, tmp_path):
    """Also where seeds are trained together that were trained alone."""
    jobs, results = trained
    for job in jobs:
        for together in (1, None):
            runtime = job.runtime.model_copy(update={"seeds_at_a_time": together})
            folder = tmp_path / f"{job.method}{together}"
            found = repeat(replace(job, runtime=runtime), folder, 25)
            assert found.step == 40 and not found.rows and set(found.curves) == set(job.seeds)
            for number, seed in enumerate(job.seeds):
                again = recorded(job, seed, folder / str(number if together else 0), 60)
                assert again == recorded(job, seed, results, 40)
                assert len({metric for _, metric, _ in again}) > 3


def test_weights_that_differ_in_their_last_bits_are_seen_in_the_next_evaluation(
    trained, tmp_path, monkeypatch
):
    advance = Trainer.advance

    def changed(trainer):
        advance(trainer)
        if trainer.step == 30:
            flat = trainer.agent.policy().flat
            flat.copy_(torch.nextafter(flat, torch.ones_like(flat)))

    monkeypatch.setattr(Trainer, "advance", changed)
    jobs, results = trained
    for job in jobs:
        rows, curves = {}, {}
        for seed in job.seeds:
            key = (*accumulated.job_key(job), seed)
            rows[key], curves[key] = (
                function(job, seed, results) for function in (accumulated.row_of, accumulated.curves_of)
            )
        found = repeat(job, tmp_path / job.method, 40)
        known = accumulated.Published(rows, curves, {job.name: found.facts})
        said = verify.differences(job, known, found)
        assert [text.partition(" at step 40: ")[0] for text in said] == [
            f"seed {seed}: return/evaluation" for seed in job.seeds
        ]


def test_a_search_goes_on_until_it_has_changed_its_policy(tmp_path):
    search = {"algorithm": "ars", "directions": 1, "best": 1}
    job = accumulated.trainings_of(profile(methods=[search], training={"steps": 100, "evaluate_every": 20}))[
        0
    ]
    # An iteration is two episodes of 30 steps.
    assert repeat(job, tmp_path, 1).step == 60


def test_the_command_says_what_differs_and_ends_with_1(earlier, tmp_path):
    change(
        earlier,
        "curves.csv",
        "value",
        "0.5",
        step="20",
        **dict(zip(accumulated.KEY, (*ONE, "0"), strict=True)),
    )
    (tmp_path / "parts.yaml").write_text(yaml.safe_dump(config.dump(profile())))

    def call(*arguments):
        command = [sys.executable, "-m", "subcritic.cli", "verify", "--profile", "parts.yaml", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    done = call("--steps", "20", "--cores", "2")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "seed 0: return/evaluation at step 20: " in done.stdout and "published 0.5" in done.stdout
    assert len(published(earlier, "runs.csv")["verified"].dropna()) == 6
    assert "6 are of earlier code" in (tmp_path / "docs/results.md").read_text()
    assert "--cores: '0': must be a whole number, 1 or more" in call("--cores", "0").stderr
    done = call("--results", "nowhere")
    assert done.returncode == 2 and "no single runs are published of the profile 'parts'" in done.stderr
