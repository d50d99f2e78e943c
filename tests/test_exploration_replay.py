"""Replay, exploration noise and the random generators behind them: exact identities and known distributions."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from subcritic import seeding
from subcritic.exploration import MEAN_REVERSION, Exploration, stationary_variance
from subcritic.replay import PictureReplay, Replay, SharedReplay

COLUMNS = {"observation": 3, "reward": 1}
SIZES = (3, 5, 4, 2)


def rngs(seeds, purpose="test"):
    return seeding.generators(range(seeds), purpose)


def filled(added, capacity, seeds=2):
    """Row t of seed s holds s·1000 + t in every column."""
    replay = Replay(seeds, capacity, COLUMNS)
    for t in range(added):
        number = torch.arange(seeds).view(-1, 1) * 1000.0 + t
        replay.add({"observation": number.expand(-1, 3), "reward": number})
    return replay


@given(added=st.integers(1, 30), capacity=st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_a_replay_keeps_the_newest_transitions_and_draws_only_those_of_its_own_seed(added, capacity):
    replay = filled(added, capacity)
    kept = set(range(max(0, added - capacity), added))
    assert len(replay) == len(kept)
    batch = replay.sample(64, rngs(2))
    for s in range(2):
        drawn = set(batch["reward"][s].flatten().tolist())
        assert drawn <= {s * 1000.0 + t for t in kept}
    assert torch.equal(batch["observation"], batch["reward"].expand(-1, -1, 3)), "a row must stay whole"


@pytest.mark.parametrize("added", [7, 10, 25])
def test_every_stored_transition_is_drawn_equally_often(added):
    replay, draws = filled(added, capacity=10), 20_000
    drawn = replay.sample(draws, rngs(2))["reward"][..., 0].numpy()
    for row in drawn:
        seen, counts = np.unique(row, return_counts=True)
        assert len(seen) == len(replay)
        assert stats.chisquare(counts).pvalue > 1e-4
    offsets = drawn - np.array([[0], [1000]])
    assert abs(np.corrcoef(offsets)[0, 1]) < 5 / math.sqrt(draws), "seeds must draw independently"


def test_rows_that_follow_are_those_stored_next_also_over_the_seam_of_the_ring():
    replay = filled(23, 10)
    batch = replay.sample(64, rngs(2), consecutive=4)
    following = replay.unpack(batch["following"])["reward"][..., 0]
    assert following.shape == (2, 64, 3)
    steps = following - batch["reward"]
    # Rows 13 to 22 are stored; after the newest comes the oldest.
    newest = batch["reward"] + torch.arange(1, 4) - 1000 * torch.arange(2).view(2, 1, 1) > 22
    assert torch.equal(steps, torch.arange(1.0, 4).expand_as(steps) - 10.0 * newest)
    assert newest.any()
    assert torch.equal(batch["reward"], replay.sample(64, rngs(2))["reward"])


def test_a_shared_replay_refuses_rows_that_follow():
    replay = SharedReplay(1, 8, COLUMNS)
    with pytest.raises(ValueError, match="consecutive = 3"):
        replay.sample(4, rngs(1), consecutive=3)


def test_a_seed_draws_the_same_minibatch_alone_or_beside_others():
    together, alone = filled(20, 10, seeds=3), filled(20, 10, seeds=1)
    first = together.sample(16, rngs(3))["reward"][:1]
    assert torch.equal(first, alone.sample(16, rngs(1))["reward"])


def test_a_sampled_minibatch_is_a_copy():
    replay = filled(5, 10)
    before = replay.rows.clone()
    replay.sample(8, rngs(2))["reward"].zero_()
    assert torch.equal(replay.rows, before)


@pytest.mark.parametrize("added", [4, 10, 23])
def test_a_restored_replay_goes_on_as_the_saved_one(added):
    saved, restored = filled(added, 10), Replay(2, 10, COLUMNS)
    state = copy.deepcopy(saved.state_dict())
    restored.load_state_dict(state)
    more = {"observation": torch.ones(2, 3), "reward": torch.ones(2, 1)}
    saved.add(more)
    restored.add(more)
    assert torch.equal(saved.rows, restored.rows)
    assert torch.equal(saved.sample(32, rngs(2))["reward"], restored.sample(32, rngs(2))["reward"])
    assert state["rows"].shape[1] == min(added, 10), "only what was stored is saved"


def exploration(where="neuron", kind="gaussian", scale=0.2, seeds=2, **extra):
    return Exploration(SIZES, scale, where, kind, rngs(seeds, "noise"), **extra)


def trajectory(noise, steps):
    """(steps, S, units): the concatenated noise of all noisy layers."""
    draws = ([part for part in noise.draw() if part is not None] for _ in range(steps))
    return torch.stack([torch.cat(parts, dim=-1)[:, 0] for parts in draws]).double().numpy()


@pytest.mark.parametrize("kind", ["gaussian", "ornstein_uhlenbeck"])
def test_noise_has_one_value_per_neuron_and_hidden_layers_are_spared_unless_asked(kind):
    everywhere = exploration("neuron", kind).draw()
    assert [tuple(part.shape) for part in everywhere] == [(2, 1, n) for n in SIZES[1:]]
    *hidden, action = exploration("action", kind).draw()
    assert hidden == [None, None]
    assert action.shape == (2, 1, 2)


def test_gaussian_noise_is_normal_of_the_given_scale_and_without_memory():
    drawn = trajectory(exploration(scale=0.2), 3_000)
    assert stats.kstest(drawn.ravel(), stats.norm(0, 0.2).cdf).pvalue > 1e-4
    lagged = np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1]
    assert abs(lagged) < 5 / math.sqrt(drawn.size)
    assert np.abs(np.corrcoef(drawn.reshape(3_000, -1).T) - np.eye(22)).max() < 5 / math.sqrt(3_000)


def test_every_layer_has_the_noise_of_its_own_scale():
    drawn = trajectory(exploration(scale=(0.4, 0.0, 0.1)), 2_000)
    for part, scale in zip(np.split(drawn, [5, 9], axis=-1), (0.4, 0.0, 0.1), strict=True):
        assert part.std() == pytest.approx(scale, rel=0.05)
    action = trajectory(exploration("action", scale=(0.4, 0.0, 0.1)), 2_000)
    assert action.std() == pytest.approx(0.1, rel=0.05)
    with pytest.raises(ValueError, match="2 noise scales for 3 layers"):
        exploration(scale=(0.1, 0.2))


@pytest.mark.parametrize("kind", ["gaussian", "ornstein_uhlenbeck"])
def test_a_random_subset_of_neurons_is_noisy_drawn_anew_every_step(kind):
    noise = exploration("subset", kind, fraction=0.25, seeds=5)
    drawn = trajectory(noise, 2_000)[100:]
    noisy = drawn != 0
    assert noisy.mean() == pytest.approx(0.25, abs=5 * math.sqrt(0.25 * 0.75 / noisy.size))
    lagged = np.corrcoef(noisy[:-1].ravel(), noisy[1:].ravel())[0, 1]
    assert abs(lagged) < 5 / math.sqrt(noisy.size)
    expected = stationary_variance(0.2, "subset", kind, 0.25)
    assert (drawn**2).mean() == pytest.approx(expected, rel=0.1)


def test_ornstein_uhlenbeck_noise_has_its_stationary_variance_and_correlation():
    scale, keep = 0.2, 1 - MEAN_REVERSION
    noise = exploration(kind="ornstein_uhlenbeck", scale=scale, seeds=20)
    drawn = trajectory(noise, 2_100)[100:]
    assert MEAN_REVERSION == 0.15
    # Var = scale² + keep² Var. Neighbouring samples are correlated: (1 + keep²)/(1 − keep²) of them are worth one.
    worth = drawn.size * (1 - keep**2) / (1 + keep**2)
    assert drawn.var() == pytest.approx(scale**2 / (1 - keep**2), rel=5 * math.sqrt(2 / worth))
    lagged = np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1]
    assert lagged == pytest.approx(keep, abs=0.01)


def test_a_new_episode_forgets_the_correlated_noise_of_its_seed_only():
    noise, undisturbed = (exploration(kind="ornstein_uhlenbeck") for _ in range(2))
    trajectory(noise, 50)
    trajectory(undisturbed, 50)
    fresh = 0.2 * copy.deepcopy(noise.normals).next()[0]
    noise.reset(0)
    after, expected = trajectory(noise, 1)[0], trajectory(undisturbed, 1)[0]
    np.testing.assert_allclose(after[0], fresh, rtol=1e-6)
    assert not np.allclose(after[0], expected[0])
    np.testing.assert_array_equal(after[1], expected[1])


@pytest.mark.parametrize("kind", ["gaussian", "ornstein_uhlenbeck"])
def test_restored_noise_goes_on_as_the_saved_one(kind):
    saved, restored = exploration(kind=kind), exploration(kind=kind)
    trajectory(saved, 10)
    restored.load_state_dict(copy.deepcopy(saved.state_dict()))
    np.testing.assert_array_equal(trajectory(saved, 5), trajectory(restored, 5))


@pytest.mark.parametrize("kind", ["gaussian", "ornstein_uhlenbeck"])
def test_a_seed_explores_the_same_alone_or_beside_others(kind):
    together, alone = exploration(kind=kind, seeds=3), exploration(kind=kind, seeds=1)
    np.testing.assert_array_equal(trajectory(together, 20)[:, 0], trajectory(alone, 20)[:, 0])


@given(st.integers(0, 2**31), st.sampled_from(["replay", "exploration", " actor"]), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_a_generator_depends_on_seed_purpose_and_keys_and_on_nothing_else(seed, purpose, key):
    def first(*arguments):
        return seeding.generator(*arguments).integers(2**62)

    assert first(seed, purpose, key) == first(seed, purpose, key)
    others = [(seed + 1, purpose, key), (seed, f"{purpose}s", key), (seed, purpose, key + 1), (seed, purpose)]
    assert len({first(seed, purpose, key), *(first(*other) for other in others)}) == 5


def test_generators_of_different_seeds_and_purposes_are_uncorrelated():
    drawn = [rng.normal(size=4_000) for purpose in ("a", "b") for rng in rngs(4, purpose)]
    assert np.abs(np.corrcoef(drawn) - np.eye(8)).max() < 5 / math.sqrt(4_000)


def test_restored_generators_draw_again_what_followed_the_save():
    generators = rngs(3)
    saved = copy.deepcopy(seeding.states(generators))
    first = [rng.random(4) for rng in generators]
    seeding.restore(generators, saved)
    np.testing.assert_array_equal([rng.random(4) for rng in generators], first)
    with pytest.raises(ValueError, match="shorter"):
        seeding.restore(generators, saved[:2])


@pytest.mark.parametrize("kind", ["random", "standard_normal"])
@pytest.mark.parametrize("width", [1, 3, seeding.BLOCK // 2, seeding.BLOCK + 1])
def test_numbers_drawn_ahead_are_those_drawn_one_width_at_a_time(kind, width):
    ahead, now = seeding.Draws(rngs(2), width, kind), rngs(2)
    for _ in range(2 * seeding.BLOCK // width + 3):
        np.testing.assert_array_equal(ahead.next(), [getattr(rng, kind)(width) for rng in now])


@pytest.mark.parametrize("used", [0, 1, 5, 6, 20])
def test_restored_draws_go_on_within_a_block_and_at_its_ends(used, monkeypatch):
    monkeypatch.setattr(seeding, "BLOCK", 18)  # six times a width of three
    saved, restored = seeding.Draws(rngs(2), 3), seeding.Draws(rngs(2, "other"), 3)
    for _ in range(used):
        saved.next()
    restored.load_state_dict(copy.deepcopy(saved.state_dict()))
    for _ in range(20):
        np.testing.assert_array_equal(saved.next(), restored.next())


def test_draws_of_another_width_are_refused():
    with pytest.raises(ValueError, match="width = 4: these numbers are drawn 3 at a time"):
        seeding.uniform(seeding.Draws(rngs(2), 3), 4)


def test_a_minibatch_drawn_ahead_is_the_one_drawn_now():
    replay, ahead, now = filled(20, 10), seeding.Draws(rngs(2), 16), rngs(2)
    for newest in (None, 4, None):
        drawn = [replay.sample(16, given, newest=newest)["reward"] for given in (ahead, now)]
        assert torch.equal(*drawn)


PIXELS = 5


def watched(added, capacity, ends, replay=None, seed=0):
    """A replay of pictures of two seeds whose episodes end after the steps `ends` (seed, step), and all its transitions."""
    columns = {"picture": PIXELS, "next_picture": PIXELS, "reward": 1}
    replay = replay or PictureReplay(2, capacity, columns)
    rng, stored = np.random.default_rng(seed), []
    seen = rng.integers(0, 256, (2, PIXELS))
    for t in range(added):
        reached = rng.integers(0, 256, (2, PIXELS))
        stored.append((seen, reached))
        pictures = {
            name: torch.from_numpy((picture / 255).astype(np.float32))
            for name, picture in zip(("picture", "next_picture"), (seen, reached), strict=True)
        }
        replay.add(pictures | {"reward": torch.full((2, 1), float(t))})
        seen = reached.copy()
        for s in range(2):
            if (s, t) in ends:
                seen[s] = rng.integers(0, 256, PIXELS)
    return replay, stored


@given(
    added=st.integers(1, 30),
    capacity=st.integers(1, 12),
    ends=st.sets(st.tuples(st.integers(0, 1), st.integers(0, 30))),
)
@settings(max_examples=60, deadline=None)
def test_a_replay_of_pictures_gives_every_transition_as_it_was_and_keeps_each_picture_once(
    added, capacity, ends
):
    replay, stored = watched(added, capacity, ends)
    batch = replay.sample(64, rngs(2))
    assert batch["picture"].dtype == batch["next_picture"].dtype == torch.uint8
    for s in range(2):
        for row, t in enumerate(batch["reward"][s, :, 0].int().tolist()):
            seen, reached = stored[t]
            np.testing.assert_array_equal(batch["picture"][s, row], seen[s])
            np.testing.assert_array_equal(batch["next_picture"][s, row], reached[s])
    kept = range(max(0, added - capacity), added)
    assert len(replay.ends) == sum(t == added - 1 or (s, t) in ends for s in range(2) for t in kept)


def test_a_replay_of_pictures_goes_on_from_its_state():
    ends = {(0, 3), (1, 7), (1, 8)}
    whole, _ = watched(20, 8, ends)
    begun, _ = watched(9, 8, ends)
    replay = PictureReplay(2, 8, {"picture": PIXELS, "next_picture": PIXELS, "reward": 1})
    replay.load_state_dict(begun.state_dict())
    for name, column in begun.sample(32, rngs(2)).items():
        assert torch.equal(column, replay.sample(32, rngs(2))[name])
    # The same transitions again, of which the first nine are there.
    columns = {name: [] for name in ("picture", "next_picture", "reward")}

    class Recorder:
        def add(self, transition):
            for name, column in columns.items():
                column.append(transition[name])

    watched(20, 8, ends, replay=Recorder())
    for t in range(9, 20):
        replay.add({name: column[t] for name, column in columns.items()})
    for name, column in whole.sample(64, rngs(2)).items():
        assert torch.equal(column, replay.sample(64, rngs(2))[name])
