"""Learning without unrolling: recurrent networks on tasks that take memory, by learned feedback over lags."""

from subcritic.studies.recurrent.settings import Recurrent, described, jobs
from subcritic.study import Recorded, Study, View, figure, table

STEM = "recurrent/{environment}/{method}"

STUDY = Study(
    name="recurrent",
    question="Do recurrent networks learn without unrolling?",
    view=View(
        """Learning without unrolling: do recurrent networks learn tasks that take memory, with no error sent back in time?

`learned-feedback`: every neuron learns from its own noise how it moves the action now and some steps later.
`backpropagation`: the same actor and critic, by backpropagation through time over the same sequences. `no-lags` counts
effects within the same step alone, `action-only` trains the action's neurons alone, `feedforward` has no recurrent
connections, `observed` neither, but sees what the task hides. `random-graph` is learned feedback on a random graph, `linear`
the drafts' rule.

*Look at* `return/evaluation`, one environment at a time, and at `agreement/hidden`, the cosine between the hidden neurons'
update and that of backpropagation through time. The run `results` holds the table and the figure (tab *Artifacts*).""",
        {
            "How well does it act?": {"Return of the greedy policy": "return/evaluation"},
            "Does the update follow the true gradient? (cosine, 1 = fully)": {
                "Hidden neurons": "agreement/hidden"
            },
        },
        ("return/evaluation", "agreement/hidden"),
    ),
    settings=Recurrent,
    on_cpu_alone=True,
    jobs=jobs,
    over=("environment", "method"),
    records={
        "curves": Recorded(f"{STEM}.csv", ("environment", "method", "seed", "step", "metric", "value")),
        "scores": Recorded(
            f"{STEM}.scores.csv",
            ("environment", "method", "seed", "score", "steps", "diverged_at", "failure"),
        ),
    },
    shown={
        "figure": figure("recurrent", "recurrent"),
        "table": table("recurrent.csv"),
        "page": table("recurrent.md", "recurrent", about="recurrent networks"),
    },
    described=described,
    minutes=240,
)
