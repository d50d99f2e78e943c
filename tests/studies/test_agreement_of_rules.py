"""Agreement of whole rules: followers change nothing of what they follow, and known directions get known numbers."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
import torch

from subcritic import envs, profiles, seeding
from subcritic.agents import DDPG
from subcritic.config import ConfigError, dump, parse_method
from subcritic.nn import MLP
from subcritic.stats import cosine, directional_cosine
from subcritic.studies import STUDIES
from subcritic.studies.agreement import report, run
from subcritic.studies.agreement.directions import Directions, _draws_noise, blocks, directions_of
from subcritic.studies.agreement.followers import Leader
from subcritic.studies.agreement.measures import mean_defined, measure, median_defined
from subcritic.studies.agreement.returns import (
    Player,
    equally_long,
    finite_differences,
    random_directions,
)
from subcritic.training import Trainer

SEEDS = [3, 4]
LEADER = {"algorithm": "ddpg", "activation": "tanh", "hidden": [12, 12], "batch_size": 32, "learning_starts": 50,
          "exploration": "neuron", "noise_scale": 0.2}  # fmt: skip
SHARED = {"hidden": [12, 12], "batch_size": 32, "learning_starts": 50, "optimiser": "adam"}
RULES = (
    {"algorithm": "linear", "hidden": [12, 12]},
    {"algorithm": "compatible", "replay": "recomputed", "trace": 0.8, **SHARED},
    {"algorithm": "coagent", "name": "td", "target": "global_td", "newest": 40, **SHARED},
    {"algorithm": "coagent", "trace": 0.5, "trace_length": 3, **SHARED},
    {"algorithm": "coagent", "name": "observed", "critic_reads": "observation", "trace": 0.5, **SHARED},
    {"algorithm": "node_perturbation", **SHARED},
    {"algorithm": "learned_feedback", **SHARED},
    {"algorithm": "random_direction", **SHARED},
)  # fmt: skip
PENDULUM = envs.maker({"id": "Pendulum-v1", "kwargs": {}, "max_episode_steps": None})


def trainer_of(agent, steps=150):
    return Trainer(agent, PENDULUM, SEEDS, steps, 10.0)


@pytest.fixture(scope="module", autouse=True)
def denormals_as_they_are():
    """Other tests in this process need denormal numbers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "set_flush_denormal", lambda on: True)
        yield


@pytest.fixture(scope="module")
def led():
    """DDPG with followers, trained for a little while."""
    trainer = trainer_of(Leader(parse_method(LEADER), [parse_method(rule) for rule in RULES], 3, 1, SEEDS))
    trainer.run()
    yield trainer
    trainer.close()


def test_ddpg_learns_as_if_nobody_followed_and_followers_have_its_weights(led):
    alone = trainer_of(DDPG(parse_method(LEADER), 3, 1, SEEDS))
    alone.run()
    alone.close()
    leader = led.agent
    assert torch.equal(leader.policy().flat, alone.agent.policy().flat)
    assert torch.equal(leader.critic.online.flat, alone.agent.critic.online.flat)
    assert len(leader.followers) == len(RULES)
    for follower in leader.followers.values():
        assert torch.equal(follower.policy().flat, leader.policy().flat)
        assert torch.equal(follower.target_policy().flat, leader.target_policy().flat)
        assert follower.policy().flat.data_ptr() != leader.policy().flat.data_ptr()


def test_followers_learn_what_they_keep_and_are_told_by_the_leaders_critic(led):
    leader = led.agent
    untrained = Leader(parse_method(LEADER), [parse_method(rule) for rule in RULES], 3, 1, SEEDS)
    for name in ("linear", "compatible", "coagent", "observed", "learned-feedback"):
        pairs = zip(leader.followers[name].rule_states, untrained.followers[name].rule_states, strict=True)
        assert any(
            not torch.equal(now, then)
            for mine, first in pairs
            for now, then in zip(mine.tensors().values(), first.tensors().values(), strict=True)
        ), name
    assert leader.followers["td"].own_critic() is leader.critic
    assert leader.followers["node-perturbation"].own_critic() is leader.critic


def test_a_follower_that_keeps_nothing_learned_finds_what_the_rule_itself_finds_there(led):
    """Its minibatch is what a replay of its own would give: voltages as acted, rows that follow, noise of that time."""
    leader = led.agent
    batch = led.replay.sample(16, seeding.generators(SEEDS, "x"), leader.consecutive)
    traced = leader.followers["compatible"]
    own = leader.rows_of(traced, batch)
    assert own["following"].shape[2:] == (traced.consecutive - 1, sum(traced.columns.values()))
    first = dict(
        zip(traced.columns, own["following"][:, :, 0].split(list(traced.columns.values()), -1), strict=True)
    )
    goes_on = (first["observation"] == batch["next_observation"]).all(dim=-1)
    assert goes_on.float().mean() > 0.8, "the next row starts where this one led to"
    sizes = list(leader.actor.sizes)
    seen = batch["voltages"].split(sizes, dim=-1)
    assert torch.equal(seen[0], batch["observation"]) and torch.equal(seen[-1], batch["action"])
    noise = batch["perturbation"].split([12, 12], dim=-1)
    transitions, _ = leader.followers["td"].rule_inputs(batch, [])
    torch.testing.assert_close(transitions[0].noise, noise[0])
    torch.testing.assert_close(transitions[1].noise, noise[1])


def test_a_leader_goes_on_from_a_checkpoint(led):
    state = led.agent.state_dict()
    again = Leader(parse_method(LEADER), [parse_method(rule) for rule in RULES], 3, 1, SEEDS)
    again.load_state_dict(state)
    batch = led.replay.sample(16, seeding.generators(SEEDS, "x"), led.agent.consecutive)
    for name, follower in again.followers.items():
        for mine, theirs in zip(
            follower.directions(batch), led.agent.followers[name].directions(batch), strict=True
        ):
            assert torch.equal(mine[0], theirs[0]) and torch.equal(mine[1], theirs[1]), name


def asked(direction, led, gradient, **changes):
    arguments = {"batch_size": 32, "states": 64, "draws": 8, "seeds": SEEDS, "step": 1} | changes
    with torch.no_grad():
        return directions_of(direction, led.replay, gradient, **arguments)


def test_noise_is_averaged_over_draws_if_it_is_drawn_and_over_the_replay_if_it_is_not(led):
    observed = []

    def fresh(batch, noise):
        drawn = [rng.standard_normal(5) for rng in noise]
        return torch.from_numpy(np.stack(drawn)) + 10

    def kept(batch, noise):
        observed.append(batch["observation"])
        return batch["observation"].mean(dim=1)

    zero = lambda batch: torch.zeros(2, 5)  # noqa: E731
    found = asked(fresh, led, zero, draws=400)
    assert found.states == 64 and found.once.shape == (2, 2, 5)
    assert np.abs(found.mean - 10).max() < 0.25 < np.abs(found.once - 10).max()
    whole = asked(kept, led, lambda batch: torch.zeros(2, 3))
    assert whole.states == 128, "whole minibatches of the 150 rows stored"
    np.testing.assert_array_equal(whole.once, whole.mean)
    rows = torch.cat(observed[2:], dim=1)
    stored = led.replay.unpack(led.replay.rows)["observation"]
    for s in range(2):
        kinds, counts = np.unique(rows[s].numpy(), axis=0, return_counts=True)
        assert counts.max() == 1 and set(map(tuple, kinds)) <= set(map(tuple, stored[s].numpy()))


def test_a_rule_that_moves_by_the_newest_rows_is_measured_there(led):
    seen = []

    def kept(batch, noise):
        seen.append(batch["observation"])
        return batch["observation"].mean(dim=1)

    found = asked(kept, led, lambda batch: torch.zeros(2, 3), newest=40, batch_size=20)
    assert found.states == 40
    newest = led.replay.unpack(led.replay.rows)["observation"][:, -40:]
    for s in range(2):
        assert {tuple(row) for rows in seen for row in rows[s].tolist()} == set(
            map(tuple, newest[s].tolist())
        )


def test_what_is_not_finite_is_undefined_for_its_seed_alone(led):
    def broken(batch, noise):
        found = torch.ones(2, 3)
        found[1, 0] = float("inf")
        return found

    found = asked(broken, led, lambda batch: torch.ones(2, 3))
    assert np.isnan(found.mean[:, 1]).all() and (found.mean[:, 0] == 1).all()


def test_a_seed_that_is_not_finite_hides_no_noise_of_another():
    drawn = iter(range(9))

    def noisy(batch, noise):
        found = torch.ones(2, 3) + 0.01 * next(drawn)
        found[1, 0] = float("inf")
        return found

    assert _draws_noise(noisy, {}, []) and not _draws_noise(lambda batch, noise: torch.ones(2, 3), {}, [])


ACTOR = MLP((3, 6, 5, 1), "tanh", "tanh")
SIZE = sum((n_in + 1) * n for n_in, n in ACTOR.shapes())


def test_blocks_are_the_columns_of_weights_and_biases():
    params = ACTOR.init(seeding.generators(SEEDS, "x"))
    for layer, block in enumerate(blocks(ACTOR, params.flat.numpy())):
        np.testing.assert_array_equal(block[..., :-1], params.weights[layer].mT)
        np.testing.assert_array_equal(block[..., -1], params.biases[layer][:, 0])


def rows_of(once, gradient, mean=None):
    found = Directions(once, once if mean is None else mean, gradient, 64)
    rows = measure(ACTOR, found, 200, seeding.generators(SEEDS, "x"))
    return {(row.estimate, row.granularity, row.layer, row.measure): row.value for row in rows}


def test_the_true_gradient_scores_1_its_negative_minus_1_and_chance_0():
    rng = np.random.default_rng(0)
    gradient = rng.normal(1, 1, (10, 2, SIZE))
    same = rows_of(2 * gradient, gradient)
    for estimate in ("states", "expectation", "limit"):
        np.testing.assert_allclose(same[estimate, "actor", None, "cosine"], 1)
        np.testing.assert_allclose(same[estimate, "layer", 2, "cosine"], 1)
    np.testing.assert_allclose(same["expectation", "neuron", None, "pearson"], 1)
    np.testing.assert_allclose(rows_of(-gradient, gradient)["expectation", "actor", None, "cosine"], -1)
    assert (same["minibatch", "actor", None, "cosine"] < 0.9).all(), "states vary from minibatch to minibatch"
    assert (same["expectation", "actor", None, "p"] < 0.01).all()
    assert np.isnan(same["expectation", "layer", 3, "p"]).all(), "one neuron cannot be permuted"
    chance = rows_of(np.broadcast_to(rng.normal(0, 1, (2, SIZE)), gradient.shape), gradient)
    assert (np.abs(chance["expectation", "actor", None, "cosine"]) < 5 / np.sqrt(SIZE)).all()


def test_dead_neurons_are_counted_and_left_out_of_the_median():
    rng = np.random.default_rng(0)
    params = ACTOR.views(torch.from_numpy(rng.normal(0, 1, (2, SIZE))))
    params.weights[0][1, :, :4] = 0.0
    gradient = params.flat.numpy()[None]
    found = rows_of(gradient, gradient)
    np.testing.assert_array_equal(found["expectation", "neuron", 1, "undefined"], [0, 4])
    np.testing.assert_array_equal(found["expectation", "neuron", None, "undefined"], [0, 4])
    np.testing.assert_array_equal(found["expectation", "neuron", None, "neurons"], [12, 12])
    np.testing.assert_allclose(found["expectation", "neuron", 1, "pearson"], 1)


def test_means_and_medians_of_nothing_are_undefined():
    values = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(median_defined(values), [2, np.nan])
    np.testing.assert_array_equal(mean_defined(values), [1, np.nan, 3])


def test_finite_differences_find_the_gradient_of_a_known_return():
    """J(θ, e) = b_e·θ − θ·A θ / 2: its gradient is b_e − A θ, and central differences are exact."""
    rng = np.random.default_rng(0)
    size, episodes, count = 400, 6, 4000
    policy = torch.from_numpy(rng.normal(0, 1, (2, size)))
    half = rng.normal(0, 1, (size, size)) / np.sqrt(size)
    curvature = torch.from_numpy(half @ half.T)
    shared = torch.from_numpy(rng.normal(0, 1, (2, 1, size)))
    slopes = shared + torch.from_numpy(rng.normal(0, 3, (2, episodes, size)))

    def returns(policies):
        curved = ((policies @ curvature) * policies).sum(dim=-1, keepdim=True) / 2
        return (torch.einsum("sep,csp->cse", slopes, policies) - curved).numpy()

    along = random_directions(count, size, SEEDS, 0).double()
    differences = finite_differences(returns, policy, along, 0.1)
    gradients, everywhere = (some - (policy @ curvature)[:, None] for some in (slopes, shared))
    np.testing.assert_allclose(differences, torch.einsum("msp,sep->mse", along, gradients), atol=1e-6)
    guess = np.stack(
        [(everywhere[s, 0] + torch.from_numpy(rng.normal(0, 1, size))).numpy() for s in range(2)]
    )
    own = equally_long(np.stack([guess, np.full_like(guess, np.nan)])).double()
    assert own.norm(dim=-1).numpy() == pytest.approx(np.array([[size**0.5] * 2, [0] * 2]))
    theirs = finite_differences(returns, policy, own, 0.1)[0]
    for s in range(2):
        here, there = (vector.numpy() for vector in (gradients[s].mean(dim=0), everywhere[s, 0]))
        found = directional_cosine(theirs[s], differences[:, s], size)
        assert found.played == pytest.approx(float(cosine(guess[s], here)), rel=0.05)
        # Start states differ, so that the gradient of their mean is not that of all start states; the correction knows.
        truth = float(cosine(guess[s], there))
        assert found.cosine == pytest.approx(truth, abs=0.1) and found.played < truth - 0.1


class Bandit(gym.Env):
    """One step: a state s in [-1, 1]³, and the reward −(a − s·(1, 2, −1)/4)²."""

    observation_space = gym.spaces.Box(-1, 1, (3,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = self.np_random.uniform(-1, 1, 3).astype(np.float32)
        return self.state, {}

    def step(self, action):
        return self.state, -float((action[0] - self.state @ (0.25, 0.5, -0.25)) ** 2), True, False, {}


def test_played_differences_are_those_of_the_policys_exact_gradient():
    actor = MLP((3, 4, 1), "tanh", "tanh")
    policy = actor.init(seeding.generators(SEEDS, "actor"))
    player = Player(actor, Bandit, SEEDS, episodes=5)
    along = random_directions(19, policy.flat.shape[1], SEEDS, 7)
    with torch.no_grad():
        found = finite_differences(player.at(7, [0, 1]), policy.flat, along, 0.02)
        alone = finite_differences(player.at(7, [1]), policy.flat, along, 0.02)
    player.close()
    np.testing.assert_array_equal(found[:, 1], alone[:, 1])
    assert np.isnan(alone[:, 0]).all(), "a seed that has stopped does not play"
    for s, seed in enumerate(SEEDS):
        starts = [
            Bandit().reset(seed=int(seeding.generator(seed, "evaluation", 7, e).integers(2**31)))[0]
            for e in range(5)
        ]
        states = torch.from_numpy(np.stack(starts))[None]
        for e in range(5):
            leaf = policy.flat[s : s + 1].clone().requires_grad_()
            state = states[:, e : e + 1]
            action = actor.forward(actor.views(leaf), state).output[..., 0]
            (-((action - state @ torch.tensor([0.25, 0.5, -0.25])) ** 2)).sum().backward()
            expected = along[:, s] @ leaf.grad[0]
            np.testing.assert_allclose(found[:, s, e], expected, atol=0.02)


@pytest.fixture(scope="module")
def profile():
    return profiles.load(Path(__file__).parents[1] / "pipeline" / "tiny.yaml")


@pytest.fixture(scope="module")
def measured(profile, tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    study = STUDIES["agreement"]
    paths = [run.run(job, results)[0] for job in study.jobs(profile)]
    return results, pd.concat([pd.read_csv(path) for path in paths])


def test_a_run_measures_every_rule_at_both_actors_and_the_oracle_is_exact(measured):
    _, frame = measured
    assert list(frame) == list(STUDIES["agreement"].records["agreement"].columns)
    assert set(frame["step"]) == {200, 400} and set(frame["seed"]) == {0, 1}
    names = {"ddpg", "linear", "td", "learned-feedback", "oracle", "random"}
    assert (
        set(frame.loc[frame["at"] == "ddpg", "method"])
        == names
        == set(frame.loc[frame["at"] == "own", "method"])
    )
    cosines = frame[frame["measure"] == "cosine"]
    for name in ("oracle", "ddpg"):
        one = cosines[
            (cosines["method"] == name) & cosines["estimate"].isin(["states", "expectation", "limit"])
        ]
        np.testing.assert_allclose(one["value"].dropna(), 1, atol=1e-5)
        assert one["value"].notna().mean() > 0.5
    random = cosines[(cosines["method"] == "random") & (cosines["granularity"] == "actor")]
    assert random["value"].abs().mean() < 0.2
    rules = cosines[(cosines["method"] == "learned-feedback") & (cosines["granularity"] == "actor")]
    assert rules["value"].notna().any() and rules["value"].dropna().between(-1.5, 1.5).all()
    returns = frame[frame["measure"] == "return_played"]
    assert len(returns) == 6 * 2 * 2 and returns["value"].notna().all()


def test_ddpg_is_compared_with_the_return_also_where_nobody_follows(profile, tmp_path):
    returns = profile.agreement.returns.model_copy(update={"directions": 3})
    alone = profile.agreement.model_copy(
        update={"methods": profile.agreement.methods[:1], "steps": 120, "snapshots": 1, "returns": returns}
    )
    job = STUDIES["agreement"].job(profile.model_copy(update={"agreement": alone}), "Pendulum-v1", "ddpg")
    frame = pd.read_csv(run.run(job, tmp_path)[0])
    compared = frame[frame["measure"] == "return_played"]
    assert set(compared["method"]) == {"ddpg", "oracle", "random"} and set(compared["at"]) == {"ddpg"}


def test_a_finished_run_is_not_measured_again(profile, measured):
    results, frame = measured
    job = STUDIES["agreement"].job(profile, "Pendulum-v1", "linear")
    (path,) = run.run(job, results)
    again = pd.read_csv(path)
    own = frame[(frame["method"] == "linear") & (frame["at"] == "own")].reset_index(drop=True)
    pd.testing.assert_frame_equal(again[again["method"] == "linear"].reset_index(drop=True), own)


def test_the_report_shows_what_was_measured(profile, measured):
    results, _ = measured
    root = results / "tiny"
    made = report.make(profile, root)
    declared = {path for file in STUDIES["agreement"].shown.values() for path in file.paths}
    assert {str(path.relative_to(root)) for path in made} == declared
    text = (root / "table" / "agreement_rules.md").read_text()
    assert "at DDPG's actor (2 seeds, 2 snapshots)" in text and "oracle 1.00 [1.00, 1.00]" in text
    assert "## Pendulum-v1: At each method's own actor" in text and "of 33" in text
    assert report.headline(root).count("\n") == 2
    assert "cosine/ddpg/oracle/Pendulum-v1" in report.metrics(root / "table")
    assert any("oracle" in part for part in report.section(root / "table", "x"))


def test_the_summary_is_the_mean_over_snapshots_then_seeds_and_counts_what_is_undefined(profile):
    base = {"environment": "e", "method": "m", "at": "own", "estimate": "expectation", "granularity": "actor",
            "layer": np.nan}  # fmt: skip
    values = {(0, 1): 0.2, (0, 2): 0.4, (1, 1): 0.6, (1, 2): np.nan}
    rows = [{**base, "seed": s, "step": t, "measure": "cosine", "value": v} for (s, t), v in values.items()]
    rows += [{**base, "seed": s, "step": t, "measure": "p", "value": 0.01} for s, t in values]
    table = report.summary(profile, pd.DataFrame(rows)).set_index("measure")
    assert table.loc["cosine", "value"] == pytest.approx((0.3 + 0.6) / 2)
    assert (table.loc["cosine", ["seeds", "values", "undefined"]] == [2, 4, 1]).all()
    assert table.loc["p", "value"] == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": [{**LEADER, "exploration": "action"}, RULES[0]]}, "needs exploration neuron or subset"),
        ({"methods": [LEADER, {**RULES[0], "hidden": [5]}]}, r"linear must have the hidden layers of ddpg, \[12, 12\]"),
        ({"methods": [{**RULES[0], "name": "oracle"}]}, "'oracle' is the name of a control"),
        ({"methods": [LEADER, LEADER]}, "the name 'ddpg' is used twice"),
        ({"methods": [LEADER, {**LEADER, "name": "other"}]}, "there can be only one ddpg"),
        ({"environments": ["x"]}, "environment 'x' is not in the config"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        profiles.parse({"profile": "p", "environments": ["Pendulum-v1"],
                        "agreement": {"steps": 1000, "snapshots": 1} | change})  # fmt: skip


def test_a_new_rule_measures_ddpg_and_itself_again_and_no_other(profile):
    data = dump(profile)
    data["agreement"]["methods"] = [
        *data["agreement"]["methods"],
        {**RULES[1], "hidden": [16, 16], "name": "new"},
    ]
    before = {job.name: job.digest for job in STUDIES["agreement"].jobs(profile)}
    after = {job.name: job.digest for job in STUDIES["agreement"].jobs(profiles.parse(data))}
    changed = {name for name in after if before.get(name) != after[name]}
    assert changed == {"agreement/Pendulum-v1/ddpg", "agreement/Pendulum-v1/new"}


def test_snapshots_before_learning_starts_are_left_out_and_one_must_be_left(profile):
    def steps(**changes):
        section = profile.agreement.model_copy(update=changes)
        job = STUDIES["agreement"].job(
            profile.model_copy(update={"agreement": section}), "Pendulum-v1", "ddpg"
        )
        return list(job.config.at)

    assert steps(snapshots=8) == [100, 150, 200, 250, 300, 350, 400]
    with pytest.raises(ConfigError, match=r"agreement\.steps = 99: must be at least learning_starts, 100"):
        steps(steps=99)
