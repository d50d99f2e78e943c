"""The environment on docs/bring-your-own.md is checked and trained on as it stands there."""

import re
import sys
from pathlib import Path

import gymnasium as gym
import pandas as pd
import pytest
import torch
import yaml

from subcritic import envs, profiles
from subcritic.studies import STUDIES
from subcritic.studies.experiment2 import run as experiment2

PAGE = Path(__file__).parents[2] / "docs" / "bring-your-own.md"


def block(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", own_environment(), re.DOTALL)
    return found


def own_environment():
    """The section of the page."""
    return PAGE.read_text().split("## An environment of your own")[1].split("## A rule of your own")[0]


@pytest.fixture
def written(tmp_path, monkeypatch):
    """The profile of the page, with the module of the page on Python's path."""
    (tmp_path / "boats.py").write_text(block("python"))
    monkeypatch.syspath_prepend(tmp_path)
    # It would stay in this process, and other tests need denormal numbers.
    monkeypatch.setattr(torch, "set_flush_denormal", lambda on: True)
    yield yaml.safe_load(block("yaml"))
    gym.registry.pop("Boat-v0", None)
    sys.modules.pop("boats", None)


def test_the_environment_of_the_page_is_learned_from(written, tmp_path):
    tiny = {
        "steps": 300,
        "evaluate_every": 150,
        "evaluation_episodes": 1,
        "final_episodes": 2,
    }
    methods = [method | {"learning_starts": 100} for method in written["methods"]]
    profile = profiles.parse(
        written | {"seeds": 2, "methods": methods, "training": tiny, "runtime": {"log_every": 100}}
    )
    (environment,) = profile.environments
    assert environment.name == "Boat-v0"
    envs.check(environment.id, environment.kwargs)
    assert set(envs.code_of(environment.id)) == {"packages", "source"}
    for job in STUDIES["experiment2"].jobs(profile):
        curves, scores, *_ = experiment2.run(job, tmp_path)
        assert curves.parent.name == "Boat-v0"
        steps = pd.read_csv(curves).query("metric == 'return/evaluation'")["step"]
        assert set(steps) == {0, 150, 300}
        scored = pd.read_csv(scores)["score"]
        assert len(scored) == 2 and (scored < 0).all()


def test_the_profile_of_the_page_is_valid_as_it_stands(written):
    assert profiles.parse(written).environments[0].id == "boats:Boat-v0"
