"""Robustness: how the return of trained policies falls when observations are noisy or neurons are silent."""

from subcritic.studies.robustness.settings import Robustness, described, jobs
from subcritic.study import Recorded, Study, View, figure, table

STUDY = Study(
    name="robustness",
    question="Do policies of local rules tolerate disturbances as well as DDPG's?",
    view=View(
        """Robustness: how does the return of a trained policy fall when it is disturbed?

Every policy of Experiment 2 plays the same episodes again: with Gaussian noise on its observations, and with some of
its hidden neurons silenced (their output is 0). Nothing learns.

*Look at* `return/observation_noise`, the step being the noise in percent of each observation's standard deviation, and at
`return/silenced_neurons`, the step being the percentage of silenced neurons. Step 0 is the undisturbed policy. The run
`results` holds the table and the figure (tab *Artifacts*).""",
        {
            "How far does the return fall?": {
                "With noise on observations (percent of their standard deviation)": "return/observation_noise",
                "With silenced neurons (percent of a layer)": "return/silenced_neurons",
            }
        },
        ("return/observation_noise", "return/silenced_neurons"),
    ),
    settings=Robustness,
    jobs=jobs,
    over=("environment", "method"),
    records={
        "returns": Recorded(
            "robustness/{environment}/{method}.csv",
            ("environment", "method", "role", "seed", "disturbance", "level", "draw", "score"),
        )
    },
    shown={
        "figure": figure("robustness", "robustness"),
        "table": table("robustness.csv"),
        "page": table("robustness.md", "robustness", about="disturbed policies"),
    },
    reads=("anchors",),
    described=described,
)
