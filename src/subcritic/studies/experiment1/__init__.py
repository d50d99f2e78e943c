"""Experiment 1: sub-critics learned beside a DDPG actor (drafts, section 4.1)."""

from subcritic.studies.experiment1.settings import Experiment1, described, jobs
from subcritic.study import Recorded, Study, View, figure, table

STUDY = Study(
    name="experiment1",
    question="Do sub-critics learn the values of the whole agent's critic?",
    view=View(
        """Experiment 1: can a neuron's own critic learn what the agent's critic knows?

Phase 1 trains DDPG and, beside it, a sub-critic for each layer and for chosen neurons: each sees only its own inputs
and output (its voltage) and the common reward. Phase 2 trains a new actor on the critic of phase 1, kept as it is, and
new sub-critics beside it.

*Look at* `similarity/layer_…/pearson` and `similarity/neurons_…/pearson`: 1 means a sub-critic's value rises and
falls with the main critic's on held-out states; 0 means the two are unrelated. `return/evaluation` shows that the
agent itself learns; `value/…` are the critics' mean values.""",
        {
            "Does the agent learn?": {"Return of the greedy policy": "return/evaluation"},
            "Do sub-critics agree with the main critic? (Pearson, 1 = fully)": {
                "Layer 1": "similarity/layer_1/pearson",
                "Layer 2": "similarity/layer_2/pearson",
                "Output layer": "similarity/layer_3/pearson",
                "Neurons of layer 1 (median)": "similarity/neurons_1/pearson",
                "Neurons of layer 2 (median)": "similarity/neurons_2/pearson",
                "Neurons of the output (median)": "similarity/neurons_3/pearson",
            },
        },
        ("return/evaluation", "similarity/layer_1/pearson", "similarity/layer_2/pearson"),
        left_out=("*_window/*", "*/spearman", "*/affine_r2", "*/nrmse"),
        policies=True,
    ),
    settings=Experiment1,
    on_cpu_alone=True,
    jobs=jobs,
    over=("environment",),
    records={
        "curves": Recorded(
            "experiment1/{environment}/curves.csv",
            ("environment", "method", "seed", "step", "metric", "value"),
            about="method is the run: phase1, phase2 or neuron_noise",
        ),
        "steps": Recorded(
            "experiment1/{environment}/steps_to_similar.csv",
            ("environment", "method", "seed", "critic", "step"),
            about="step is empty where it was never reached",
        ),
        "snapshots": Recorded(
            "experiment1/{environment}/snapshots.pt",
            about="actor, critics and replayed states along training",
        ),
    },
    shown={
        "similarity": figure("similarity", "similarity"),
        "values": figure("values", "values"),
        "steps": table("steps_to_similar.csv"),
        "steps_page": table("steps_to_similar.md", "steps_to_similar", about="steps until critics agree"),
    },
    described=described,
    minutes=240,
    priority=20,
    pictures=True,
)
