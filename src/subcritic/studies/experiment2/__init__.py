"""Experiment 2: every neuron its own actor-critic, beside DDPG in the same loop."""

from subcritic.studies.experiment2.settings import described, jobs
from subcritic.study import Study, View, figure, method_records

STUDY = Study(
    name="experiment2",
    question="Does the whole policy learn when every neuron learns by itself?",
    view=View(
        """Experiment 2: does a network learn in which every neuron learns by itself, without backpropagation?

`linear` is the drafts' local rule: each neuron its own linear actor-critic. `ddpg` is the reference with
backpropagation.

*Look at* `return/evaluation`: the mean return of the policy without noise, in the reward units of its environment
(compare methods within one environment only; the study `table` normalises). `cosine/actor` compares the update with the
true policy gradient: 1 is the same direction, 0 unrelated. `value/predicted/…` is what critics predict of the discounted
reward that follows in the evaluation's episodes, `value/realised` what follows.""",
        {
            "How well does it act?": {
                "Return of the greedy policy": "return/evaluation",
                "Return while training": "return/training",
            },
            "Does the update follow the true gradient? (cosine, 1 = fully)": {
                "Actor": "cosine/actor",
                "Layer 1": "cosine/layer_1",
                "Layer 2": "cosine/layer_2",
            },
            "Do critics predict the return? (discounted, mean over visited states)": {
                "Realised": "value/realised",
                "Critic of the whole agent": "value/predicted/critic",
                "Own critics of layer 1": "value/predicted/layer_1",
                "Own critics of layer 2": "value/predicted/layer_2",
            },
        },
        ("return/evaluation", "cosine/actor"),
        policies=True,
    ),
    jobs=jobs,
    over=("environment", "method"),
    records=method_records("experiment2"),
    shown={
        "learning": figure("learning", "learning", about="learning curves"),
        "cosine": figure("cosine", "cosine", of_whole_runs=True),
    },
    reads=("anchors",),
    described=described,
    keeps=("return/evaluation",),
    minutes=240,
    pictures=True,
)
