"""Films of policies: each method plays the same episode, and stands in the film by its name."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from subcritic import profiles, seeding
from subcritic.config import ConfigError, parse_method
from subcritic.envs.planners import episode
from subcritic.measuring import policies
from subcritic.nn import MLP
from subcritic.studies import STUDIES
from subcritic.studies.films import publish, report
from subcritic.studies.films import run as films
from subcritic.studies.references import run as references

TASK = "subcritic/CartRest-v0"


def profile(**changes):
    return profiles.parse({
        "profile": "filmed", "studies": ["films"], "seeds": 1, "environments": [{"id": TASK, "name": "Cart"}],
        "methods": [{"algorithm": name, "hidden": [4]} for name in ("ddpg", "linear")],
        "films": {"seconds": 0.5, "frames": 3} | changes,
    })  # fmt: skip


def actor(seed=0):
    network = MLP((2, 4, 1), "tanh", "tanh")
    return network, network.init(seeding.generators([seed], "x"))


@pytest.fixture
def trained(tmp_path):
    network, parameters = actor()
    for job in STUDIES["experiment2"].jobs(profile()):
        path = tmp_path / "filmed" / job.path(STUDIES["experiment2"].records["policy"].path)
        kept = {
            "seed": 0,
            "sizes": network.sizes,
            "hidden": "tanh",
            "output": "tanh",
            "parameters": parameters.flat[0],
        }
        policies.save(path, [kept])
    return tmp_path


def test_a_policy_acts_on_what_it_would_have_observed():
    network, parameters = actor()
    made = references.make(TASK)
    player = films.Policy(made.unwrapped, network, parameters)
    seen = []

    def watch(environment):
        seen.append(player.plan())

    total, steps = episode(made, 3, player, watch)
    observation, _ = made.reset(seed=int(seeding.generator(3, "reference start").integers(2**31)))
    again = 0.0
    for number in range(steps):
        action = network.forward(parameters, torch.from_numpy(observation)[None, None]).output[0, 0].numpy()
        np.testing.assert_array_equal(action, seen[number])
        observation, reward, *_ = made.step(action)
        again += reward
    assert again == total
    made.close()


def test_methods_stand_side_by_side_in_the_film_and_below_each_other_on_the_sheet(trained):
    (job,) = STUDIES["films"].jobs(profile())
    film, sheet = films.run(job, trained)
    width, height = films.SIZE
    with Image.open(film) as moving, Image.open(sheet) as still:
        assert (moving.size, moving.n_frames) == ((2 * width, height), 7)
        assert still.size == (3 * width, 2 * height)
    assert job.reads == tuple(f"experiment2/Cart/{name}.policy.pt" for name in ("ddpg", "linear"))


def test_a_film_that_ends_early_keeps_its_last_frame():
    short, long = ([np.full((2, 2, 3), value, np.uint8) for value in range(n)] for n in (2, 4))
    both = films.side_by_side([short, long])
    assert len(both) == 4 and both[3][0, 0, 0] == 1 and both[3][0, 2, 0] == 3


def test_a_method_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match="method 'ddgp' is not in the config; known: ddpg, linear"):
        profile(methods=["ddgp"])


def test_a_film_depends_on_its_policies_and_its_episode_alone():
    (job,) = STUDIES["films"].jobs(profile())
    assert json.loads(job.config.film.model_dump_json()) == {"episode_seed": 0, "seconds": 0.5, "frames": 3}
    assert [policy.agent for policy in job.config.policies] == [
        parse_method({"algorithm": name, "hidden": [4]}) for name in ("ddpg", "linear")
    ]


def test_the_films_are_published_with_a_figure_of_them(trained, tmp_path):
    (job,) = STUDIES["films"].jobs(profile())
    films.run(job, trained)
    (made,) = report.make(profile(), trained / "filmed")
    assert made.name == "films.png" and made.stat().st_size > 0
    folder = tmp_path / "published"
    folder.mkdir()
    (copied,) = publish.publish(profile(), trained, folder, tmp_path)
    assert copied == folder / "Cart.gif"
    assert any("link/Cart.gif" in line for line in report.section(folder, "link"))


def test_only_tasks_of_the_suite_are_filmed():
    with pytest.raises(ConfigError, match="films: 'Pendulum-v1' is no task of the suite"):
        profiles.parse({
            "profile": "p", "studies": ["films"], "environments": ["Pendulum-v1"], "methods": [{"algorithm": "ddpg"}],
        })  # fmt: skip


def test_tasks_with_held_actions_are_not_filmed():
    entry = {"id": TASK, "name": "Cart", "kwargs": {"repeat": 3}}
    with pytest.raises(ConfigError, match=r"films: 'Cart' has kwargs.repeat"):
        profiles.parse({
            "profile": "p", "studies": ["films"], "environments": [entry], "methods": [{"algorithm": "ddpg"}],
        })  # fmt: skip


def test_a_seed_without_a_policy_is_named(trained):
    (job,) = STUDIES["films"].jobs(profile())
    path = trained / "filmed" / job.reads[0]
    kept = torch.load(path, weights_only=True)
    policies.save(path, [kept[0] | {"seed": 1}])
    with pytest.raises(ConfigError, match="has no policy of seed 0"):
        films.run(job, trained)
