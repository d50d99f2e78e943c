"""One neuron trained by a stranger: the example, with few seeds."""

import importlib
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("train_one_neuron")


@pytest.mark.slow
def test_a_neuron_trained_by_stable_baselines3_improves_the_whole_agent(example):
    """In the mean over three seeds: not every one of so short trainings succeeds."""
    kinds = ("output", "hidden")
    outcomes = example.run(range(3), kinds, "DDPG", 5_000, 10)
    for kind in kinds:
        gains = [outcome.trained - outcome.random for outcome in outcomes if outcome.kind == kind]
        # Returns of Pendulum lie in about [-1700, -120].
        assert len(gains) == 3 and sum(gains) / 3 > 300, outcomes


def test_the_summary_gives_means_over_seeds_and_their_intervals(example):
    rows = [example.Outcome(seed, "output", 20, -1000.0, -200.0 - 10 * seed, -150.0) for seed in range(2)]
    assert example.summary(rows) == (
        "output neuron, 2 seeds: random -1000 [-1000, -1000], trained -205 [-269, -141], "
        "original -150 [-150, -150], improvement 795 [731, 859]"
    )
    assert "trained -200," in example.summary(rows[:1])
