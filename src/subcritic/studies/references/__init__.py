"""References: what random actions and planners score on the tasks of the suite."""

from subcritic.studies.references.settings import References, jobs
from subcritic.study import Recorded, Study, View, table

STUDY = Study(
    name="references",
    question="What scores 0 and 1 on the tasks of the suite?",
    view=View(
        """References: what scores 0 and 1 on the tasks of the suite?

Mean return of uniform random actions (0) and of MPPI on the true physics (1), iLQG beside them, with standard errors.

*Open* the run `results` and its tab *Artifacts*: `references.md`. Its metrics `random/…`, `mppi/…`, `ilqg/…` are the
means.""",
        grouped=False,
    ),
    settings=References,
    jobs=jobs,
    over=("environment",),
    records={
        "references": Recorded(
            "environments/{environment}.json",
            about="returns of random actions and planners; versions, seeds, date",
        )
    },
    shown={
        "table": table("references.csv"),
        "page": table("references.md", "references", about="what scores 0 and 1"),
    },
    optional=True,
    publishes=True,
    minutes=120,
    memory=1000,
)
