"""Trainings of one method: a seed is trained once, whatever other seeds a config asks for."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from subcritic import profiles
from subcritic.measuring import kept, method, policies
from subcritic.studies import STUDIES
from subcritic.studies.experiment2.run import run
from subcritic.tracking import record

GIVEN = {
    "profile": "p", "environments": ["Pendulum-v1"], "methods": [{"algorithm": "ddpg", "hidden": [8], "batch_size": 16,
    "learning_starts": 50}],
    "training": {"steps": 150, "evaluate_every": 50, "evaluation_episodes": 1, "final_episodes": 1},
}  # fmt: skip


def job(seeds, **changes):
    (found,) = STUDIES["experiment2"].jobs(profiles.parse(GIVEN | {"seeds": seeds} | changes))
    return found


def records_of(results):
    """seed → identity of its record, which a new training does not keep."""
    folders = (results / "p/runs/experiment2/Pendulum-v1/ddpg").glob("s*")
    return {int(folder.name[1:]): record.read(folder)["record"] for folder in folders}


@pytest.fixture
def trained(tmp_path):
    run(job(2), tmp_path)
    return tmp_path


def test_more_seeds_train_the_new_ones_alone_and_end_as_if_all_were_trained_at_once(trained, tmp_path):
    before = records_of(trained)
    more = run(job(3), trained)
    after = records_of(trained)
    assert {seed: after[seed] for seed in before} == before and len(after) == 3
    at_once = run(job(3), tmp_path / "at once")
    for mine, theirs in zip(more[:2], at_once[:2], strict=True):
        # Means over the states of an evaluation are summed in another order.
        pd.testing.assert_frame_equal(pd.read_csv(mine), pd.read_csv(theirs), rtol=1e-12, atol=0)
    assert list(pd.read_csv(more[1])["seed"]) == [0, 1, 2]
    assert Path(more[2]).read_bytes() == Path(at_once[2]).read_bytes()
    assert torch.equal(policies.load(more[3])[1], policies.load(at_once[3])[1])


def test_fewer_seeds_and_a_second_run_train_nothing(trained, monkeypatch):
    monkeypatch.setattr(method, "_train", lambda *_: pytest.fail("trained again"))
    assert [list(pd.read_csv(run(job(seeds), trained)[1])["seed"]) for seeds in (1, 2)] == [[0], [0, 1]]


@pytest.mark.parametrize("what", ["code", "config", "status", "artifact"])
def test_a_seed_is_trained_again_if_its_record_is_of_another_code_or_config_or_not_whole(
    what, trained, monkeypatch
):
    before, changes = records_of(trained), {}
    folder = trained / "p/runs/experiment2/Pendulum-v1/ddpg/s1"
    content = json.loads((folder / "run.json").read_text())
    if what == "code":
        monkeypatch.setattr(kept, "job_code", lambda *_: "other")
        monkeypatch.setattr("subcritic.measuring.session.job_code", lambda *_: "other")
    elif what == "config":
        changes = {"training": GIVEN["training"] | {"steps": 200}}
    elif what == "status":
        (folder / "run.json").write_text(json.dumps(content | {"status": "KILLED"}))
    else:
        del content["artifacts"][kept.SCORE]
        (folder / "run.json").write_text(json.dumps(content))
    run(job(2, **changes), trained)
    after = records_of(trained)
    assert after[1] != before[1]
    assert (after[0] == before[0]) == (what in ("status", "artifact"))
