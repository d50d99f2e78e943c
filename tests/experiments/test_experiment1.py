"""Experiment 1: what sub-critics learn from, what is compared and what is kept, on 60 steps of Pendulum."""

from functools import partial
from types import SimpleNamespace
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from subcritic import envs, profiles
from subcritic.agents import DDPG
from subcritic.measuring.snapshots import load_snapshots
from subcritic.studies.experiment1 import run as experiment1
from subcritic.studies.experiment1.learning import Snapshots, SubCriticLearning
from subcritic.studies.experiment1.neuron_noise import InformedLearning, noisy
from subcritic.studies.experiment1.settings import NEURON_NOISE, PHASES, Experiment1, jobs
from subcritic.studies.experiment1.similarity import Similarities, held_out_states, steps_to_similar
from subcritic.training import Trainer

SEEDS, STEPS, RECORD_EVERY = [0, 1], 60, 10
SETTINGS = {
    "agent": {"algorithm": "ddpg", "hidden": [8, 6], "batch_size": 16, "learning_starts": 20},
    "steps": STEPS,
    "neurons_per_layer": 3,
    "subcritic_hidden": [8, 8],
    "subcritic_batch": 16,
    "held_out_states": 16,
    "record_every": RECORD_EVERY,
    "window": 3,
    "snapshots": 3,
    "snapshot_states": 16,
    "regression_states": 32,
}
SMALL = Experiment1.model_validate(SETTINGS)
make_environment = partial(envs.make, "Pendulum-v1")


class Logged(dict):
    """(seed's index, metric) → values in the order of their steps."""

    def __call__(self, step, s, metrics):
        for name, value in metrics.items():
            self.setdefault((s, name), []).append(value)


class Heard:
    """Stands for sub-critics, and keeps what they are told to learn from."""

    def __init__(self):
        self.calls = []

    def learn(self, h, h_next, reward, terminated, told=None):
        self.calls.append(
            SimpleNamespace(h=h, h_next=h_next, reward=reward, terminated=terminated, told=told)
        )
        return {}


def trained(make_observers=lambda log, agent: [], agent_settings=SMALL.agent):
    """A trainer after 60 steps, and its observers, which `make_observers` gives."""
    agent = DDPG(agent_settings, 3, 1, SEEDS)
    trainer = Trainer(agent, make_environment, SEEDS, STEPS, 10.0)
    trainer.observers = make_observers(Logged(), agent)
    trainer.run()
    return trainer


def stored_rows(trainer, observation):
    """The replay's rows of the observations (S, B, n_0); each is stored once."""
    columns = trainer.replay.unpack(trainer.replay.rows)
    same = (observation[:, :, None] == columns["observation"][:, None]).all(dim=-1)
    assert (same.sum(dim=-1) == 1).all()
    slots = same.int().argmax(dim=-1, keepdim=True)
    return {
        name: column.gather(1, slots.expand(-1, -1, column.shape[-1])) for name, column in columns.items()
    }


def test_held_out_states_are_of_each_seed_alone():
    states = held_out_states(make_environment, SEEDS, 16)
    assert states.shape == (2, 16, 3) and states.dtype == torch.float32
    torch.testing.assert_close(states[..., 0] ** 2 + states[..., 1] ** 2, torch.ones(2, 16))
    assert torch.equal(held_out_states(make_environment, [1], 16)[0], states[1])
    assert not torch.equal(states[0], states[1])


class Noted(gym.Wrapper):
    """Notes the seeds of its resets."""

    seeds: ClassVar[set[int]] = set()

    def reset(self, *, seed=None, options=None):
        self.seeds.add(seed)
        return super().reset(seed=seed, options=options)


def test_held_out_states_are_of_other_episodes_than_those_of_training():
    def reset_seeds(play):
        Noted.seeds.clear()
        play()
        return set(Noted.seeds)

    def noted():
        return Noted(make_environment())

    held_out = reset_seeds(lambda: held_out_states(noted, SEEDS, 16))
    of_training = set()
    for purpose in (*PHASES, NEURON_NOISE):
        agent = DDPG(SMALL.agent, 3, 1, SEEDS)
        of_training |= reset_seeds(
            lambda a=agent, p=purpose: Trainer(a, noted, SEEDS, 250, 10.0, purpose=p).run()
        )
    assert None not in held_out | of_training
    assert len(held_out) == 2 * 2 and len(of_training) == 3 * 4
    assert not held_out & of_training


def test_sub_critics_do_not_influence_what_they_watch():
    def watched(log, agent):
        learning = SubCriticLearning(log, agent, SMALL, 10, SEEDS, "phase1")
        held_out = held_out_states(make_environment, SEEDS, 16)
        return [
            learning,
            InformedLearning(log, agent, SMALL, 10, SEEDS),
            Similarities(log, agent, learning.family, held_out, SMALL),
            Snapshots(agent, learning.family, SMALL),
        ]

    alone, together = trained(), trained(watched)
    assert torch.equal(alone.agent.policy().flat, together.agent.policy().flat)
    assert torch.equal(alone.agent.critic.online.flat, together.agent.critic.online.flat)
    assert torch.equal(alone.replay.rows, together.replay.rows)


@pytest.fixture(scope="module")
def heard():
    """A trainer that has gone one step further with some terminations, and what sub-critics were given, call by call."""

    def watched(log, agent):
        learning = SubCriticLearning(log, agent, SMALL, 10, SEEDS, "phase1")
        learning.family = Heard()
        return [learning]

    trainer = trained(watched)
    # Pendulum has none itself.
    trainer.replay.unpack(trainer.replay.rows)["terminated"][:, ::3] = 1
    trainer.observers[0](trainer)
    return trainer, trainer.observers[0].family.calls


def test_sub_critics_learn_once_per_step_from_the_first_update_on():
    steps = []

    def watched(log, agent):
        learning = SubCriticLearning(log, agent, SMALL, 10, SEEDS, "phase1")
        learning.family = SimpleNamespace(learn=lambda *seen: steps.append(trainer.step) or {})
        return [learning]

    agent = DDPG(SMALL.agent, 3, 1, SEEDS)
    trainer = Trainer(agent, make_environment, SEEDS, STEPS, 10.0)
    trainer.observers = watched(Logged(), agent)
    trainer.run()
    assert steps == list(range(SMALL.agent.learning_starts, STEPS + 1))


def test_sub_critics_learn_from_replayed_rows_by_todays_actor(heard):
    trainer, calls = heard
    seen = calls[-1]
    rows = stored_rows(trainer, seen.h[0])
    assert torch.equal(seen.reward, rows["reward"])
    assert torch.equal(seen.terminated, rows["terminated"]) and 0 < seen.terminated.mean() < 1
    assert torch.equal(seen.h_next[0], rows["next_observation"])
    # The action is the executed one, with its noise; all other voltages are those of today's actor, which has none there.
    assert torch.equal(seen.h[-1], rows["action"])
    for found, states in ((seen.h[:-1], rows["observation"]), (seen.h_next, rows["next_observation"])):
        today = trainer.agent.act(states).h
        for mine, theirs in zip(found, today, strict=False):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)
    assert not torch.equal(seen.h[-1], trainer.agent.act(rows["observation"]).output)


@pytest.fixture(scope="module")
def compared():
    """A trainer and its log."""
    log = Logged()

    def watched(_, agent):
        learning = SubCriticLearning(log, agent, SMALL, 10, SEEDS, "phase1")
        held_out = held_out_states(make_environment, SEEDS, 16)
        return [learning, Similarities(log, agent, learning.family, held_out, SMALL)]

    return trained(watched), log


def test_similarities_equal_scipys_on_held_out_states(compared):
    trainer, log = compared
    found = trainer.observers[1]
    agent, h = trainer.agent, trainer.agent.act(found.held_out).h
    q = agent.critic.forward(found.held_out, h[-1]).output[..., 0].numpy()
    for s in range(len(SEEDS)):
        assert log[s, "value/main"][-1] == pytest.approx(q[s].mean(), abs=1e-6)
        for layer in (1, 2, 3):
            members = {"layer": found.family.layers[layer - 1], "neurons": found.family.neurons[layer - 1]}
            for kind, member in members.items():
                values = member.values(h[layer - 1], h[layer])[s].mT.numpy()
                last = {
                    measure: log[s, f"similarity/{kind}_{layer}/{measure}"][-1]
                    for measure in ("pearson", "spearman", "affine_r2", "nrmse")
                }
                pearson = [stats.pearsonr(value, q[s]).statistic for value in values]
                rank = [stats.spearmanr(value, q[s]).statistic for value in values]
                distance = np.sqrt(((values - q[s]) ** 2).mean(axis=1)) / q[s].std()
                assert last["pearson"] == pytest.approx(np.median(pearson), abs=1e-5)
                assert last["spearman"] == pytest.approx(np.median(rank), abs=1e-5)
                assert last["affine_r2"] == pytest.approx(np.median(np.square(pearson)), abs=1e-5)
                assert last["nrmse"] == pytest.approx(np.median(distance), rel=1e-5)
                assert log[s, f"value/{kind}_{layer}"][-1] == pytest.approx(values.mean(), abs=1e-6)


def test_windowed_similarity_is_the_mean_of_the_last_records(compared):
    _, log = compared
    single = log[1, "similarity/layer_2/pearson"]
    assert len(single) == (STEPS - SMALL.agent.learning_starts) // RECORD_EVERY + 1
    assert len(log[1, "similarity_window/layer_2/pearson"]) == len(single)
    for last, windowed in enumerate(log[1, "similarity_window/layer_2/pearson"], 1):
        assert windowed == pytest.approx(np.mean(single[max(0, last - 3) : last]))


def test_a_critic_is_similar_from_the_step_where_its_windowed_correlation_reaches_nine_tenths():
    pearson = np.array([[0.1, 0.95], [0.8, 0.95], [1.0, 0.2], [1.0, 0.2], [1.0, 0.2]])
    values = np.random.default_rng(0).normal(size=(2, 16))
    along = [values.copy(), values.copy(), values, values, values]
    along[0][0] = along[1][0] = np.arange(16) % 3
    found = SimpleNamespace(
        steps=[20, 30, 40, 50, 60],
        history={
            "similarity/layer_1/pearson": list(pearson),
            "similarity/layer_1/nrmse": list(pearson),
            "value/main": list(pearson),
        },
        main_values=along,
        window=2,
    )
    table = steps_to_similar("phase1", "task", found, [7, 8])
    assert set(table.critic) == {"layer_1", "main"} and set(table.method) == {"phase1"}
    reached = table.set_index(["critic", "seed"]).step
    # Means of two records: 0.1, 0.45, 0.9, 1, 1 and 0.95, 0.95, 0.575, 0.2, 0.2.
    assert reached["layer_1", 7] == 40 and reached["layer_1", 8] == 20
    # Q^μ of the first seed has its last values from step 40 on: two records of it have them at 50. The other's never change.
    assert reached["main", 7] == 50 and reached["main", 8] == 20


def test_a_snapshot_is_a_copy_of_its_time_at_stored_states():
    def watched(log, agent):
        learning = SubCriticLearning(log, agent, SMALL, 10, SEEDS, "phase1")
        return [learning, Snapshots(agent, learning.family, SMALL)]

    trainer = trained(watched)
    learning, snapshots = trainer.observers
    first, *_, last = snapshots.taken
    assert [taken["step"] for taken in snapshots.taken] == [20, 40, 60]
    assert torch.equal(last["actor"], trainer.agent.policy().flat)
    assert torch.equal(last["critic"], trainer.agent.critic.online.flat)
    for kind in ("layers", "neurons"):
        members = getattr(learning.family, kind)
        for before, after, member in zip(first[kind], last[kind], members, strict=True):
            assert torch.equal(after, member.network.online.flat)
            assert not torch.equal(before, after)
    assert not torch.equal(first["actor"], last["actor"])
    assert not torch.equal(first["critic"], last["critic"])
    for taken in snapshots.taken:
        assert taken["observations"].shape == (2, SMALL.snapshot_states, 3)
        stored_rows(trainer, taken["observations"])


def test_the_third_run_differs_in_its_noise_alone():
    settings = noisy(SMALL)
    noise = {"exploration": "neuron", "noise": "gaussian", "noise_scale": SMALL.neuron_noise_scale}
    assert {name: getattr(settings, name) for name in noise} == noise
    assert settings.model_copy(update={name: getattr(SMALL.agent, name) for name in noise}) == SMALL.agent


def test_compatible_critics_learn_from_stored_noise_and_those_with_a_baseline_from_fresh_noise():
    def watched(log, agent):
        learning = InformedLearning(log, agent, SMALL, 10, SEEDS)
        learning.critics = {name: Heard() for name in learning.critics}
        return [learning]

    trainer = trained(watched, noisy(SMALL))
    agent, critics = trainer.agent, trainer.observers[0].critics
    own, told = critics["compatible"].calls[-1], critics["global_baseline"].calls[-1]
    rows = stored_rows(trainer, own.h[0])
    assert own.told is None
    assert torch.equal(own.h[-1], rows["action"]) and torch.equal(own.reward, rows["reward"])
    assert torch.equal(own.h_next[0], rows["next_observation"])
    kept = rows["perturbation"].split(SMALL.agent.hidden, dim=-1)
    for mine, theirs in zip(own.h[1:-1], agent.act(rows["observation"], [*kept, None]).h[1:-1], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)
    # The same states, other noise, and what the critic says of the action that it leads to.
    assert torch.equal(told.h[0], own.h[0])
    assert not torch.equal(told.h[1], own.h[1])
    clean = agent.act(told.h[0])
    q = [agent.critic.forward(told.h[0], action).output for action in (told.h[-1], clean.output)]
    torch.testing.assert_close(told.told, q[0] - q[1], rtol=0, atol=1e-6)
    assert (told.h[1] - clean.h[1]).std().item() == pytest.approx(SMALL.neuron_noise_scale, rel=0.25)


@pytest.fixture(scope="module", params=["frozen", "finetune"])
def chained(request, tmp_path_factory):
    """A whole job, by what phase 2 does with the critic: its agents by run, the files written, the job."""
    given = {
        "profile": "small",
        "environments": ["Pendulum-v1"],
        "methods": [{"algorithm": "ddpg"}],
        "experiment1": SETTINGS | {"phase2_critic": request.param},
        "training": {"evaluate_every": 30, "evaluation_episodes": 1, "final_episodes": 1},
    }
    job = next(iter(jobs(profiles.parse(given | {"seeds": 2}))))
    folder, agents, made = tmp_path_factory.mktemp("results"), {}, experiment1._agents

    def kept(settings, make, seeds, purpose):
        agents[purpose] = made(settings, make, seeds, purpose)
        agents[f"{purpose} at first"] = agents[purpose][1].policy().flat.clone()
        return agents[purpose]

    load = experiment1._load_critic

    def loaded(agent, ddpg, state):
        load(agent, ddpg, state)
        agents["phase2's critic at first"] = ddpg.critic.online.flat.clone()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment1, "_agents", kept)
        patch.setattr(experiment1, "_load_critic", loaded)
        written = experiment1.run(job, folder)
    return agents, written, job


def test_phase_two_trains_a_new_actor_by_the_critic_of_phase_one(chained):
    agents, _, job = chained
    first, second = agents["phase1"][1], agents["phase2"][1]
    kept = job.config.experiment1.phase2_critic == "frozen"
    assert torch.equal(agents["phase2's critic at first"], first.critic.online.flat)
    assert torch.equal(second.critic.online.flat, first.critic.online.flat) == kept
    assert not torch.equal(agents["phase1 at first"], agents["phase2 at first"])
    assert not torch.equal(agents["phase2 at first"], second.policy().flat)


def test_curves_have_all_three_runs_and_snapshots_those_used_for_agreement(chained):
    agents, (curves, steps, snapshots), job = chained
    assert set(pd.read_csv(curves).method) == {"phase1", "phase2", "neuron_noise"}
    assert set(pd.read_csv(steps).method) == {"phase1", "phase2"}
    saved = load_snapshots(snapshots, job.config, "Pendulum-v1")
    assert torch.equal(saved["snapshots"][-1]["actor"], agents["phase1"][1].policy().flat)
    assert torch.equal(saved["neuron_noise"][-1]["actor"], agents["neuron_noise"][1].policy().flat)
    assert saved["sizes"] == (3, 8, 6, 1)
