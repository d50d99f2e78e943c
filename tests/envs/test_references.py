"""The published references are what the tasks give today, and are used only where they hold."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from subcritic import profiles, published
from subcritic.config import ConfigError
from subcritic.envs import suite
from subcritic.envs.planners import episode
from subcritic.studies import STUDIES
from subcritic.studies.anchors import run as anchors
from subcritic.studies.references import publish, report
from subcritic.studies.references import run as references
from subcritic.studies.references.settings import References

PUBLISHED = published.references()
CHEAP = ("cart", "pendulum")


def needs_the_published_set():
    """Numbers of physics hold for one version of MuJoCo only."""
    assert PUBLISHED, "no references are published: `subcritic publish --profile suite`"
    why_not = published.why_not(next(iter(PUBLISHED.values())))
    if why_not:
        pytest.skip(why_not)


def measured(**settings):
    """The cart, two episodes of each player."""
    short = References(episodes=2, random_episodes=10, **settings)
    return references.measure(suite.TASKS["cart"].id, short, lambda line: None)


@pytest.fixture(scope="module")
def cart():
    return measured()


def profile_of(environment, **settings):
    return profiles.parse(
        {
            "profile": "p", "environments": [environment], "methods": [{"algorithm": "ddpg"}],
            "anchors": {"random_episodes": 10}, "references": settings,
        }
    )  # fmt: skip


def anchor_job(profile):
    return STUDIES["anchors"].job(profile, profile.environments[0].name)


def test_every_task_of_the_suite_has_a_published_reference():
    needs_the_published_set()
    assert {task.id: task.paper for task in suite.TASKS.values()} == {
        found.id: found.paper for found in PUBLISHED.values()
    }


@pytest.mark.parametrize("task", suite.TASKS.values(), ids=lambda task: task.paper)
def test_random_actions_still_earn_what_was_published(task):
    needs_the_published_set()
    found = PUBLISHED[task.id]
    environment = references.make(task.id)
    earned, _ = episode(environment, found.first_seed)
    assert earned == pytest.approx(found.scores["random"].first, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("paper", CHEAP)
@pytest.mark.parametrize("player", ["mppi", "ilqg"])
def test_planners_still_earn_what_was_published(paper, player):
    needs_the_published_set()
    found = PUBLISHED[suite.TASKS[paper].id]
    environment = references.make(found.id)
    settings = References(horizon_seconds=found.horizon_seconds)
    earned, _ = episode(environment, found.first_seed, references.planner(player, environment, settings))
    assert earned == pytest.approx(found.scores[player].first, rel=1e-6)


def test_measuring_gives_the_statistics_of_its_episodes_and_says_what_they_depend_on(cart):
    assert cart["mppi"]["seeds"] == [0, 1] and len(cart["random"]["returns"]) == 10
    returns = np.array(cart["random"]["returns"])
    assert cart["random"]["mean"] == pytest.approx(returns.mean())
    assert cart["random"]["standard_error"] == pytest.approx(returns.std(ddof=1) / np.sqrt(10))
    assert cart["mppi"]["mean"] > 3 * cart["random"]["mean"]
    assert set(cart["versions"]) == {"mujoco", "gymnasium", "numpy"}
    assert cart["settings"]["horizon_seconds"] == 0.6
    again = measured(planners=["mppi"])
    assert again["random"]["returns"] == cart["random"]["returns"] and "ilqg" not in again
    assert again["mppi"]["returns"] == cart["mppi"]["returns"]


def test_what_is_published_reads_back_the_same(cart, tmp_path):
    path = published.write([cart], tmp_path / "references.csv")
    (found,) = published.references(path).values()
    assert found == published.measured(cart)
    assert found.scores["mppi"].mean == cart["mppi"]["mean"]
    assert found.scores["random"].first == cart["random"]["returns"][0]
    assert "horizon 0.6 s" in found.source() and f"mujoco {cart['versions']['mujoco']}" in found.source()


def test_clearance_is_the_distance_in_standard_errors_of_the_difference(cart):
    random, planner = published.Score(1.0, 3.0, 10, 0.0), published.Score(11.0, 4.0, 10, 0.0)
    found = published.measured(cart)._replace(scores={"random": random, "mppi": planner})
    assert found.clearance() == pytest.approx(2.0)


def test_a_published_reference_of_another_mujoco_is_not_used(cart, tmp_path, monkeypatch):
    published.write(
        [cart | {"versions": cart["versions"] | {"mujoco": "0.0.1"}}], tmp_path / "references.csv"
    )
    old = published.references(tmp_path / "references.csv")
    monkeypatch.setattr(published, "references", lambda: old)
    (path,) = anchors.run(anchor_job(profile_of(cart["id"])), tmp_path)
    found = json.loads(path.read_text())
    assert found["reference_return"] is None and "mujoco 0.0.1" in found["reference_source"]
    assert found["random_episodes"] == 10


def test_a_task_of_the_suite_is_normalised_by_its_published_or_measured_planner(cart, tmp_path, monkeypatch):
    name = cart["id"].replace("/", "-")
    published.write([cart], tmp_path / "references.csv")
    kept = published.references(tmp_path / "references.csv")
    monkeypatch.setattr(published, "references", lambda: kept)
    (path,) = anchors.run(anchor_job(profile_of(cart["id"])), tmp_path)
    from_published = json.loads(path.read_text())
    assert from_published["reference_return"] == cart["mppi"]["mean"]
    assert from_published["random_mean"] == cart["random"]["mean"]
    measuring = profile_of(cart["id"], source="measured")
    with pytest.raises(ConfigError, match="subcritic references --environment"):
        anchors.run(anchor_job(measuring), tmp_path)
    folder = tmp_path / "p" / "environments"
    folder.mkdir()
    (folder / f"{name}.json").write_text(json.dumps(cart))
    (path,) = anchors.run(anchor_job(measuring), tmp_path)
    assert json.loads(path.read_text()) == from_published


def test_a_reference_stated_in_the_config_comes_first(tmp_path):
    task = suite.TASKS["cart"]
    stated = {"id": task.id, "name": "cart", "reference": {"mean_return": 7.0, "source": "said so"}}
    (path,) = anchors.run(anchor_job(profile_of(stated)), tmp_path)
    found = json.loads(path.read_text())
    assert (found["reference_return"], found["reference_source"]) == (7.0, "said so")


def test_only_tasks_of_the_suite_have_planners(tmp_path):
    with pytest.raises(
        ConfigError, match=r"'Pendulum-v1' is no task of the suite.*subcritic/PendulumSwingUp-v0"
    ):
        references.run(STUDIES["references"].job(profile_of("Pendulum-v1"), "Pendulum-v1"), tmp_path)


def test_score_1_needs_mppi():
    with pytest.raises(ValidationError, match="mppi defines score 1"):
        References(planners=["ilqg"])


def test_the_table_says_where_a_planner_is_not_clearly_better_than_chance(cart, tmp_path):
    name = cart["id"].replace("/", "-")
    profile, path = profile_of(cart["id"]), tmp_path / "environments" / f"{name}.json"
    path.parent.mkdir()
    for mean, note in ((30.0, ""), (20.0, "within 5 standard errors")):
        # Standard errors of 3 and 4 make 5 of the difference: 25 is the least that is clear.
        scores = {"random": (0.0, 3.0), "mppi": (mean, 4.0), "ilqg": (15.0, 1.0)}
        changed = {who: cart[who] | {"mean": m, "standard_error": e} for who, (m, e) in scores.items()}
        path.write_text(json.dumps(cart | {"environment": name} | changed))
        table = report.results(profile, tmp_path)
        assert note in table["note"][0] and bool(note) == bool(table["note"][0])
        assert table["mppi_clearance"][0] == pytest.approx(mean / 5)
        shown = report.readable(table)["iLQG normalised"][0]
        assert (shown == "0.50") == (note == "")


def test_publishing_needs_every_measurement(tmp_path):
    with pytest.raises(ConfigError, match="not measured yet: subcritic-CartRest-v0"):
        publish.publish(profile_of("subcritic/CartRest-v0"), tmp_path, tmp_path, tmp_path)
