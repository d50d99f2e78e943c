"""Neurons with clocks: leaky integrators that update together or at times of their own, at several speeds."""

from subcritic.studies.clocks.settings import Clocks, described, jobs
from subcritic.study import Recorded, Study, View, figure, table

STEM = "clocks/{environment}/{method}"

STUDY = Study(
    name="clocks",
    question="Do leaky integrators learn in continuous time, each with a clock of its own?",
    view=View(
        """Neurons with clocks: leaky integrators in continuous time, with no global step.

`own-ℓ-…`: every neuron updates at a rate and with a phase of its own, ℓ times per environment step on average, has a time
constant of its own, and reads what its inputs last put out. `common-ℓ-…`: all update together, ℓ times per step.
`…-learned-feedback`: neurons learn from their own noise how they move the action, now and some steps later; `…-at-once`, in
the same step alone; `…-backpropagation`: through all ticks.

*Look at* `return/evaluation`, and at `agreement/…` and `agreement_at_once/…`: the cosine of a layer's update with that of
backpropagation through all ticks, by feedback of all lags, and of the same step alone. The run `results` holds the table and
the figure (tab *Artifacts*).""",
        {
            "How well does it act?": {"Return of the greedy policy": "return/evaluation"},
            "Does the update follow the true gradient? (cosine, 1 = fully)": {
                "Layer 1": "agreement/layer_1",
                "Layer 2": "agreement/layer_2",
                "Layer 1, the same step alone": "agreement_at_once/layer_1",
                "Layer 2, the same step alone": "agreement_at_once/layer_2",
            },
        },
        ("return/evaluation", "agreement/hidden"),
    ),
    settings=Clocks,
    on_cpu_alone=True,
    jobs=jobs,
    over=("environment", "method"),
    records={
        "curves": Recorded(f"{STEM}.csv", ("environment", "method", "seed", "step", "metric", "value")),
        "scores": Recorded(
            f"{STEM}.scores.csv",
            ("environment", "method", "seed", "score", "steps", "diverged_at", "failure"),
        ),
        "reach": Recorded(
            f"{STEM}.reach.csv",
            ("environment", "method", "layer", "share"),
            about="of a layer's neurons, the share whose voltage can change the action of the same environment step",
        ),
    },
    shown={
        "figure": figure("clocks", "clocks"),
        "table": table("clocks.csv"),
        "page": table("clocks.md", "clocks", about="neurons with clocks"),
    },
    described=described,
    minutes=240,
)
