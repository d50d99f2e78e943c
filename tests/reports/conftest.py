import shutil

import numpy as np
import pandas as pd
import parts
import pytest
import synthetic

from subcritic.reporting import style
from subcritic.reporting.verdicts import tasks, verdicts
from subcritic.suite import LISTED

ROLES = {"ddpg": "backpropagation", "linear": "local"}


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """A profile of three environments and three seeds, and the folder of its synthetic results."""
    profile = synthetic.profile()
    return profile, synthetic.write(profile, tmp_path_factory.mktemp("results") / "synthetic")


@pytest.fixture
def one_format(monkeypatch):
    """Figures are saved once: the test of the whole chain makes them in all formats."""
    monkeypatch.setattr(style, "FORMATS", ("png",))


@pytest.fixture(scope="session")
def _finished_parts(tmp_path_factory):
    """The results folder of a tiny profile made in parts, finished and published."""
    results = tmp_path_factory.mktemp("parts") / "results"
    parts.train(parts.profile(), results)
    parts.finish(parts.profile(), results)
    parts.publish(parts.profile(), results)
    return results


@pytest.fixture
def finished(_finished_parts, tmp_path):
    """A copy of it, to be changed."""
    return shutil.copytree(_finished_parts, tmp_path / "results", copy_function=shutil.copy2)


@pytest.fixture
def frames():
    """Three seeds of two methods on two environments, of which the second has no reference; one run has diverged."""
    profile = synthetic.profile(environments=["a", "b"])
    runs = {("a", "ddpg"): [0.0, 50.0, 100.0], ("a", "linear"): [-10.0, 0.0, 40.0],
            ("b", "ddpg"): [5.0, 6.0, 7.0], ("b", "linear"): [8.0, 9.0, 6.0]}  # fmt: skip
    scores = pd.DataFrame([
        {"environment": environment, "method": method, "role": ROLES[method], "seed": seed, "score": score, "steps": 1000,
         "diverged_at": 600 if (method, seed) == ("linear", 2) else np.nan}
        for (environment, method), values in runs.items() for seed, score in enumerate(values)
    ])  # fmt: skip
    anchors = pd.DataFrame({
        "environment": ["a", "b"], "random_mean": [-100.0, 0.0], "random_standard_error": [2.0, 1.0],
        "random_episodes": [20, 20], "reference_return": [100.0, np.nan], "reference_source": ["a paper", ""],
    }).set_index("environment")  # fmt: skip
    return profile, scores, anchors


@pytest.fixture(scope="session")
def suite():
    """Four methods on 13 tasks, which need hidden layers up to the fifth; the rule is as good as DDPG, better on the first
    task and worse on the second.
    """
    names = [*(entry.name for entry in LISTED.values())][:13]
    shared = {"hidden": [64, 64]}
    profile = synthetic.profile(
        environments=[{"id": f"subcritic/{name}-v0", "name": f"{name}-v0"} for name in names], seeds=5,
        methods=[{"algorithm": "ddpg", **shared}, {"algorithm": "ddpg", "name": "frozen", "frozen_hidden": True, **shared},
                 {"algorithm": "linear", **shared}, {"algorithm": "learned_feedback", "name": "rule", **shared}],
    )  # fmt: skip
    rng, rows = np.random.default_rng(0), []
    for index, environment in enumerate(profile.environments):
        means = {
            "ddpg": 90.0,
            "frozen": 20.0 if index < 5 else 88.0,
            "linear": 5.0,
            "rule": {0: 120.0, 1: 60.0}.get(index, 90.0),
        }
        for method in profile.methods:
            rows += [
                {"environment": environment.name, "method": method.name, "role": method.role, "seed": seed,
                 "score": means[method.name] + rng.normal(0, 1), "steps": 1000, "diverged_at": np.nan}
                for seed in profile.seed_list()
            ]  # fmt: skip
    anchors = pd.DataFrame({
        "environment": [e.name for e in profile.environments], "random_mean": 0.0, "random_standard_error": 1.0,
        "random_episodes": 20, "reference_return": 100.0, "reference_source": "a planner",
    }).set_index("environment")  # fmt: skip
    facts = {method.name: synthetic.facts(method) for method in profile.methods}
    scores = pd.DataFrame(rows)
    judged = verdicts(profile, scores, anchors, facts)
    found = tasks(judged, facts, {e.name: 1 for e in profile.environments})
    return profile, scores, anchors, judged, found
