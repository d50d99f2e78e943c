"""Returns that others have published on MuJoCo's tasks in Gymnasium, labelled references beside our results."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd

from subcritic.reporting import documents
from subcritic.reporting.estimates import MISSING, number

STEPS = 100_000
TITLE = f"Reference: returns of others after {STEPS:,} steps, not results of this project"
EXPLANATION = (
    "Mean ± standard deviation of 10 seeds, evaluated without noise: raw data of Tianshou's benchmark "
    "(github.com/thu-ml/tianshou, commit 63f0e9a, examples/mujoco/benchmark/<task>/result.json). Its tasks are v3 of "
    "Gym, and v2 of Reacher and the inverted pendulums; v5 of Gymnasium has other rewards in part. Networks of "
    "256-256, batches of 256; 25,000 random steps before those that are counted, 10,000 for SAC."
)


def reference() -> pd.DataFrame:
    """Columns environment (Gymnasium's name without its version), method, mean, deviation (NaN where it is not known)."""
    with files("subcritic.studies.table").joinpath("published_returns.csv").open() as file:
        return pd.read_csv(file)


def beside(environments: list[str]) -> pd.DataFrame:
    """A row for each of our environments of which returns are known, a column for each method."""
    known = reference().set_index(["environment", "method"])
    methods = list(dict.fromkeys(known.index.get_level_values("method")))
    rows = []
    for name in environments:
        task, _, version = name.partition("-v")
        if version and task in known.index.get_level_values("environment"):
            row = {"environment": name}
            for method in methods:
                row[method] = _shown(known.loc[(task, method)]) if (task, method) in known.index else MISSING
            rows.append(row)
    return pd.DataFrame(rows)


def markdown(environments: list[str]) -> str:
    """A section, or nothing if none of the environments is known."""
    table = beside(environments)
    return f"## {TITLE}\n\n{documents.markdown(table)}\n{EXPLANATION}\n" if len(table) else ""


def _shown(row: pd.Series) -> str:
    deviation = "" if pd.isna(row["deviation"]) else f" ± {number(row['deviation'])}"
    return f"{number(row['mean'])}{deviation}"
