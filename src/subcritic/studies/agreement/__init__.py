"""Agreement of whole rules with the true policy gradient, at their own actors and at DDPG's."""

from subcritic.studies.agreement.settings import Agreement, described, jobs
from subcritic.study import Recorded, Study, View, figure, table

STUDY = Study(
    name="agreement",
    question="Do the updates of every rule follow the true policy gradient?",
    view=View(
        """Agreement of rules: does the direction in which a rule moves the weights follow the true policy gradient?

At snapshots along training, before the optimiser: from one minibatch, and in expectation over noise and states. Rules are
measured at their own actor and, all at once, at that of a DDPG agent that they follow.

*Look at* `cosine/…`: 1 is the true gradient, 0 is chance. `minibatch` is one update as in training, `expectation` the mean
over many draws of noise, `limit` the estimate for infinitely many. Runs of `ddpg` also have those of its followers,
`ddpg/<method>/cosine/…`, and `return_cosine`, that with the gradient of the return itself, found by finite differences.
`random` is a random direction.""",
        {
            "Does the update follow the true gradient, at the method's own actor?": {
                "In expectation": "cosine/expectation",
                "One minibatch": "cosine/minibatch",
                "In the limit of infinitely many draws": "cosine/limit",
            },
            "How well does it act?": {"Return of the greedy policy": "return/evaluation"},
        },
        ("cosine/expectation", "cosine/minibatch", "return/evaluation"),
    ),
    settings=Agreement,
    on_cpu_alone=True,
    jobs=jobs,
    over=("environment", "method"),
    records={
        "agreement": Recorded(
            "agreement/{environment}/{method}.csv",
            (
                "environment", "method", "at", "seed", "step", "estimate", "granularity", "layer", "measure", "value",
            ),
        )
    },
    shown={
        "figure": figure("agreement_rules", "agreement_rules"),
        "table": table("agreement_rules.csv"),
        "page": table("agreement_rules.md", "agreement_rules_table", about="whole rules and the true gradient"),
    },
    described=described,
    optional=True,
    memory=2500,
    minutes=240,
)  # fmt: skip
