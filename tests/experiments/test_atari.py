"""Experiment 1 on games of Atari, as the drafts specify it; skipped where the extra `atari` is not installed."""

import numpy as np
import pandas as pd
import pytest

from subcritic import envs, profiles
from subcritic.config import dump
from subcritic.studies import STUDIES
from subcritic.studies.experiment1.run import run

pytest.importorskip("ale_py", reason="needs the extra 'atari' (ale-py)")


NAMES = sorted(path.stem for path in profiles.FOLDER.glob("atari*.yaml"))


def load(name):
    return profiles.load(profiles.FOLDER / f"{name}.yaml")


def tiny(name):
    """A profile of `configs/` with one seed, few steps and small networks."""
    data = dump(load(name))
    data["experiment1"] |= {
        "steps": 60, "neurons_per_layer": 2, "subcritic_hidden": [4, 4], "subcritic_batch": 8, "held_out_states": 16,
        "record_every": 20, "snapshots": 1, "snapshot_states": 16, "regression_states": 16,
    }  # fmt: skip
    data["experiment1"]["agent"] |= {
        "hidden": [8, 8],
        "batch_size": 8,
        "learning_starts": 20,
        "update_every": 4,
    }
    data["training"] |= {"steps": 60, "evaluate_every": 60, "evaluation_episodes": 1, "final_episodes": 1}
    limited = [entry | {"max_episode_steps": 100} for entry in data["environments"]]
    return profiles.parse(data | {"seeds": 1, "studies": ["experiment1"], "environments": limited})


@pytest.mark.parametrize(
    "environment", [environment for name in NAMES for environment in load(name).environments], ids=str
)
def test_the_games_can_be_made_and_repeat_themselves(environment):
    made = envs.maker(environment)()
    seen = envs.picture(made)
    assert (seen is not None) == ("pixels" in environment.kwargs)
    assert envs.sizes(made) == (int(np.prod(seen)) if seen else 128, 3)
    made.close()
    assert envs.check(environment.id, environment.kwargs, environment.max_episode_steps) == ""


@pytest.mark.parametrize("name", NAMES)
def test_experiment_1_watches_critics_of_neurons_while_a_game_is_played(name, tmp_path):
    study = STUDIES["experiment1"]
    for job in study.jobs(tiny(name)):
        files = run(job, tmp_path)
        assert all(file.is_file() for file in files)
        curves = pd.read_csv(tmp_path / name / job.path(study.records["curves"].path))
        assert set(curves["method"]) == {"phase1", "phase2", "neuron_noise"}
        values = curves[curves["metric"].str.startswith("value/")]
        assert {"value/main", "value/layer_1", "value/layer_2", "value/layer_3"} <= set(values["metric"])
        assert np.isfinite(values["value"]).all()
