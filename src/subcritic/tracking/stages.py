"""What MLflow shows of each stage: the experiment's name, its description, the charts of its saved view."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from typing import Any

VIEW = "all"
# The param that the saved views group by: its value names the curve that a run's seed is a part of.
CURVE = "curve"


@dataclass(frozen=True)
class Stage:
    """A stage as MLflow shows it. `sections` maps a heading to its charts, a chart's title to a metric's name."""

    name: str
    title: str
    description: str
    sections: dict[str, dict[str, str]]
    columns: tuple[str, ...] = ()
    grouped: bool = True


READING = """

One run per environment, method and seed, named `environment/method/s0`. The saved views (button *Views*: `all`, and one
for each environment) draw one curve per environment and method: the mean over seeds, with the band from the lowest to
the highest seed. The run `results` holds the stage's tables and figures (tab *Artifacts*). Everything here mirrors the
files under `results/<profile>/`; `subcritic tracking rebuild` writes it anew from them."""

STAGES = (
    Stage(
        "experiment1",
        "1-experiment1",
        """Experiment 1: can a neuron's own critic learn what the agent's critic knows?

Phase 1 trains DDPG and, beside it, a sub-critic for each layer and for chosen neurons: each sees only its own inputs
and output (its voltage) and the common reward. Phase 2 trains a new actor on the critic of phase 1, kept as it is, and
new sub-critics beside it.

*Look at* `similarity/layer_…/pearson` and `similarity/neurons_…/pearson`: 1 means a sub-critic's value rises and
falls with the main critic's on held-out states; 0 means it knows nothing of it. `return/evaluation` shows that the
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
    ),
    Stage(
        "gradients",
        "2-gradients",
        """Gradient agreement: would a neuron's own critic push its weights where backpropagation pushes them?

At snapshots of Experiment 1, the gradient that each sub-critic gives its neuron or layer is compared with the true
policy gradient.

*Look at* `agreement/…`: a cosine or Pearson correlation of 1 is full agreement, 0 is chance. Read it beside the
controls: `oracle` must be 1 (the true gradient, by another route), `permuted` neurons and `untrained` sub-critics show
what chance looks like.""",
        {},
    ),
    Stage(
        "experiment2",
        "3-experiment2",
        """Experiment 2: does a network learn in which every neuron learns by itself, without backpropagation?

`linear` is the local rule: each neuron its own linear actor-critic. `ddpg` is the reference with backpropagation.

*Look at* `return/evaluation`: the mean return of the policy without noise, in the reward units of its environment
(compare methods within one environment only; the stage `table` normalises). `cosine/actor` compares the update with the
true policy gradient: 1 is the same direction, 0 unrelated.""",
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
        },
        ("return/evaluation", "cosine/actor"),
    ),
    Stage(
        "table",
        "4-table",
        """The results table: which method is better, and how sure is that?

Average, best and interval over seeds of each method on each environment, raw and normalised (0 = uniform random
actions, 1 = the reference return), with aggregates over environments.

*Open* the run `results` and its tab *Artifacts*: `table.md`, `table.csv`, `table.tex` and the figure.""",
        {},
        grouped=False,
    ),
    Stage(
        "throughput",
        "5-throughput",
        """Throughput: how many updates a second does each learner make?

The local rule, our DDPG and Stable-Baselines3's, measured in turns in one process on one thread, for several network
and batch sizes.

*Open* the run `results` and its tab *Artifacts*: the table (median and spread) and the figure.""",
        {},
        grouped=False,
    ),
    Stage(
        "theorem",
        "6-theorem",
        """Theorem 2.2.4: is a neuron's own gradient its share of the policy gradient, and what must Q^n mean for it?

On the trained agents of Experiment 1, the relative difference between both gradients under four readings of Q^n.

*Look at* `theorem/…/relative_difference`: 0 is equality, 1 is a local gradient of zero, 2 is the opposite one. `do`
(setting a voltage and letting the rest follow) must be rounding; `one_step` is 1 for hidden neurons; `right_slope` and
`opposite_slope` are two critics that the data of the trajectory cannot tell apart; `aliased` holds in the mean only.
The run `results` holds the table and the figure (tab *Artifacts*); `docs/theory.md` has the proofs.""",
        {},
    ),
    Stage(
        "asynchronous",
        "7-asynchronous",
        """Asynchronous: do neurons that learn in threads, without waiting for each other, learn as well?

`synchronous` is Experiment 2's local learner; in `asynchronous` the same neurons are dealt to threads that learn while
the agent acts, from a replay they share without a lock.

*Look at* `return/evaluation`: the two should lie within each other's band. The run `results` holds the table and the
figure, with updates per second for one and two threads (tab *Artifacts*).""",
        {"Does it learn as well?": {"Return of the greedy policy": "return/evaluation"}},
        ("return/evaluation",),
    ),
    Stage(
        "recurrent",
        "8-recurrent",
        """Learning without unrolling: do recurrent networks learn by the local rule, step by step?

`recurrent` and `leaky` feed their voltages back into themselves; `feedforward` has as many neurons and no memory. All
three learn by the drafts' local rule, without backpropagation, through layers or through time. `ddpg` is feed-forward,
with backpropagation: it shows what the task allows without memory.

*Look at* `return/evaluation`, one environment at a time. Memory is needed where velocities are hidden. The run `results`
holds the table, with the random policy, and the figure (tab *Artifacts*).""",
        {"How well does it act?": {"Return of the greedy policy": "return/evaluation"}},
        ("return/evaluation",),
    ),
    Stage(
        "ablation",
        "9-ablation",
        """Ablation: what does a local rule need, so that the whole policy gets good?

One run per method, environment and seed, trained as in Experiment 2. Methods differ in the rule, in where the exploration
noise enters, in what a neuron's critic regresses on, and in what crosses layers: nothing, one scalar, a vector as wide as
the action, or, in DDPG, the whole error. `random-direction` shows what moving blindly gives.

*Look at* `return/evaluation`, one environment at a time; at `cosine/actor`, what an update did to the weights against the
true policy gradient; and for why a rule fails at `diagnostic/saturated_…` (1: every neuron is stuck) and
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
            "Do neurons still answer to their inputs?": {
                "Share saturated or dead, layer 1": "diagnostic/saturated_1",
                "Share saturated or dead, layer 2": "diagnostic/saturated_2",
                "Norm of K, layer 1": "diagnostic/weight_norm_1",
                "Norm of K, layer 2": "diagnostic/weight_norm_2",
            },
        },
        ("return/evaluation", "cosine/actor", "diagnostic/action_entropy"),
    ),
    Stage(
        "scaling",
        "10-scaling",
        """Scaling: how many draws of noise does a neuron need, to know its share of the policy gradient?

Actors of growing width at the critic of Experiment 1, fresh and after climbing it (`steps_…`). Every neuron's voltage gets
noise of its own, and all are told one scalar: how much better the noisy action is. `score` and `antithetic` average that
scalar times the own noise, `compatible` fits the neurons' own critics to it, `linear_…` are the drafts' linear critics.

*Look at* `scaling/…/cosine`, the step being the number of draws: 1 is the true policy gradient's direction.""",
        {},
    ),
    Stage(
        "references",
        "11-references",
        """References: what scores 0 and 1 on the tasks of the suite?

Mean return of uniform random actions (0) and of MPPI on the true physics (1), iLQG beside them, with standard errors.

*Open* the run `results` and its tab *Artifacts*: `references.md`. Its metrics `random/…`, `mppi/…`, `ilqg/…` are the
means.""",
        {},
        grouped=False,
    ),
    Stage(
        "gallery",
        "12-gallery",
        """Gallery: what do the tasks of the suite look like, and what does it look like to score 1?

*Open* the run `results` and its tab *Artifacts*: every task as an episode starts. Films of MPPI lie in
`results/<profile>/videos/`.""",
        {},
        grouped=False,
    ),
)


def stage_of(name: str) -> Stage:
    """The stage called `name`; raises ValueError, listing the known ones, when there is none."""
    for stage in STAGES:
        if stage.name == name:
            return stage
    raise ValueError(f"stage {name!r} is unknown; known: {', '.join(stage.name for stage in STAGES)}")


def experiment_name(name: str) -> str:
    """The MLflow experiment of a stage; the number keeps the stages in reading order."""
    return f"subcritic/{stage_of(name).title}"


def experiment_tags(stage: Stage) -> dict[str, str]:
    """Description and main saved view of a stage's experiment, as MLflow keeps them: plain tags."""
    return {
        "mlflow.note.content": stage.description + (READING if stage.grouped else ""),
        "mlflow.experimentKind": "custom_model_development",
        **view_tag(stage, VIEW),
    }


def environment_view(stage: Stage, environment: str) -> dict[str, str]:
    """A saved view of one environment, since returns of different environments do not share a scale."""
    return view_tag(stage, environment, f"params.environment = '{environment}'")


def view_tag(stage: Stage, name: str, search: str = "") -> dict[str, str]:
    """A saved view called `name`, of the runs that `search` finds."""
    view = {"name": name, "createdAt": 0, "updatedAt": 0, "state": _packed(view_state(stage, search))}
    return {f"mlflow.sharedViewState.{name}": json.dumps(view)}


def view_state(stage: Stage, search: str = "") -> dict[str, Any]:
    """The state of MLflow's runs page: grouping, columns, charts. Its format is not documented by MLflow."""
    grouping = {"aggregateFunction": "average", "groupByKeys": [{"mode": "param", "groupByData": CURVE}]}
    return {
        "groupBy": grouping if stage.grouped else None,
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "searchFilter": search,
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": _columns(stage),
        "runsHiddenMode": "SHOW_ALL",
        "hideEmptyCharts": True,
        "useGroupedValuesInCharts": True,
        "compareRunSections": _sections(stage),
        "compareRunCharts": _charts(stage),
        "isAccordionReordered": True,
    }


def _columns(stage: Stage) -> list[str]:
    return [
        *(f"metrics.`{name}`" for name in stage.columns),
        *(f"params.`{name}`" for name in ("environment", "method", "seed", "profile")),
    ]


def _sections(stage: Stage) -> list[dict[str, Any]]:
    shape = {"display": True, "isReordered": True, "deleted": False, "isGenerated": False, "columns": 2}
    return [{"uuid": heading, "name": heading, **shape} for heading in stage.sections]


def _charts(stage: Stage) -> list[dict[str, Any]]:
    return [
        _line_chart(heading, title, metric)
        for heading, charts in stage.sections.items()
        for title, metric in charts.items()
    ]


def _line_chart(heading: str, title: str, metric: str) -> dict[str, Any]:
    return {
        "uuid": metric,
        "type": "LINE",
        "runsCountToCompare": 10,
        "metricSectionId": heading,
        "deleted": False,
        "isGenerated": False,
        "displayName": title,
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "lineSmoothness": 0,
        "displayPoints": False,
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "range": {},
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }


def _packed(state: dict[str, Any]) -> str:
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
