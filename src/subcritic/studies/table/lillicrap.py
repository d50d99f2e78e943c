"""Table 1 of Lillicrap et al. 2016 (arXiv 1509.02971), a labelled reference beside our results, never one of them."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd

from subcritic import suite
from subcritic.reporting import documents

TITLE = "Reference: Table 1 of Lillicrap et al. 2016 (arXiv 1509.02971), not results of this project"
EXPLANATION = (
    "Average and best of 5 runs, 0 = uniform random policy, 1 = planner; lowd: DDPG on low-dimensional states, pix: "
    "DDPG on pixels, cntrl: DPG with replay and batch normalisation but without target networks. Their environments "
    "were never released, so cells are not comparable one by one. The last column names an environment of this "
    "profile: rebuilt from the paper's description, of the same name, or related, which is not the same task."
)
# What the columns that `theirs` adds are.
THEIRS = (
    "*Theirs*: average (best) of 5 runs in Table 1 of Lillicrap et al. 2016, on the task that this one is rebuilt from: "
    "lowd, DDPG; pix, DDPG from pixels; cntrl, without target networks; up to 2.5 million steps, with another planner at 1."
)
# Gymnasium's ids without their version, and the row of Table 1 they are related to.
RELATED = {
    "Pendulum": "pendulum",
    "HalfCheetah": "cheetah",
    "Hopper": "hopper",
    "Walker2d": "walker2d",
    "Reacher": "reacherSingle",
    "InvertedPendulum": "cartpoleBalance",
    "InvertedDoublePendulum": "cartpoleSerialDouble",
}
# The suite's tasks without their version, and the row of Table 1 each is rebuilt from.
REBUILT = {entry.name: paper for paper, entry in suite.LISTED.items()}


def theirs(environment: str) -> dict[str, str]:
    """Columns of Table 1 beside a task of the suite; none for other environments."""
    row, how = correspondence(environment) or ("", "")
    if how != "rebuilt from its description":
        return {}
    found = reference().set_index("environment").loc[row]
    return {
        f"theirs, {kind}": f"{found[f'{kind}_average']:.2f} ({found[f'{kind}_best']:.2f})"
        for kind in ("lowd", "pix", "cntrl")
    }


def reference() -> pd.DataFrame:
    """Table 1: environment, lowd_average, lowd_best, pix_average, pix_best, cntrl_average, cntrl_best; 26 rows."""
    with files("subcritic.studies.table").joinpath("lillicrap2016_table1.csv").open() as file:
        return pd.read_csv(file)


def correspondence(environment: str) -> tuple[str, str] | None:
    """(row of Table 1, how it is related) of one of our environments; None without one."""
    bare = environment.removeprefix("subcritic-").split("-v")[0]
    if bare in REBUILT:
        return REBUILT[bare], "rebuilt from its description"
    rows = {name.lower(): name for name in reference()["environment"]}
    if bare in RELATED:
        return RELATED[bare], "related, not the same task"
    return (rows[bare.lower()], "same name") if bare.lower() in rows else None


def beside(environments: list[str]) -> pd.DataFrame:
    """The rows of Table 1 that correspond to environments of the profile, with a column that names these."""
    found = {name: correspondence(name) for name in environments}
    matches: dict[str, list[str]] = {}
    for name, match in found.items():
        if match:
            matches.setdefault(match[0], []).append(f"{name} ({match[1]})")
    table = reference()
    table = table[table["environment"].isin(matches)].reset_index(drop=True)
    numbers = table.columns[1:]
    table[numbers] = table[numbers].map("{:.3f}".format)
    table.columns = [name.replace("_", " ") for name in table.columns]
    return table.assign(
        **{"in this profile": [", ".join(matches.get(row, [])) for row in table["environment"]]}
    )


def markdown(environments: list[str]) -> str:
    """The section, or nothing where no environment corresponds to a row."""
    if not any(map(correspondence, environments)):
        return ""
    return f"## {TITLE}\n\n{documents.markdown(beside(environments))}\n{EXPLANATION}\n"


def latex(environments: list[str]) -> str:
    """The table, or nothing where no environment corresponds to a row."""
    if not any(map(correspondence, environments)):
        return ""
    return documents.latex(beside(environments), f"{TITLE}. {EXPLANATION}", "tab:lillicrap")
