"""Learning without unrolling: recurrent networks that learn by the local rule, step by step."""

from subcritic.studies.recurrent.settings import Recurrent, jobs
from subcritic.study import Recorded, Study, View, figure, table

STUDY = Study(
    name="recurrent",
    question="Do recurrent networks learn without unrolling?",
    view=View(
        """Learning without unrolling: do recurrent networks learn by the local rule, step by step?

`recurrent` and `leaky` feed their voltages back into themselves; `feedforward` has as many neurons and no memory. All
three learn by the drafts' local rule, without backpropagation, through layers or through time. `ddpg` is feed-forward,
with backpropagation: it shows what the task allows without memory.

*Look at* `return/evaluation`, one environment at a time. Memory is needed where velocities are hidden. The run `results`
holds the table, with the random policy, and the figure (tab *Artifacts*).""",
        {"How well does it act?": {"Return of the greedy policy": "return/evaluation"}},
        ("return/evaluation",),
    ),
    settings=Recurrent,
    jobs=jobs,
    records={
        "curves": Recorded(
            "recurrent/curves.csv", ("environment", "method", "seed", "step", "metric", "value")
        ),
        "scores": Recorded(
            "recurrent/scores.csv",
            ("environment", "method", "seed", "score", "steps", "diverged_at", "failure"),
        ),
        "random": Recorded(
            "recurrent/random.csv", ("environment", "seed", "score"), about="the uniform random policy"
        ),
    },
    shown={
        "figure": figure("recurrent", "recurrent"),
        "table": table("recurrent.csv", "recurrent"),
        "page": table("recurrent.md", about="recurrent networks"),
    },
    minutes=240,
)
