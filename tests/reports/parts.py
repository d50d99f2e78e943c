"""A tiny profile that is made in parts, trained for real, and the calls that train and publish it."""

import pandas as pd
import yaml

from subcritic import config, profiles
from subcritic.publishing import accumulated, reports
from subcritic.publishing import publish as publishing
from subcritic.studies import STUDIES
from subcritic.studies.anchors import run as anchors
from subcritic.studies.experiment2.run import run

TASKS = ("Pendulum-v1", "MountainCarContinuous-v0")
NETWORK = {"hidden": [4], "batch_size": 8, "learning_starts": 20}


def profile(seeds=2, **changes):
    tasks = [{"id": name, "max_episode_steps": 30} for name in TASKS]
    return profiles.parse({
        "profile": "parts", "studies": ["table"], "seeds": seeds, "environments": tasks,
        "methods": [{"algorithm": name, **NETWORK} for name in ("ddpg", "linear")],
        "training": {"steps": 40, "evaluate_every": 20, "evaluation_episodes": 1, "final_episodes": 1},
        "anchors": {"random_episodes": 10}, "runtime": {"seeds_at_a_time": 1},
    } | changes)  # fmt: skip


def train(whole, results, *, environment=None, seeds=None):
    """What a chain does, for one task, or for some seeds."""
    for job in accumulated.trainings_of(whole):
        if environment in (None, job.environment):
            run(job.of_seeds(tuple(range(seeds))) if seeds else job, results)
    for job in STUDIES["anchors"].jobs(whole):
        anchors.run(job, results)
    root = results / whole.profile
    (root / "config.yaml").write_text(yaml.safe_dump(config.dump(whole)))


def finish(whole, results):
    reports.make(STUDIES["table"], whole, results)


def publish(whole, results, **options):
    return publishing.publish(
        "parts", results, results / "published", results.parent / "docs", whole, **options
    )


def published(results, name):
    return pd.read_csv(results / "published/parts" / name)
