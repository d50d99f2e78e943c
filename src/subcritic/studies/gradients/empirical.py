"""The EMPIRICALVALUE the drafts leave blank, its controls, and the one sentence that says what it means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from subcritic.config import Profile
from subcritic.reporting.estimates import Estimate, described, number, over_seeds

PARTS = ("all", "hidden", "output")
CONTROLS = ("oracle", "permuted", "untrained", "random_direction")
BETTER = ("neuron_noise", "compatible", "global_baseline", "regression")
NEAR = 0.9  # of the oracle: what counts as near it
SIMILAR = 0.9  # the correlation from which values are called alike, as in Experiment 1


@dataclass(frozen=True)
class EmpiricalValue:
    """Median over neurons of corr[grad Q^n, grad Q^mu], mean over seeds and environments; by part and control.

    `drafts` and `values` map a part (all, hidden, output) to its estimate, `better` and `controls` a reading to its own
    parts: readings under better conditions, and controls.
    """

    drafts: dict[str, Estimate]
    better: dict[str, dict[str, Estimate]]
    controls: dict[str, dict[str, Estimate]]
    values: dict[str, Estimate]
    environments: int

    def case(self) -> str:
        """Which of the outcomes the numbers show: see `classify`."""
        return classify(self.drafts["all"], self.controls["permuted"]["all"], self.controls["oracle"]["all"])

    def sentence(self, profile: Profile) -> str:
        """One sentence, made from the numbers, that says what they mean."""
        return sentence(self, profile)

    def as_data(self, profile: Profile) -> dict:
        """Everything as plain data for empirical_value.json."""
        return {
            "definition": "Pearson correlation over the entries of each neuron's batch-averaged weight gradient, "
            "reading `drafts`, last snapshot: median over neurons, then mean over seeds and environments",
            "confidence": profile.statistics.confidence,
            "interval": described(profile),
            "environments": self.environments,
            "seeds": profile.seeds,
            **self.drafts["all"]._asdict(),
            "parts": {part: self.drafts[part]._asdict() for part in PARTS},
            "better": _as_data(self.better),
            "controls": _as_data(self.controls),
            "q_value_similarity": {part: self.values[part]._asdict() for part in PARTS},
            "case": self.case(),
            "sentence": self.sentence(profile),
        }


def _as_data(readings: dict[str, dict[str, Estimate]]) -> dict[str, dict[str, dict]]:
    return {name: {part: parts[part]._asdict() for part in PARTS} for name, parts in readings.items()}


def empirical_value(profile: Profile, frame: pd.DataFrame, curves: pd.DataFrame) -> EmpiricalValue:
    """From the last snapshot's agreement rows and Experiment 1's curves."""
    pearson = frame[(frame["granularity"] == "neuron") & (frame["measure"] == "pearson")]
    pearson = pearson[pearson["critic"].isin(["neuron", "oracle", "none"])]

    # Split by layer first: a reading may lack the output layer, as permuted does where that is one neuron.
    split = {part: pearson[parts_of(pearson, part)] for part in PARTS}

    def parts(reading: str) -> dict[str, Estimate]:
        return {part: pooled(profile, rows[rows["reading"] == reading]) for part, rows in split.items()}

    return EmpiricalValue(
        drafts=parts("drafts"),
        better={name: parts(name) for name in BETTER},
        controls={name: parts(name) for name in CONTROLS},
        values={part: pooled(profile, value_similarity(curves, frame, part)) for part in PARTS},
        environments=frame["environment"].nunique(),
    )


def pooled(profile: Profile, rows: pd.DataFrame) -> Estimate:
    """Median over the rows of each (environment, seed), then their mean, with its interval over seeds.

    Environments without a defined value are left out; NaN when none is left.
    """
    medians = rows.groupby(["seed", "environment"])["value"].median().unstack().dropna(axis="columns")
    if medians.empty:
        return Estimate(float("nan"), float("nan"), float("nan"))
    return over_seeds(medians.mean(axis="columns"), profile)


def value_similarity(curves: pd.DataFrame, frame: pd.DataFrame, part: str) -> pd.DataFrame:
    """Pearson of the same sub-critics' Q-values with Q^mu at the last snapshot: environment, seed, layer, value.

    One value per layer, the median over its observed neurons, from the curves of phase 1.
    """
    layers = curves["metric"].str.extract(r"^similarity/neurons_(\d+)/pearson$")[0]
    rows = curves[layers.notna() & (curves["method"] == "phase1")].assign(layer=layers.astype(float))
    last = frame.groupby(["environment", "seed"])["step"].max().rename("last").reset_index()
    rows = rows.merge(last, on=["environment", "seed"])
    rows = rows[rows["step"] <= rows["last"]]
    rows = rows[rows["step"] == rows.groupby(["environment", "seed"])["step"].transform("max")]
    return rows.loc[parts_of(rows, part), ["environment", "seed", "layer", "value"]]


def last_snapshot(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of every seed's last snapshot."""
    return frame[frame["step"] == frame.groupby(["environment", "seed"])["step"].transform("max")]


def parts_of(rows: pd.DataFrame, part: str) -> pd.Series:
    """Which rows belong to `all`, the `hidden` layers, or the `output` layer, the last of each environment."""
    output = rows.groupby("environment")["layer"].transform("max")
    masks = {
        "all": output.notna() | True,
        "hidden": rows["layer"] < output,
        "output": rows["layer"] == output,
    }
    return masks[part]


def classify(value: Estimate, null: Estimate, oracle: Estimate) -> str:
    """What the intervals show of `value` against the permuted `null` and the `oracle`.

    undetermined   an interval is missing (one seed, or a control undefined)
    below the null, at the null (the intervals overlap), above the null, near the oracle (all of it from 0.9 on)
    """
    if np.isnan([*value, *null, oracle.value]).any():
        return "undetermined"
    if value.low >= NEAR * oracle.value and value.low > null.high:
        return "near the oracle"
    if value.low > null.high:
        return "above the null"
    return "below the null" if value.high < null.low else "at the null"


def sentence(result: EmpiricalValue, profile: Profile) -> str:
    """The sentence of each case; the Q-values' similarity always stands beside the gradients'."""
    value, null = result.drafts["all"], result.controls["permuted"]["all"]
    oracle, values = result.controls["oracle"]["all"].value, result.values["all"].value
    case = result.case()
    finding = {
        "undetermined": "without intervals for both it and the permuted neurons ({null}; oracle {oracle}), "
        "nothing can be concluded about the conjecture",
        "below the null": "the local gradients agree even less with the true ones than those of permuted neurons "
        "({null}; oracle {oracle}), which contradicts the conjectured correlation",
        "at the null": "the agreement of the local gradients with the true ones cannot be told from that of permuted "
        "neurons ({null}; oracle {oracle}), so the conjectured correlation is not supported in the drafts' reading",
        "above the null": "the local gradients agree with the true ones more than those of permuted neurons ({null}) "
        "but fall short of the oracle ({oracle}), so they carry {share} of the true gradient",
        "near the oracle": "the local gradients agree with the true ones nearly as the oracle ({oracle}) does, and far "
        "more than those of permuted neurons ({null}), which supports the conjectured correlation",
    }[case].format(
        null=null, oracle=number(oracle), share="little" if value.value < 0.5 else "a part, not all,"
    )
    return f"EMPIRICALVALUE = {number(value.value)} {_interval(value, profile)}: {finding}{_values(values, case)}."


def _interval(value: Estimate, profile: Profile) -> str:
    if np.isnan(value.low):
        return "(no interval)"
    return f"({number(value.low)} to {number(value.high)}, {described(profile)})"


def _values(similarity: float, case: str) -> str:
    """How the same sub-critics' values compare: equal values need not have equal gradients."""
    if np.isnan(similarity):
        return "; the Q-value similarity is undefined"
    beside = f"the same sub-critics' Q-values correlate with the true ones at {number(similarity)}"
    if similarity < SIMILAR or case == "undetermined":
        return f"; {beside}"
    return f", and {beside}" if case == "near the oracle" else f", although {beside}"
