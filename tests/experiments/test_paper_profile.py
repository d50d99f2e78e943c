"""The profile `paper` runs to its end: a copy with fewer steps, of DDPG alone, on the first of its tasks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from subcritic import profiles
from subcritic.config.reading import read_yaml
from subcritic.measuring import policies
from subcritic.studies import STUDIES
from subcritic.studies.experiment2.run import run

PAPER = Path(__file__).parents[2] / "configs/paper.yaml"
# 2.5 million in the profile itself; 1,000 of them are random actions. Its variants need fewer to show that they run.
STEPS = {"ddpg": 6_000, "dpg": 3_000, "ddpg-modern": 3_000}


def shortened(steps):
    """The profile with all its settings but the number of tasks, seeds and steps."""
    whole = read_yaml(PAPER)
    # It names tasks of its own.
    del whole["ablation"]
    of_ddpg = [method for method in whole["methods"] if method["algorithm"] == "ddpg"]
    few = {
        "seeds": 1,
        "studies": ["experiment2"],
        "environments": whole["environments"][:1],
        "methods": of_ddpg,
        "training": whole["training"] | {"steps": steps, "evaluate_every": steps // 2},
    }
    return profiles.parse(whole | few)


@pytest.mark.slow
@pytest.mark.parametrize("method", STEPS)
def test_a_training_in_the_papers_setting_runs_to_its_end(method, tmp_path):
    steps = STEPS[method]
    (job,) = (job for job in STUDIES["experiment2"].jobs(shortened(steps)) if job.method == method)
    settings = job.config.agent
    assert settings.batch_normalisation == (method != "ddpg-modern")
    assert settings.replay_size == 1_000_000
    files = {path.name: path for path in run(job, tmp_path)}
    scores, curves = (pd.read_csv(files[f"{method}{end}"]) for end in (".scores.csv", ".csv"))
    returns = curves[curves.metric == "return/evaluation"]
    assert list(returns.step.unique()) == [0, steps // 2, steps]
    assert np.isfinite(scores.score).all()
    # Without target networks a run may diverge.
    assert method == "dpg" or scores.diverged_at.isna().all()
    actor, weights, seeds = policies.load(files[f"{method}.policy.pt"])
    assert actor.sizes[1:-1] == settings.hidden and seeds == [0]
    assert weights.isfinite().all() or method == "dpg"
