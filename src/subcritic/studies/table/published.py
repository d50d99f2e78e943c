"""Returns that others have published on MuJoCo's tasks in Gymnasium, labelled references beside our results."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd

from subcritic.reporting import documents
from subcritic.reporting.estimates import MISSING, Estimate, number

TITLE = "Beside returns that others have published"
EXPLANATION = (
    "Returns. First ours: the mean over seeds with its interval, after as many steps as the tables say, those of random "
    "actions included. Then Tianshou's, which are not results of this project: mean ± standard deviation of 10 seeds, "
    "evaluated without noise, after 100,000 steps that follow 25,000 of random actions (SAC: 10,000); networks of 256-256, "
    "minibatches of 256. They are from the raw data of its benchmark (github.com/thu-ml/tianshou, commit 63f0e9a, "
    "examples/mujoco/benchmark/<task>/result.json). Its tasks are v3 of Gym, and v2 of Reacher and the inverted pendulums; "
    "v5 of Gymnasium has other rewards in part."
)


def reference() -> pd.DataFrame:
    """Columns environment (Gymnasium's name without its version), method, mean, deviation (NaN where it is not known)."""
    with files("subcritic.studies.table").joinpath("published_returns.csv").open() as file:
        return pd.read_csv(file)


def beside(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each environment of which returns are known: ours for each method, then theirs.

    table: as `results.results` makes it.
    """
    known = reference().set_index(["environment", "method"])
    methods = list(dict.fromkeys(known.index.get_level_values("method")))
    rows = []
    for name, ours in table.groupby("environment", sort=False):
        task, _, version = name.partition("-v")
        if version and task in known.index.get_level_values("environment"):
            row = {"environment": name}
            row |= {
                each.method: str(Estimate(each.average, each.low, each.high)) for each in ours.itertuples()
            }
            for method in methods:
                at = (task, method)
                row[f"{method}, Tianshou"] = _shown(known.loc[at]) if at in known.index else MISSING
            rows.append(row)
    return pd.DataFrame(rows).fillna("")


def markdown(table: pd.DataFrame) -> str:
    """A table with what it says of itself, or nothing if none of the environments is known."""
    found = beside(table)
    return f"{documents.markdown(found)}\n{EXPLANATION}\n" if len(found) else ""


def _shown(row: pd.Series) -> str:
    deviation = "" if pd.isna(row["deviation"]) else f" ± {number(row['deviation'])}"
    return f"{number(row['mean'])}{deviation}"
