"""The ablation: rules × exploration × target, to tell what a local rule needs."""

from subcritic.studies.ablation.settings import Ablation, jobs
from subcritic.study import Study, View, figure, method_records, table

STUDY = Study(
    name="ablation",
    question="What does a local rule need?",
    view=View(
        """Ablation: what does a local rule need, so that the whole policy gets good?

One run per method, environment and seed, trained as in Experiment 2. Methods differ in the rule, in where the exploration
noise enters, in what a neuron's critic regresses on, and in what crosses layers: nothing, the observation, one scalar, a
vector as wide as the action, or, in DDPG, the whole error. Controls: with frozen hidden layers only the action's neurons
learn; with `random-direction` weights take random steps.

*Look at* `return/evaluation`, one environment at a time; at `cosine/actor`, what an update did to the weights against the
true policy gradient; and for why a rule fails at `diagnostic/saturated_…` (1: every neuron is saturated) and
`diagnostic/action_entropy` (0: the same action in every state). The run `results` holds table, figures and answer.""",
        {
            "How well does it act?": {
                "Return of the greedy policy": "return/evaluation",
                "Entropy of its actions over states (0: always the same)": "diagnostic/action_entropy",
            },
            "Does the update follow the true gradient? (cosine, 1 = fully)": {
                "Actor": "cosine/actor",
                "Layer 1": "cosine/layer_1",
                "Layer 2": "cosine/layer_2",
            },
            "Do neurons still respond to their inputs?": {
                "Share saturated or dead, layer 1": "diagnostic/saturated_1",
                "Share saturated or dead, layer 2": "diagnostic/saturated_2",
                "Norm of K, layer 1": "diagnostic/weight_norm_1",
                "Norm of K, layer 2": "diagnostic/weight_norm_2",
            },
        },
        ("return/evaluation", "cosine/actor", "diagnostic/action_entropy"),
        policies=True,
    ),
    settings=Ablation,
    jobs=jobs,
    over=("environment", "method"),
    records=method_records("ablation"),
    shown={
        "figure": figure("ablation", "ablation"),
        "diagnostics": figure("diagnostics", "diagnostics"),
        "table": table("ablation.csv"),
        "page": table("ablation.md", "ablation", about="local rules side by side"),
        "verdicts": table("ablation_verdicts.csv"),
        "answer": table("ablation_answer.json"),
    },
    reads=("anchors",),
    minutes=240,
    pictures=True,
)
