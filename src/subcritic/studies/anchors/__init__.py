"""Anchors: the returns that score 0 and 1 on every environment."""

from subcritic.studies.anchors.settings import Anchors, jobs
from subcritic.study import Recorded, Study

STUDY = Study(
    name="anchors",
    question="Returns that score 0 (random actions) and 1 (the reference)",
    settings=Anchors,
    jobs=jobs,
    over=("environment",),
    records={
        "anchors": Recorded(
            "anchors/{environment}.json",
            (
                "environment", "random_mean", "random_standard_error", "random_episodes", "reference_return",
                "reference_source",
            ), about="returns that score 0 and 1, with their standard errors")
    },
    memory=1000,
)  # fmt: skip
