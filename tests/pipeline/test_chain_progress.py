"""How far a chain is, and how long the rest takes."""

import os
import resource
import time

import pytest

from subcritic import chain as progress
from subcritic import cost, workflow
from subcritic.measuring.progress import duration
from subcritic.study import Job

JOBS = [
    Job(study, "p", None, environment, method)
    for study, environment, method in (
        ("experiment2", "E", "ddpg"),
        ("experiment2", "E", "linear"),
        ("experiment2", "F", "ddpg"),
        ("throughput", "", ""),
    )
]


def resources_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def finish(root, job, seconds=10.0, cpu=8.0, at=None):
    path = root / "benchmarks" / f"{job.name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tcpu_time\n{seconds}\t0:00:10\t{cpu}\n")
    if at:
        os.utime(path, (at, at))


def test_what_was_spent_is_read_from_whole_benchmarks_alone(tmp_path):
    assert progress.spent(tmp_path, JOBS) == {}
    finish(tmp_path, JOBS[0], 12.5, 9.0)
    half = tmp_path / "benchmarks" / f"{JOBS[1].name}.tsv"
    half.write_text("s\th:m:s\tcpu_time\n")
    finish(tmp_path, JOBS[2], "NA")
    assert progress.spent(tmp_path, JOBS) == {JOBS[0].name: progress.Spent(12.5, 9.0)}


def test_the_cpu_time_is_what_the_job_itself_has_said(tmp_path):
    """Snakemake looks below a command, where a forked job is not."""
    finish(tmp_path, JOBS[0], 12.5, "NA")
    assert progress.spent(tmp_path, JOBS) == {}
    sum(range(1_000_000))
    cost.write_cost(tmp_path, JOBS[0])
    took = progress.spent(tmp_path, JOBS)[JOBS[0].name]
    # The record is rounded to milliseconds.
    assert took.seconds == 12.5 and 0.01 < took.cpu <= time.process_time() + resources_of_children() + 0.001


def test_the_rest_takes_what_others_of_the_study_took_and_never_less_than_its_longest_job():
    first, second, third, alone = (job.name for job in JOBS)
    assert progress.seconds_left(JOBS, {}, {first: 5.0}, 2) is None
    assert progress.seconds_left(JOBS * 2, {first: 10.0}, {}, 1) is None, "an eighth is too little to tell"
    assert progress.seconds_left(JOBS, {first: 10.0}, {}, 1) == pytest.approx(10 + 10 + 10)
    assert progress.seconds_left(JOBS, {first: 10.0, alone: 70.0}, {second: 4.0}, 1) == pytest.approx(6 + 10)
    # One job cannot be shared by cores.
    assert progress.seconds_left(JOBS, {first: 10, second: 10, third: 40}, {}, 8) == pytest.approx(20)
    assert progress.seconds_left(JOBS, {first: 10.0, alone: 1.0, third: 1.0}, {second: 99.0}, 2) == 0
    assert progress.seconds_left(JOBS, dict.fromkeys((first, second, third, alone), 1.0), {}, 2) == 0


def test_a_chain_says_how_far_it_is_whenever_a_job_ends(tmp_path):
    finish(tmp_path, JOBS[0])
    chain = progress.ChainProgress(tmp_path, JOBS, cores=1)
    assert chain.line() is None, "what was done before is no news"
    finish(tmp_path, JOBS[1])
    assert chain.line().startswith("subcritic: 2 of 4 jobs done after")
    assert chain.line() is None
    log = tmp_path / "logs" / f"{JOBS[2].name}.log"
    log.parent.mkdir(parents=True)
    log.write_text("")
    os.utime(log, (chain.start + 1, chain.start + 1))
    chain.line()
    chain.begun[JOBS[2].name] -= 4
    finish(tmp_path, JOBS[3], 30)
    assert "3 of 4 jobs done" in (line := chain.line()) and line.endswith("about 6 s left")
    finish(tmp_path, JOBS[2], at=chain.start + 2)
    assert "4 of 4 jobs done" in (line := chain.line()) and "left" not in line
    # With another config, or more seeds, a job that was done runs again.
    os.utime(log, (chain.start + 3, chain.start + 3))
    assert chain.line() is None and set(chain._running()) == {JOBS[2].name}
    chain.begun[JOBS[2].name] -= 4
    finish(tmp_path, JOBS[3], 30, at=chain.start + 4)
    assert "3 of 4 jobs done" in (line := chain.line()) and line.endswith("about 6 s left")
    finish(tmp_path, JOBS[2], at=chain.start + 5)
    assert "4 of 4 jobs done" in chain.line() and not chain._running()


def test_a_training_to_which_seeds_are_added_is_not_done(tmp_path):
    for job in JOBS[:2]:
        finish(tmp_path, job)
    chain = progress.ChainProgress(tmp_path, JOBS, 1, lambda job: 2 if job.study == "experiment2" else None)
    finish(tmp_path, JOBS[2])
    assert chain.line().startswith("subcritic: 0 of 4 jobs done after")
    finish(tmp_path, JOBS[3])
    assert chain.line().startswith("subcritic: 1 of 4 jobs done after")


def test_what_is_left_of_trainings_in_rounds_is_told_by_trainings_alone():
    first, second, third, alone = (job.name for job in JOBS)
    rounds = dict.fromkeys((first, second, third), 3)
    assert progress.seconds_left(JOBS, {alone: 1.0}, {}, 1, rounds) is None, (
        "a quarter is done, of another kind"
    )
    rounds[first] = 2
    assert progress.seconds_left(JOBS, {alone: 1.0, first: 9.0}, {}, 1, dict.fromkeys(rounds, 0)) == 0, (
        "taken"
    )
    left = progress.seconds_left(JOBS, {alone: 1.0, first: 10.0}, {second: 4.0}, 1, rounds)
    assert left == pytest.approx(20 + 30 - 4 + 30)


def test_mlflow_is_followed_until_snakemake_ends_and_not_longer(tmp_path, monkeypatch):
    calls = []

    def keep_mirrored(results):
        calls.append(results)
        if len(calls) > 1:
            raise OSError("no process can be started")

    monkeypatch.setattr(workflow, "FOLLOW_EVERY", 0.01)
    monkeypatch.setattr(workflow.tracking, "keep_mirrored", keep_mirrored)
    followed = workflow._Followed(tmp_path)
    deadline = time.monotonic() + 10
    while len(calls) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert calls[:4] == [tmp_path] * 4, "an error ends nothing"
    followed.stop()
    count = len(calls)
    time.sleep(0.1)
    assert len(calls) == count


def test_a_log_of_an_earlier_chain_is_no_running_job(tmp_path):
    log = tmp_path / "logs" / f"{JOBS[0].name}.log"
    log.parent.mkdir(parents=True)
    log.write_text("")
    os.utime(log, (1, 1))
    assert progress.ChainProgress(tmp_path, JOBS, 1)._running() == {}


def test_the_time_of_studies_is_that_of_their_jobs(tmp_path):
    for job in JOBS[:3]:
        finish(tmp_path, job, 40, 30)
    table = progress.studies_took(tmp_path, JOBS)
    assert "experiment2" in table and "2.0 min" in table and "90 s" not in table and "1.5 min" in table
    assert "throughput" not in table


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89, "89 s"), (90, "1.5 min"), (5400, "1.5 h"), (5399, "90.0 min")]
)
def test_durations_are_short(seconds, text):
    assert duration(seconds) == text
