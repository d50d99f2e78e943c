"""Scaling: how many draws of noise a neuron needs to estimate its share of the policy gradient."""

from subcritic.studies.scaling.settings import Scaling, jobs
from subcritic.study import Recorded, Study, View, figure, table

STUDY = Study(
    name="scaling",
    question="How many draws does the policy gradient take?",
    view=View(
        """Scaling: how many draws of noise does a neuron need, to estimate its share of the policy gradient?

Actors of growing width at the critic of Experiment 1, fresh and after some gradient steps on it (`steps_…`). Every
neuron's voltage gets noise of its own, and all receive one scalar: how much better the noisy action is. `score` and
`antithetic` average that scalar times the own noise, `compatible` fits the neurons' own critics to it, `linear_…` are
the drafts' linear critics.

*Look at* `scaling/…/cosine`, the step being the number of draws: 1 is the true policy gradient's direction.""",
        left_out=("*/noise_to_signal", "*/value_pearson"),
    ),
    settings=Scaling,
    jobs=jobs,
    over=("environment",),
    records={
        "scaling": Recorded(
            "scaling/{environment}/scaling.csv",
            (
                "environment", "seed", "actor_steps", "estimator", "width", "neurons", "noise_scale", "draws", "layer",
                "measure", "value",
            ),
        )
    },
    shown={
        "figure": figure("scaling", "scaling"),
        "table": table("scaling.csv"),
        "slopes": table("scaling_slopes.csv"),
        "fits": table("scaling_fits.csv"),
        "page": table("scaling.md", "scaling", about="draws it takes, by width"),
    },
    memory=2000,
)  # fmt: skip
