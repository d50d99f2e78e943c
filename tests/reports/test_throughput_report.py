import numpy as np
import pandas as pd
import pytest

from subcritic.studies.throughput import report as throughput


@pytest.fixture
def frames():
    """Every second round ran on a machine ten times slower: the paired ratio must not see it."""
    speeds = {"ddpg": 200.0, "stable-baselines3": 100.0, "linear": 300.0, "ddpg-limit": 400.0}
    rounds = pd.DataFrame([
        {"learner": learner, "hidden": "256-256", "batch": 64, "round": index,
         "updates_per_second": speed / (10 if index % 2 else 1)}
        for index in range(5) for learner, speed in speeds.items()
    ])  # fmt: skip
    operations = pd.DataFrame({"learner": ["ddpg", "linear", "ddpg-limit"], "hidden": "256-256", "batch": 64,
                               "multiply_adds": [1000, 600, 1000]})  # fmt: skip
    return rounds, operations


def test_the_page_says_whether_a_gpu_was_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(throughput, "said", lambda _: "")
    without = pd.DataFrame(columns=["hidden"])
    for text, said in (
        ("", "Speed on a GPU, or over"),
        (throughput.gpu_markdown(without), "Speed on a GPU, or over"),
        (f"{throughput.GPU}\n\n| learner |", "and updates on a GPU: ["),
    ):
        (tmp_path / "throughput.md").write_text(text)
        assert said in throughput.section(tmp_path, "there")[2]


def test_ratios_are_taken_within_a_round(frames):
    table = throughput.ratio_table(*frames).set_index("ratio")
    assert list(table.index) == ["ddpg / stable-baselines3", "linear / ddpg", "ddpg / ddpg-limit"]
    np.testing.assert_allclose(table["median"], [2, 1.5, 0.5])
    np.testing.assert_allclose(table["quartile_3"] - table["quartile_1"], 0, atol=1e-12)
    assert table.loc["linear / ddpg", "operations"] == 0.6
    assert np.isnan(table.loc["ddpg / stable-baselines3", "operations"])


def test_speeds_are_medians_and_samples_are_updates_times_batch(frames):
    table = throughput.speed_table(*frames).set_index("learner")
    one = table.loc["ddpg"]
    assert (one["updates_per_second"], one["quartile_1"], one["quartile_3"]) == (200, 20, 200)
    assert one["samples_per_second"] == 200 * 64 and one["rounds"] == 5
    assert one["gigaflops"] == pytest.approx(2 * 1000 * 200 / 1e9)
    assert np.isnan(table.loc["stable-baselines3", "multiply_adds"])


def test_whole_training_is_compared_within_a_round():
    trained = pd.DataFrame([
        {"environment": "Pendulum-v1", "learner": learner, "seeds": seeds, "round": number,
         "microseconds": microseconds * (10 if number == 2 else 1)}
        for number in (1, 2, 3)
        for learner, seeds, microseconds in (("ddpg", 5, 100.0), ("stable-baselines3", 1, 2000.0))
    ])  # fmt: skip
    table = throughput.training_table(trained).set_index("learner")
    assert table.loc["ddpg", ["seeds", "microseconds", "faster", "faster_1", "faster_3"]].tolist() == [
        5,
        100,
        20,
        20,
        20,
    ]
    assert table.loc["stable-baselines3", "faster"] == 1
    assert "| ddpg" in throughput.training_markdown(table.reset_index())


def test_the_headline_names_its_setting_and_the_saved_operations(frames):
    text = throughput.sentence(throughput.speed_table(*frames), throughput.ratio_table(*frames))
    assert text.startswith("Updates per second at 256-256, batch 64: ddpg / stable-baselines3 = 2.00")
    assert "linear / ddpg = 1.50 (1.50 to 1.50) at 0.60 of the multiply-adds" in text


def test_every_local_rule_has_its_ratio_to_ddpg_where_it_was_measured(frames):
    rounds, operations = frames
    coagent = rounds[rounds["learner"] == "ddpg"].assign(learner="coagent")
    coagent["updates_per_second"] *= 1.25
    slow = coagent.assign(learner="mlp", hidden="8-8")
    ddpg = rounds[rounds["learner"] == "ddpg"].assign(hidden="8-8")
    both = pd.concat([rounds, coagent, slow, ddpg])
    table = throughput.ratio_table(both, operations)
    found = table[table["ratio"].isin(["coagent / ddpg", "mlp / ddpg"])]
    assert list(zip(found["ratio"], found["hidden"], strict=True)) == [
        ("coagent / ddpg", "256-256"),
        ("mlp / ddpg", "8-8"),
    ]
    np.testing.assert_allclose(found["median"], 1.25)
    speeds = throughput.speed_table(both, operations)
    text = throughput.sentence(speeds, table)
    assert "coagent / ddpg = 1.25" in text and "mlp" not in text
    last = throughput.figure(speeds, table).axes[2]
    assert {label.get_text() for label in last.get_yticklabels()} == {"linear", "coagent", "mlp"}
