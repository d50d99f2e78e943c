"""Theorem 2.2.4 on trained agents: when a neuron's own gradient is its share of the policy gradient."""

from subcritic.studies.theorem.settings import Theorem, jobs
from subcritic.study import Recorded, Study, View, figure, table

STUDY = Study(
    name="theorem",
    question="When does the theorem hold?",
    view=View(
        """Theorem 2.2.4: is a neuron's own gradient its share of the policy gradient, and what must Q^n mean for it?

On the trained agents of Experiment 1, the relative difference between both gradients under four readings of Q^n.

*Look at* `theorem/…/relative_difference`: 0 is equality, 1 is a local gradient of zero, 2 is the opposite one. `do`
(setting a voltage and letting the rest follow) must be rounding; `one_step` is 1 for hidden neurons; `right_slope` and
`opposite_slope` are two critics that the data of the trajectory cannot tell apart; `aliased` holds in the mean only.
The run `results` holds the table and the figure (tab *Artifacts*); `docs/theory.md` has the proofs.""",
        left_out=("*_per_state", "*_of_mean/*"),
    ),
    settings=Theorem,
    jobs=jobs,
    over=("environment",),
    records={
        "theorem": Recorded(
            "theorem/{environment}/theorem.csv",
            ("environment", "seed", "reading", "layer", "measure", "value"),
        )
    },
    shown={
        "figure": figure("theorem", "theorem"),
        "table": table("theorem.csv"),
        "page": table("theorem.md", "theorem", about="Theorem 2.2.4, when it holds"),
    },
)
