"""Gradient agreement: the local gradients of sub-critics against the true policy gradient."""

from subcritic.studies.gradients.settings import jobs
from subcritic.study import Recorded, Study, View, figure, table

STUDY = Study(
    name="gradients",
    question="Do local gradients agree with the true one?",
    view=View(
        """Gradient agreement: would a neuron's own critic change its weights as backpropagation would?

At snapshots of Experiment 1, the gradient that each sub-critic gives its neuron or layer is compared with the true
policy gradient.

*Look at* `agreement/…`: a cosine or Pearson correlation of 1 is full agreement, 0 is chance. Read it beside the
controls: `oracle` must be 1 (the true gradient, computed another way), `permuted` neurons and `untrained` sub-critics
show what chance looks like.""",
        left_out=(
            "*/equality",
            "*/proportionality",
            "*/scale",
            "*/scalar_*",
            "*/value_pearson",
            "*/chance_spread",
            "*/finite_difference_error",
        ),
    ),
    jobs=jobs,
    over=("environment",),
    records={
        "agreement": Recorded(
            "gradients/{environment}/agreement.csv",
            (
                "environment", "seed", "step", "reading", "critic", "granularity", "layer", "neuron", "measure", "value",
            ),
        )
    },
    shown={
        "figure": figure("agreement", "agreement"),
        "training": figure("agreement_training", "agreement_training"),
        "table": table("agreement.csv"),
        "readings": table("agreement_readings.csv"),
        "page": table("agreement.md", "agreement_table", about="gradient agreement"),
        "value": table("empirical_value.json"),
    },
    reads=("experiment1",),
    priority=10,
    pictures=True,
)  # fmt: skip
