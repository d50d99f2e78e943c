"""What the study throughput counts and records; how fast a machine is, no test can claim."""

import numpy as np
import pandas as pd
import pytest
import torch

from subcritic import profiles
from subcritic.config import DDPGSettings
from subcritic.nn import devices
from subcritic.replay import Replay
from subcritic.studies import STUDIES
from subcritic.studies.throughput import run as throughput
from subcritic.studies.throughput import training
from subcritic.studies.throughput.operations import (
    BareProducts,
    counted,
    ddpg_products,
    linear_products,
    multiply_adds,
)
from subcritic.studies.throughput.settings import local_rules

COUNTED_BY_HAND = {"ddpg", "linear", "stable-baselines3", "ddpg-limit", "linear-limit"}
RULES = local_rules()
LEARNERS = COUNTED_BY_HAND | set(throughput.rule_settings((8,), 4, RULES))


@pytest.mark.parametrize("hidden", [(8,), (16, 12), (10, 9, 7)])
@pytest.mark.parametrize("learner", sorted(COUNTED_BY_HAND))
def test_the_count_of_operations_is_what_torch_counts_while_learning(learner, hidden):
    assert (
        counted(throughput.learners(hidden, 8, RULES)[learner])
        == throughput.operations(hidden, 8, RULES)[learner]
    )


def test_local_rules_need_the_products_that_their_equations_have():
    found, layers = throughput.operations((16, 12), 8, RULES), 8 * (17 * 16 + 16 * 12 + 12 * 6)
    voltages = 17 + 16 + 12
    assert found["linear"] == 6 * layers
    assert found["bilinear"] == 10 * layers
    # z, w·v and two steps; V at v and v′, and its step, once per layer.
    assert found["compatible"] == 4 * layers + 3 * 8 * voltages
    assert found["random-direction"] == 0
    assert found["node-perturbation-4"] > found["node-perturbation"] > 0


def test_a_count_by_hand():
    ddpg, linear = throughput.agent_settings((3,), 2)
    # One hidden layer of 3, observation 5, action 1: layers 5-3-1 (actor) and 6-3-1 (critic), batch 2.
    actor, critic = 2 * (5 * 3 + 3 * 1), 2 * (6 * 3 + 3 * 1)
    through_last = 2 * 3 * 1
    critic_update = actor + 2 * critic + critic + through_last
    actor_update = actor + critic + (through_last + 2 * 3 * 1) + actor + through_last
    assert multiply_adds(ddpg_products(ddpg, 5, 1)) == critic_update + actor_update
    assert multiply_adds(linear_products(linear, 5, 1)) == 6 * actor


def test_the_linear_rule_needs_three_fifths_of_the_products_of_ddpg():
    count = throughput.operations((256, 256), 64, RULES)
    assert count["linear"] / count["ddpg"] == pytest.approx(0.6, abs=0.02)


@pytest.mark.parametrize("action_layer", [1, 2, 3])
def test_the_bare_products_fit_together_wherever_the_action_joins(action_layer):
    settings = DDPGSettings(algorithm="ddpg", hidden=(6, 5), batch_size=4, action_layer=action_layer)
    bare = BareProducts(ddpg_products(settings, 3, 2))
    bare.update()
    assert all(torch.isfinite(out).all() for _, _, out in bare.calls)


def test_all_learners_have_the_same_networks_and_rates():
    ddpg, linear = throughput.agent_settings((24, 16), 32)
    peer = throughput.peer(ddpg)
    assert [m.out_features for m in peer.actor.mu if hasattr(m, "out_features")] == [
        24,
        16,
        throughput.ACTION,
    ]
    first_critic_layer = peer.critic.q_networks[0][0]
    assert first_critic_layer.in_features == throughput.OBSERVATION + throughput.ACTION
    assert len(peer.critic.q_networks) == 1
    assert (peer.tau, peer.gamma, peer.lr_schedule(1)) == (ddpg.polyak, ddpg.discount, ddpg.critic_rate)
    assert ddpg.actor_rate == ddpg.critic_rate and ddpg.action_layer == 1 and ddpg.activation == "relu"
    assert linear.hidden == ddpg.hidden and linear.batch_size == ddpg.batch_size


def test_an_update_is_one_minibatch_and_one_learning_step(monkeypatch):
    drawn = []
    sample = Replay.sample

    def counting(self, batch_size, rngs):
        drawn.append(batch_size)
        return sample(self, batch_size, rngs)

    monkeypatch.setattr(Replay, "sample", counting)
    throughput.ours(throughput.agent_settings((8,), 16)[0])(3)
    assert drawn == [16, 16, 16]
    peer = throughput.peer(throughput.agent_settings((8,), 16)[0])
    throughput.stable_baselines3(peer)(3)
    assert peer._n_updates == 3


def test_every_learner_is_measured_in_every_round_and_all_files_are_written(tmp_path, capsys):
    settings = {
        "hidden": [[8], [8, 6]],
        "batches": [4],
        "rounds": 3,
        "seconds": 0.002,
        "training_steps": 2,
        "training_rounds": 3,
    }
    profile = profiles.parse(
        {
            "profile": "p", "environments": ["Pendulum-v1"], "methods": [{"algorithm": "linear"}],
            "throughput": settings,
        }
    )  # fmt: skip
    rounds, operations, trained, gpu = throughput.run(STUDIES["throughput"].job(profile), tmp_path)
    written = pd.read_csv(rounds)
    assert list(written.columns) == ["learner", "hidden", "batch", "round", "updates_per_second"]
    assert len(written) == 2 * 3 * len(LEARNERS)
    assert all(set(group) == LEARNERS for _, group in written.groupby(["hidden", "round"])["learner"])
    assert set(written["hidden"].astype(str)) == {"8", "8-6"}
    assert np.isfinite(written["updates_per_second"]).all() and (written["updates_per_second"] > 0).all()
    assert pd.read_csv(gpu).empty != devices.available()
    counted = pd.read_csv(operations)
    assert list(counted.columns) == ["learner", "hidden", "batch", "multiply_adds"]
    assert len(counted) == 2 * len(LEARNERS)
    whole = pd.read_csv(trained)
    contenders = {(method, seeds) for method in ("ddpg", "linear", "learned-feedback") for seeds in (1, 5)}
    contenders |= {("stable-baselines3", 1)}
    for _, found in whole.groupby(["environment", "round"]):
        assert set(zip(found["learner"], found["seeds"], strict=True)) - {("rltools", 1)} == contenders
    assert set(whole["environment"]) == {"Pendulum-v1", "subcritic/Cheetah-v0"}
    assert (whole["microseconds"] > 0).all()
    assert len(capsys.readouterr().err.splitlines()) == 4 + 6 * devices.available()


def test_whole_training_makes_one_update_for_each_step_on_both_sides(monkeypatch):
    updates = []
    monkeypatch.setattr("subcritic.agents.ddpg.DDPG.learn", lambda *_: updates.append("ours"))
    monkeypatch.setattr(
        "stable_baselines3.DDPG.train", lambda *_, **given: updates.append(given["gradient_steps"])
    )
    training.ours(training.methods()[0], "Pendulum-v1", seeds=2)(training.WARM_UP + 9)
    assert updates == 10 * ["ours"]
    updates.clear()
    training.stable_baselines3("Pendulum-v1")(training.WARM_UP + 9)
    assert updates == 9 * [1]


def test_measuring_leaves_the_threads_and_the_collector_as_they_were():
    import gc

    before = torch.get_num_threads(), gc.isenabled()
    with pytest.raises(RuntimeError), throughput.one_quiet_thread():
        assert torch.get_num_threads() == 1 and not gc.isenabled()
        raise RuntimeError
    assert (torch.get_num_threads(), gc.isenabled()) == before
