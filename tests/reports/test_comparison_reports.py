"""Reports of learning in threads, from recorded data whose answer is known."""

import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy import stats

from subcritic.reporting import comparison, records
from subcritic.studies import STUDIES
from subcritic.studies.asynchronous import report as asynchronous

ENVIRONMENTS = ("Pendulum-v1", "Cart-v0")
SEEDS = range(6)
# Two rules; threads cost the second one 90.
BOTH_WAYS = {
    "linear-synchronous": 0.0, "linear-asynchronous": 2.0,
    "learned-feedback-synchronous": 100.0, "learned-feedback-asynchronous": 10.0,
}  # fmt: skip


@pytest.fixture
def profile():
    tasks = [{"id": "Pendulum-v1"}, {"id": "subcritic/Cart-v0", "name": "Cart-v0"}]
    return synthetic.profile(
        environments=["Pendulum-v1"],
        seeds=len(SEEDS),
        asynchronous={
            "environments": tasks,
            "training": {"steps": 2000},
            "distributed": {"counted": [[64, 64]]},
        },
    )


def scores(levels):
    """Seeds differ by up to 50, methods by `levels`, the same in every seed but for ±1."""
    return pd.DataFrame([
        {"environment": environment, "method": method, "seed": seed, "steps": 2000, "diverged_at": None, "failure": None,
         "score": level + 10 * seed + (-1) ** seed}
        for environment in ENVIRONMENTS for method, level in levels.items() for seed in SEEDS
    ])  # fmt: skip


def curves(scores):
    steps = [scores.assign(step=step, metric="return/evaluation", value=scores["score"] * step / 2000)
             for step in (0, 1000, 2000)]  # fmt: skip
    return pd.concat(steps)[list(STUDIES["experiment2"].records["curves"].columns)]


def write(root, study, table):
    folder = root / study
    folder.mkdir(parents=True)
    table.to_csv(folder / "scores.csv", index=False)
    curves(table).to_csv(folder / "curves.csv", index=False)


@pytest.fixture
def root(tmp_path):
    write(tmp_path, "asynchronous", scores(BOTH_WAYS))
    lags = pd.DataFrame({
        "environment": ENVIRONMENTS, "method": "linear-asynchronous", "updates": 1000, "mean": 3.5, "largest": 64
    })  # fmt: skip
    lags.to_csv(tmp_path / "asynchronous" / "lag.csv", index=False)
    # Every second round ran on a machine ten times slower.
    speeds = {"ddpg": 100.0, "linear": 200.0, "linear-threads-2": 300.0, "linear-copies-2": 380.0}
    pd.DataFrame([
        {"learner": learner, "hidden": "64-64", "batch": 64, "round": number,
         "updates_per_second": speed / (10 if number % 2 else 1)}
        for number in range(5) for learner, speed in speeds.items()
    ]).to_csv(tmp_path / "asynchronous" / "throughput.csv", index=False)  # fmt: skip
    pd.DataFrame([
        {"learner": learner, "hidden": "64-64", "batch": 128, "updates": 3, "bytes": sent, "messages": 9, "exchanges": hops}
        for learner, sent, hops in (("learned-feedback", 2_000_000, 5), ("ddpg", 1_000_000, 7))
    ]).to_csv(tmp_path / "asynchronous" / "messages.csv", index=False)  # fmt: skip
    return tmp_path


def test_differences_are_paired_by_seed_and_the_interval_is_scipys(profile):
    rng = np.random.default_rng(0)
    table = scores({"a": 0.0, "b": 3.0})
    table["score"] += rng.normal(size=len(table))
    row = (
        comparison.score_table(table, ["a"], profile)
        .set_index(["environment", "method"])
        .loc[("Cart-v0", "b")]
    )
    wide = table[table.environment == "Cart-v0"].pivot(index="seed", columns="method", values="score")
    assert row["minus_a"] == pytest.approx((wide.b - wide.a).mean())
    found = stats.ttest_1samp([*(wide.b - wide.a), 0.0], 0).confidence_interval()
    assert row["minus_a_low"] == pytest.approx(found.low)
    assert row["minus_a_high"] == pytest.approx(found.high)
    assert row["minus_a_high"] - row["minus_a_low"] < (row["high"] - row["low"]) / 5, (
        "seeds differ more than methods"
    )


def test_a_baseline_is_not_compared_with_itself(profile):
    table = comparison.score_table(scores({"a": 0.0, "b": 3.0}), ["a"], profile).set_index("method")
    assert table.loc["a", ["minus_a", "minus_a_low", "minus_a_high"]].isna().all(axis=None)


def test_the_asynchronous_report_judges_by_the_synchronous_learners_interval(profile, root, one_format):
    files = {path.name: path for path in asynchronous.make(profile, root)}
    text = files["asynchronous.md"].read_text()
    assert (
        "linear: the asynchronous learner's return, 27.0, lies within the synchronous learner's interval"
        in text
    )
    assert "learned-feedback: the asynchronous learner's return, 35.0, lies outside" in text
    assert "differ by -90.0" in text
    assert "linear-asynchronous on Pendulum-v1 3.50 on average, 64 at most" in text


def test_the_asynchronous_report_says_what_layers_send_and_in_which_time(profile, root, one_format):
    files = {path.name: path for path in asynchronous.make(profile, root)}
    text = files["asynchronous.md"].read_text()
    assert "sends 1.01 to 2.00 times the bytes of DDPG's backpropagation, split at the same places" in text
    assert "(counted at 64-64, computed" in text
    assert "5 and 7 at 64-64, " in text and "35 and 67 at 32 layers of 1024." in text
    assert "| 2.00 (counted)" in text
    sent = pd.read_csv(files["asynchronous_messages.csv"]).set_index(["hidden", "learner"])
    # Messages of 8704 to 98304 bytes, in five and in seven steps of 50 µs each.
    assert 0.25 < sent.loc[("64-64", "learned-feedback"), "milliseconds"] < 0.6
    assert 0.35 < sent.loc[("64-64", "ddpg"), "milliseconds"] < 0.7
    deep = sent.loc["32 layers of 1024"]
    assert set(deep.how) == {"computed"} and list(deep.exchanges) == [35, 67]


def test_speeds_are_compared_within_a_round(root, profile):
    table = asynchronous.speed_table(synthetic.read("asynchronous", "rounds", profile, root)).set_index(
        "learner"
    )
    row = table.loc["linear-threads-2"]
    ratios = row[["over_one_thread", "over_one_thread_quartile_1", "over_one_thread_quartile_3"]]
    assert list(ratios) == [1.5, 1.5, 1.5] and table.loc["ddpg", "over_one_thread"] == 1
    assert row["over_ddpg"] == 3 and row["updates_per_second"] == 300 and row["rounds"] == 5


def test_a_missing_file_is_named_with_the_study_that_makes_it(profile, tmp_path):
    with pytest.raises(records.MissingResult, match="is missing: the study 'asynchronous' makes it"):
        asynchronous.make(profile, tmp_path)


def test_one_seed_has_no_interval_and_no_verdict(profile, root):
    one = synthetic.profile(environments=["Pendulum-v1"], seeds=1)
    table = asynchronous.return_table(scores(BOTH_WAYS).query("seed == 0"), one)
    assert len(asynchronous.sentences(table)) == 4
    assert all("from one seed" in sentence for sentence in asynchronous.sentences(table))
