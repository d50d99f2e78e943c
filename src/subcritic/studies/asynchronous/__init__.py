"""Learning in threads without a lock, and in processes: is it as good as without, how fast is it, and what must be sent?"""

from subcritic.studies.asynchronous.settings import Asynchronous, jobs
from subcritic.study import Recorded, Study, View, figure, table

STUDY = Study(
    name="asynchronous",
    question="Do neurons learn in threads without a lock?",
    view=View(
        """Asynchronous: do neurons that learn in threads, without waiting for each other, learn as well?

`<rule>-synchronous` is Experiment 2's local learner; in `<rule>-asynchronous` the same neurons are divided among threads
that learn while the agent acts, from a replay they share without a lock; a global critic learns in one more thread.

*Look at* `return/evaluation`: the two of a rule should lie within each other's band. The run `results` holds the table and
the figure, with updates per second for one and two threads (tab *Artifacts*).""",
        {"Does it learn as well?": {"Return of the greedy policy": "return/evaluation"}},
        ("return/evaluation",),
        policies=True,
    ),
    settings=Asynchronous,
    on_cpu_alone=True,
    jobs=jobs,
    records={
        "curves": Recorded(
            "asynchronous/curves.csv", ("environment", "method", "seed", "step", "metric", "value")
        ),
        "scores": Recorded(
            "asynchronous/scores.csv",
            ("environment", "method", "seed", "score", "steps", "diverged_at", "failure"),
        ),
        "lag": Recorded(
            "asynchronous/lag.csv",
            ("environment", "method", "updates", "mean", "largest"),
            about="updates that the slowest thread was behind acting",
        ),
        "rounds": Recorded(
            "asynchronous/throughput.csv", ("learner", "hidden", "batch", "round", "updates_per_second")
        ),
        "messages": Recorded(
            "asynchronous/messages.csv",
            ("learner", "hidden", "batch", "updates", "bytes", "messages", "exchanges"),
            about="counted, of one update: what crosses between layers in processes of their own; exchanges: messages that "
            "come one after the other",
        ),
    },
    shown={
        "figure": figure("asynchronous", "asynchronous"),
        "table": table("asynchronous.csv"),
        "speed": table("asynchronous_speed.csv"),
        "messages": table("asynchronous_messages.csv"),
        "page": table("asynchronous.md", "asynchronous", about="learning in threads"),
    },
    threads="all",
)
