"""Published scores of random actions and of the planners on every task of the suite, stored in references.csv."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).parent / "references.csv"


class Score(NamedTuple):
    """Mean return over episodes, its standard error, and the return of the first episode."""

    mean: float
    standard_error: float
    episodes: int
    first: float


class Reference(NamedTuple):
    """The scores on one task by player ('random', 'mppi', 'ilqg'), with the settings and versions they depend on."""

    id: str
    paper: str
    scores: dict[str, Score]
    horizon_seconds: float
    first_seed: int
    mujoco: str
    gymnasium: str
    numpy: str
    date: str

    def clearance(self, planner: str = "mppi") -> float:
        """By how many standard errors of the difference the planner exceeds random actions."""
        return clearance(self.scores["random"], self.scores[planner])

    def source(self, planner: str = "mppi") -> str:
        """A sentence that says which measurement defines score 1."""
        episodes = self.scores[planner].episodes
        return (
            f"{planner.upper()} on the true physics, horizon {self.horizon_seconds:g} s, mean of {episodes} episodes, "
            f"mujoco {self.mujoco}, {self.date}"
        )


def reference(environment_id: str) -> Reference | None:
    """The published scores of a task, by its Gymnasium id; None when there are none."""
    return references().get(environment_id)


def references(path: Path = FILE) -> dict[str, Reference]:
    """All published scores by Gymnasium id; empty when none are published."""
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        return {row["id"]: _reference(row) for row in csv.DictReader(file)}


def measured(found: Mapping[str, Any]) -> Reference:
    """The result of the stage `references` on one task, in the form in which it is published."""
    return _reference({name: str(value) for name, value in row(found).items()})


def why_not(found: Reference | None) -> str:
    """Why published scores do not hold for the installed version of MuJoCo; empty when they do."""
    if found is None:
        return "no reference is published for it"
    installed = metadata.version("mujoco")
    if found.mujoco != installed:
        return f"its published reference is of mujoco {found.mujoco}, installed is {installed}"
    return ""


def write(found: Sequence[Mapping[str, Any]], path: Path = FILE) -> Path:
    """Publish results of the stage `references`, one mapping per task."""
    rows = [row(entry) for entry in found]
    columns = list(dict.fromkeys(name for entry in rows for name in entry))
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    return path


def row(measured: Mapping[str, Any]) -> dict[str, Any]:
    """One line of the file, and of the table of references, from the result on one task."""
    found = {"id": measured["id"], "paper": measured["paper"]}
    for player in players(measured):
        for name in ("mean", "standard_error", "episodes"):
            found[f"{player}_{name}"] = measured[player][name]
        found[f"{player}_first"] = measured[player]["returns"][0]
    settings = measured["settings"]
    found |= {name: settings[name] for name in ("horizon_seconds", "first_seed")}
    return found | dict(measured["versions"]) | {"date": measured["date"]}


def players(measured: Mapping[str, Any]) -> list[str]:
    """The players that were measured: random actions and the planners."""
    return [name for name in ("random", "mppi", "ilqg") if name in measured]


def clearance(random: Any, planner: Any) -> float:
    """(planner − random) in standard errors of the difference; infinite where neither varies."""
    error = math.hypot(random.standard_error, planner.standard_error)
    distance = planner.mean - random.mean
    return distance / error if error else math.copysign(math.inf, distance)


def summary(score: Mapping[str, Any]) -> str:
    """A measured score in words."""
    return (
        f"{score['mean']:.5g} ± {score['standard_error']:.2g} over {score['episodes']} episodes, "
        f"{score['steps_per_second']:.0f} steps per CPU-second"
    )


def _reference(line: Mapping[str, str]) -> Reference:
    scores = {}
    for player in ("random", "mppi", "ilqg"):
        if line.get(f"{player}_mean"):
            scores[player] = Score(
                float(line[f"{player}_mean"]),
                float(line[f"{player}_standard_error"]),
                int(line[f"{player}_episodes"]),
                float(line[f"{player}_first"]),
            )
    texts = [line[name] for name in ("mujoco", "gymnasium", "numpy", "date")]
    return Reference(
        line["id"], line["paper"], scores, float(line["horizon_seconds"]), int(line["first_seed"]), *texts
    )
